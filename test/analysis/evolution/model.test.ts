import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { softmax } from "../../../lib/analysis/distance/divergence.js";
import { bareHead, type EarlyExit, earlyExit } from "../../../lib/analysis/evolution/early-exit.js";
import { skipPlans } from "../../../lib/analysis/evolution/skip-plans.js";
import { stackStates, statesOfSteps } from "../../../lib/analysis/evolution/states.js";
import { unembedding } from "../../../lib/model/methods/unembedding.js";
import { at0, type Tensor } from "../../../lib/tensor.js";
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

    it("reads inside the graph what it reads from the logits", async () => {
      const hooks = ["blocks.0.hook_resid_pre", ...model.layers.map((l) => `blocks.${l}.hook_resid_post`)];
      const { cache, logits } = await model.run(batch, { capture: hooks });
      const own = (x: Tensor): Tensor => ({
        data: x.data.slice(row * (x.data.length / batch.size), (row + 1) * (x.data.length / batch.size)),
        shape: x.shape.slice(1),
      });
      const states = stackStates(hooks.map((hook) => own(cache.get(hook))));
      const count = states.shape[1];
      const prior = own(logits!);
      const priorStates = at0(states, -1);
      const options = {
        tokens: Array.from({ length: count }, (_, t) => (7 * t + 3) % model.config.vocab_size),
        follow: Array.from({ length: count }, (_, t) => (t % 3 === 0 ? [5, 11] : t % 3 === 1 ? [2] : [])),
        runnersUp: 3,
        references: { prior },
        referenceStates: { priorStates },
      };
      const { forward, ...lens } = unembedding(model);
      const [inside, outside] = [
        await earlyExit(states, { forward, read: lens.read }, options),
        await earlyExit(states, { forward }, options),
      ];
      for (const name of ["probability", "entropy", "change"] as const)
        assertClose(inside[name].data, outside[name].data, 1e-5, name);
      assert.deepEqual(inside.rank.data, outside.rank.data);
      for (const exit of [inside, outside])
        for (const name of ["prior", "priorStates"])
          assertClose(exit.distance[name].data, outside.distance.prior.data, 1e-5, `distance to ${name}`);
      const curves = (exit: EarlyExit): number[] =>
        exit.candidates.flatMap((all) => all.flatMap(({ id, probability }) => [id, ...probability]));
      assertClose(curves(inside), curves(outside), 1e-5, "candidates");
    });

    it("refuses a token outside the vocabulary", async () => {
      const width = model.config.hidden_size;
      const states = { data: new Float32Array(2 * width).fill(1), shape: [2, 1, width] };
      await assert.rejects(
        earlyExit(states, unembedding(model), { tokens: [model.config.vocab_size] }),
        /is not one of the \d+ tokens/,
      );
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
