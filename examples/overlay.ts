/** An overlay: what the last token of a question reads off an image, by layer and head. */
import { writeFileSync } from "node:fs";
import { loadModel, show } from "modalscope";
import { imageAttention } from "modalscope/methods";
import { imageOverlay } from "modalscope/plot";
import { asMessage, drawTasks, rasterOf, scenes } from "modalscope/tasks";

const model = await loadModel("tiny-llava-1.6");
const [task] = drawTasks(scenes, { count: 1, split: "heldout", seed: 7 });
const batch = await model.prepare([[asMessage(task)]]);

const attention = await imageAttention(model, batch);
console.log("layers, heads, visual tokens:", attention.shape);
const view = imageOverlay(rasterOf(task), batch.images![0].image, attention, {
  title: task.prompt,
  axes: [{ name: "layer" }, { name: "head" }],
  unit: "attention of the last token",
});
// In a notebook it shows; here it is saved as a page.
show(view);
writeFileSync("overlay.html", view.html);
await model.close();
