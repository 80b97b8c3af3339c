/** Text that stands in an image's place: the prompt reads as it would without the mark, and the batch knows where it is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadModel } from "../../../lib/model/index.js";
import { asMessage, charts, documents, drawTasks, inWords, sceneText } from "../../../lib/tasks/index.js";

describe("a passage", () => {
  for (const name of ["tiny-llava-1.6", "tiny-qwen3-vl-moe", "tiny-gemma3", "maths-zh-en"]) {
    it(`is found in the prompts of ${name}, before the question`, async () => {
      const model = await loadModel(name, { threads: 1 });
      try {
        const twins = [charts, documents, sceneText].flatMap((synthetic) =>
          drawTasks(synthetic as typeof charts, { count: 2, split: "heldout", seed: 3 }).map((task) =>
            inWords(synthetic as typeof charts, task),
          ),
        );
        const batch = await model.prepare(twins.map((task) => [asMessage(task)]));
        const joined = twins.map(({ textDescription, prompt }) => [
          {
            role: "user" as const,
            content: [{ type: "text" as const, text: `${textDescription} ${prompt}` }],
          },
        ]);
        const plain = await model.prepare(joined);
        assert.deepEqual(batch.inputIds, plain.inputIds);
        const squeezed = (text: string): string => text.replace(/\s+/g, "");
        twins.forEach(({ textDescription, prompt }, row) => {
          const said = (columns: readonly number[]): string =>
            squeezed(model.decode(columns.map((c) => batch.inputIds[row * batch.seqLength + c])));
          assert.equal(said(batch.passage[row]), squeezed(textDescription!));
          assert.equal(said(batch.question[row]), squeezed(prompt));
          assert.deepEqual([...batch.passage[row], ...batch.question[row]], plain.question[row]);
        });
        assert.deepEqual(
          plain.passage,
          twins.map(() => []),
        );
      } finally {
        await model.close();
      }
    });
  }
});
