/** Linear probes on a checkpoint of which it is known when the last token learns the answer. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { linearProbe } from "../../../lib/analysis/index.js";
import { type Trial, withPlanted } from "../../model/methods/planted-trial.js";

it("linear probes read the answer off the last token from the block on that brings it there", async () => {
  const check = async ({ model, batch, answers, decides }: Trial): Promise<void> => {
    const capture = [{ hook: "blocks.*.hook_resid_post", positions: "last" as const }];
    const { cache } = await model.run(batch, { capture, logits: "none" });
    assert.equal(decides, 6);
    for (const l of model.layers) {
      const { data, shape } = cache.get(`blocks.${l}.hook_resid_post`);
      const features = { data, shape: [shape[0], shape[2]] };
      // Before a head has brought anything there, the last token is the same in every question.
      if (l < decides! && data.every((value, i) => value === data[i % shape[2]])) continue;
      const { accuracy, chance, p } = linearProbe(features, answers, { least: 60 });
      assert.equal(accuracy.n, 60);
      assert.ok(Math.abs(chance - 1 / 6) < 0.1);
      // The side that is asked for is no answer: of six colours a guess finds one.
      assert.ok(
        l < decides! ? accuracy.estimate < 0.35 : accuracy.estimate === 1,
        `block ${l}: ${accuracy.estimate}`,
      );
      if (l >= decides!) assert.equal(p, 1 / 21);
    }
  };
  await withPlanted("hops", check, "hard");
});
