import assert from "node:assert/strict";
import { it } from "node:test";
import { loadModel, type Prompt } from "../../../lib/index.js";
import { asMessage, drawTasks, inWords, planets } from "../../../lib/tasks/index.js";

it("prompts that differ in their images or words alone are read as each by itself", async () => {
  const model = await loadModel("tiny-gemma3", { threads: 1 });
  try {
    const [one, other] = drawTasks(planets, { split: "heldout", types: ["name"], count: 2 });
    const answered = (word: string): Prompt => [
      asMessage(one),
      { role: "assistant", content: word },
      { role: "user", content: "and now" },
    ];
    const prompts: Prompt[] = [
      [asMessage(one)],
      [asMessage(other)],
      [asMessage(inWords(planets, one))],
      [asMessage(inWords(planets, other))],
      answered("mars"),
      answered("earth"),
      "mars",
    ];
    const batch = await model.prepare(prompts);
    for (const [row, prompt] of prompts.entries()) {
      const alone = await model.prepare([prompt]);
      const start = batch.seqLength - alone.seqLength;
      const ids = batch.inputIds.slice(row * batch.seqLength + start, (row + 1) * batch.seqLength);
      assert.deepEqual(ids, alone.inputIds);
      for (const name of ["visual", "question", "passage", "special"] as const)
        assert.deepEqual(
          batch[name][row].map((column) => column - start),
          alone[name][0],
          name,
        );
    }
    const pixels = batch.images!.map(({ image }) => image.pixels.data);
    assert.notDeepEqual(pixels[0], pixels[1]);
  } finally {
    await model.close();
  }
});
