/** Images: a question about a drawn scene, with its own visual tokens and with those of another image. */
import { edit, loadModel } from "modalscope";
import { asMessage, drawTasks, planets, scoreAnswer } from "modalscope/tasks";

const model = await loadModel("tiny-gemma3");
const tasks = drawTasks(planets, { count: 24, split: "heldout", types: ["name"], seed: 7 });
const batch = await model.prepare(tasks.map((task) => [asMessage(task)]));

// Each visual token knows its box in the image's own pixels.
console.log(batch.visual[0].length, "visual tokens; the first covers", batch.images?.[0].image.tokens[0].box);

const right = async (edits = {}) => {
  const answers = await model.generate(batch, { maxNewTokens: 6, edits });
  return answers.filter(({ text }, i) => scoreAnswer(tasks[i], text) === 1).length;
};
console.log(`intact: ${await right()} of ${tasks.length} right`);
const swapped = await right({ "blocks.0.hook_resid_pre": edit.resample({ positions: batch.visual }) });
console.log(`with another question's visual tokens: ${swapped} of ${tasks.length} right`);
await model.close();
