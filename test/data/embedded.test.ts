/** The embedded checkpoints compute what transformers computes of them: `data/train/check.py --write` keeps that. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { embeddedModels, loadModel, type Message } from "../../lib/model/index.js";

interface Golden {
  readonly question: string;
  readonly ids: readonly number[];
  /** Logits after the last token. */
  readonly last: readonly number[];
}

/** Of the largest logit: float32 in another order, over a dozen blocks. */
const TOLERANCE = 5e-6;

const fixtures = fileURLToPath(new URL("../../../test/fixtures/", import.meta.url));
const goldens = readdirSync(`${fixtures}embedded`).map((file) => file.replace(/\.json$/, ""));

describe("embedded checkpoints", () => {
  it("are all compared with transformers", () => {
    assert.deepEqual(goldens.sort(), [...embeddedModels()].sort());
  });

  for (const name of goldens) {
    it(`${name}: tokens and logits of a question`, async () => {
      const golden = JSON.parse(readFileSync(`${fixtures}embedded/${name}.json`, "utf8")) as Golden;
      const model = await loadModel(name, { threads: 1 });
      const image = { type: "image" as const, image: `${fixtures}vision/images/square.png` };
      const question = { type: "text" as const, text: golden.question };
      const sees = model.config.vision_config !== undefined;
      const message: Message = { role: "user", content: sees ? [image, question] : [question] };
      const batch = await model.prepare([[message]]);
      assert.deepEqual([...batch.inputIds], golden.ids);
      const { logits } = await model.run(batch, { logits: "last" });
      const largest = Math.max(...golden.last.map(Math.abs));
      const drift = Math.max(...golden.last.map((x, i) => Math.abs(x - logits!.data[i]))) / largest;
      assert.ok(drift < TOLERANCE, `${name}: logits differ by ${drift} of the largest`);
      await model.close();
    });
  }
});
