import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { softmax } from "../../../lib/analysis/distance/divergence.js";
import { bareHead, earlyExit } from "../../../lib/analysis/evolution/early-exit.js";
import { skipPlans } from "../../../lib/analysis/evolution/skip-plans.js";
import { statesOfSteps } from "../../../lib/analysis/evolution/states.js";
import { unembedding } from "../../../lib/model/methods/unembedding.js";
import { golden, open, prepared } from "../../model/vision/goldens.js";
import { assertClose } from "../goldens.js";

const VARIANTS = ["llava-default", "llava_next-vicuna", "gemma3-window", "qwen3_vl_moe-top2"];

/** On real models with images; their own logits are the independent answer. */
for (const variant of VARIANTS) {
  describe(`early exit of ${variant}`, async () => {
    const model = await open(variant);
    after(() => model.close());
    const { cases, generate = {} } = golden(variant);
    const [name] = Object.keys(generate);
    const batch = await prepared(model, cases[name]);
    const row = batch.size - 1;

    it("ends with the model's own probabilities, and the tokens that it took lead there", async () => {
      const hooks = ["blocks.0.hook_resid_pre", ...model.layers.map((l) => `blocks.${l}.hook_resid_post`)];
      const texts = await model.generate(batch, {
        maxNewTokens: 8,
        eosTokenIds: [],
        outputLogits: true,
        capture: hooks.map((hook) => ({ hook, positions: "last" })),
      });
      const { ids, logits, steps } = texts[row];
      const states = statesOfSteps(steps, hooks, { row });
      const options = { tokens: ids, runnersUp: 2 };
      const exit = await earlyExit(states, unembedding(model), options);
      const last = model.layers.length * ids.length;
      assertClose(
        exit.probability.data.subarray(last),
        Float64Array.from(ids, (id, t) => softmax(logits[t].data)[id]),
        1e-4,
        "the last state's probabilities",
      );
      assert.ok(exit.rank.data.subarray(last).every((place) => place === 1));
      assert.ok(exit.change.data.every((bits) => bits >= 0 && bits <= 1));

      const { weights } = model.engine.checkpoint;
      const head = weights.has("lm_head.weight") ? "lm_head.weight" : "model.embed_tokens.weight";
      const bare = await earlyExit(states, bareHead(model.weight(head)), options);
      const off = bare.probability.data
        .subarray(last)
        .reduce((most, p, t) => Math.max(most, Math.abs(p - exit.probability.data[last + t])), 0);
      assert.ok(off > 1e-4, `without the norm the last layer is off by ${off}`);
    });

    it("generates with each skip plan", async () => {
      const blocks = model.layers.length;
      for (const { skip } of skipPlans({ blocks, critical: 0, mutations: [blocks - 1], last: 1 })) {
        const [{ ids }] = await model.generate(batch, { maxNewTokens: 3, eosTokenIds: [], skipLayers: skip });
        assert.equal(ids.length, 3);
      }
    });
  });
}
