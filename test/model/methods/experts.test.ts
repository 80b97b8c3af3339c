/** Experts chosen and silenced, where it is known which of them write the answer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadModel } from "../../../lib/model/index.js";
import {
  type Expert,
  expertChoices,
  expertSilencing,
  firstTokenRight,
  silenceExperts,
} from "../../../lib/model/methods/index.js";
import { sizeMatchedSets } from "../../../lib/studies/index.js";
import { byLayer, type Trial, withPlanted } from "./planted-trial.js";

const [BLIND, ALL] = [1, 6];

/** The experts of a block that visual tokens use, beside five sets of the same size that are nearest in load. */
async function arms({ model, batch }: Trial, layer: number): Promise<(readonly Expert[])[]> {
  const [{ experts, chosen }] = await expertChoices(model, batch, {
    layers: [layer],
    positions: batch.visual,
  });
  const load = new Float64Array(experts);
  for (const { data } of chosen) for (const expert of data) load[expert]++;
  const all = Array.from({ length: experts }, (_, expert) => ({ layer, expert }));
  const used = all.filter(({ expert }) => load[expert] > 0);
  const { random } = sizeMatchedSets(all, used, { weight: ({ expert }) => load[expert] });
  return [used, ...random.map(({ set }) => set)];
}

describe("experts", () => {
  it("that write the answer lose it when they are silenced, random ones do not", async () => {
    await withPlanted("routing", async (trial) => {
      const { model, batch, tokens, decides } = trial;
      const sets = await arms(trial, decides!);
      assert.deepEqual(
        sets[0].map(({ expert }) => expert),
        [2, 3],
      );
      const { values, delta } = await expertSilencing(model, batch, {
        sets,
        metric: firstTokenRight(tokens),
      });
      const [chosen, ...random] = byLayer(values);
      assert.equal(chosen, BLIND);
      // A random set may hold one of the two.
      random.forEach((right, i) => {
        const spared = !sets[i + 1].some(({ expert }) => expert === 2 || expert === 3);
        assert.ok(!spared || right === ALL, `set ${i}: ${right}`);
      });
      assert.equal(byLayer(delta)[0], BLIND - ALL);
    });
  });

  it("of other blocks, and of a model whose attention answers, can be silenced at no cost", async () => {
    await withPlanted("routing", async ({ model, batch, tokens, decides }) => {
      const sets = model.layers.map((layer) => [8, 9].map((expert) => ({ layer, expert })));
      const { values } = await expertSilencing(model, batch, { sets, metric: firstTokenRight(tokens) });
      assert.deepEqual(
        byLayer(values),
        sets.map(() => ALL),
      );
      assert.equal(decides, 5);
    });
    await withPlanted("late", async (trial) => {
      const sets = await arms(trial, trial.decides!);
      const metric = firstTokenRight(trial.tokens);
      const { values } = await expertSilencing(trial.model, trial.batch, { sets, metric });
      assert.deepEqual(
        byLayer(values),
        sets.map(() => ALL),
      );
    });
  });

  it("are silenced at some tokens alone", async () => {
    await withPlanted("routing", async ({ model, batch, tokens }) => {
      const sets = [[2, 3].map((expert) => ({ layer: 5, expert }))];
      const metric = firstTokenRight(tokens);
      const visual = await expertSilencing(model, batch, { sets, metric, positions: batch.visual });
      assert.deepEqual(byLayer(visual.values), [ALL]);
      const last = await expertSilencing(model, batch, { sets, metric, positions: "last" });
      assert.deepEqual(byLayer(last.values), [BLIND]);
    });
  });

  it("chosen are those with the highest scores, by row", async () => {
    await withPlanted("routing", async ({ model, batch }) => {
      const choices = await expertChoices(model, batch, { positions: batch.visual });
      assert.deepEqual(
        choices.map(({ layer }) => layer),
        model.layers,
      );
      for (const { layer, chosen, logits } of choices)
        chosen.forEach(({ data, shape }, b) => {
          assert.deepEqual(shape, [batch.visual[b].length, 2]);
          const wanted = layer === 5 ? [2, 3] : [8, 9];
          for (let t = 0; t < shape[0]; t++) {
            const scores = logits[b].data.subarray(t * 16, (t + 1) * 16);
            const best = [...scores.keys()].sort((i, j) => scores[j] - scores[i]).slice(0, 2);
            assert.deepEqual(Array.from(data.subarray(2 * t, 2 * t + 2)), best);
            assert.deepEqual(
              best.sort((i, j) => i - j),
              wanted,
            );
          }
        });
    });
  });

  it("are refused where there are none", async () => {
    const dense = await loadModel("maths-zh-en");
    await assert.rejects(expertChoices(dense, dense.batch([[1, 2]])), /hook_expert_indices/);
    await dense.close();
    await withPlanted("none", async ({ model }) => {
      assert.throws(() => silenceExperts(model, [{ layer: 3, expert: 16 }]), /no expert 16.*\n?.*It has 16/s);
    });
  });
});
