import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Batch } from "../../../lib/model/batch/batch.js";
import type { Edits } from "../../../lib/model/edits/edit.js";
import * as edit from "../../../lib/model/edits/edit.js";
import { pickColumns } from "../../../lib/model/forward/head.js";
import { logProb } from "../../../lib/model/methods/metrics.js";
import { type SweepEstimate, sweep } from "../../../lib/model/methods/sweep.js";
import type { Model } from "../../../lib/model/model.js";
import type { Tensor } from "../../../lib/tensor.js";
import { isSlow } from "../../rounds.js";
import { batchOf, golden, open, variants } from "../goldens.js";

const metric = logProb([3, 7, 11]);

/** The metric by one whole run under the edits, which computes every column of every block. */
async function rerun(model: Model, batch: Batch, edits: Edits): Promise<number[]> {
  const { logits } = await model.run(batch, { edits });
  const last = batch.last.map((c) => [c]);
  return [...metric.value(pickColumns(logits!, last))];
}

/** Less the mean over everything that the function is given. */
function centred({ data, shape }: Tensor): Tensor {
  const mean = data.reduce((a, b) => a + b, 0) / data.length;
  return { data: data.map((v) => v - mean), shape };
}

describe("a sweep gives what separate runs give", () => {
  const chosen = variants.filter((v) => /-(tied|gqa2|sliding|softcap)$/.test(v));
  for (const [i, variant] of chosen.entries()) {
    const sides = ["left", "right"] as const;
    it(variant, async () => {
      const model = await open(variant);
      for (const name of isSlow ? sides : [sides[i % 2]]) {
        const batch = batchOf(model, golden(variant).cases[name]);
        const layers = model.layers;
        const edits: Record<string, (l: number) => Edits> = {
          "zero the stream": (l) => ({ [`blocks.${l}.hook_resid_pre`]: edit.fill(0, { positions: [6, 7] }) }),
          "knock out a head": (l) => ({ [`blocks.${l}.attn.hook_z`]: edit.fill(0, { heads: [1] }) }),
          "cut attention": (l) => ({
            [`blocks.${l}.attn.hook_attn_scores`]: edit.blockAttention({ from: "last", to: [4, 5] }),
          }),
          "noise after the block": (l) => ({
            [`blocks.${l}.hook_resid_post`]: edit.noise(0.5, { seed: 3, positions: [-1] }),
          }),
          "embedding and a late MLP": (l) => ({
            hook_embed: edit.scale(2, { positions: [5] }),
            [`blocks.${l}.hook_mlp_out`]: edit.add(0.1),
          }),
          "a position of its own in each row": (l) => ({
            [`blocks.${l}.hook_resid_pre`]: edit.fill(0.3, {
              positions: batch.last.map((c, b) => [c - (b % 2)]),
            }),
          }),
          "a pattern, padded keys and all": (l) => ({
            [`blocks.${l}.attn.hook_pattern`]: edit.fill(0.1, { positions: "last" }),
          }),
          "a function of the whole batch": (l) => ({
            [`blocks.${l}.hook_mlp_out`]: edit.apply(centred, { positions: [-1] }),
            [`blocks.${l}.attn.hook_z`]: edit.apply(centred, { rows: [1], positions: [-1, -2] }),
          }),
          "the last norm": (l) => ({ "ln_final.hook_normalized": edit.scale(1 + l / 4) }),
        };
        for (const [what, edit] of Object.entries(edits)) {
          const { values } = await sweep(model, batch, {
            over: layers,
            edit: edit as (l: unknown) => Edits,
            metric,
            maxRows: 7,
          });
          const naive = (await Promise.all(layers.map((l) => rerun(model, batch, edit(l))))).flat();
          const size = Math.max(...naive.map(Math.abs));
          naive.forEach((want, i) => {
            const drift = Math.abs(values.data[i] - want) / size;
            assert.ok(
              drift <= 1e-4,
              `${variant}, ${name}, ${what}, point ${i}: ${values.data[i]} against ${want}`,
            );
          });
          assert.ok(new Set(naive).size > 1, `${what} changes nothing`);
        }
      }
      await model.close();
    });
  }

  it("calls a function with each point's own batch", async () => {
    const model = await open("qwen2-tied");
    const batch = model.batch([
      [1, 2, 3],
      [4, 5],
    ]);
    const shapes: string[] = [];
    const seen = edit.apply((x) => {
      shapes.push(x.shape.join());
      return x;
    });
    await sweep(model, batch, {
      over: [0, 1, 2],
      edit: (l) => ({ [`blocks.${l}.hook_resid_mid`]: edit.at({ rows: [1], positions: [-1] }, seen) }),
      metric: logProb([3, 7]),
    });
    assert.deepEqual(shapes, ["2,3,32", "2,3,32", "2,3,32"]);
    await model.close();
  });

  it("over a grid of named axes, the last fastest", async () => {
    const model = await open("qwen2-tied");
    const batch = batchOf(model, golden("qwen2-tied").cases.single);
    const editAt = ({ layer, position }: { layer: number; position: number }): Edits => ({
      [`blocks.${layer}.hook_resid_pre`]: edit.fill(0, { positions: [position] }),
    });
    const estimates: SweepEstimate[] = [];
    const { values, axes, clean } = await sweep(model, batch, {
      over: { layer: [0, 2], position: [1, 5, 12] },
      edit: editAt,
      metric,
      onEstimate: (estimate) => estimates.push(estimate),
    });
    const [{ points, blockRows, naiveBlockRows, seconds }] = estimates;
    const blocks = model.layers.length;
    assert.deepEqual([points, blockRows, naiveBlockRows], [6, 3 * blocks + 3 * (blocks - 2), 6 * blocks]);
    assert.ok(seconds > 0);
    assert.deepEqual(values.shape, [2, 3, 1]);
    assert.deepEqual(
      axes.map((a) => a.name),
      ["layer", "position"],
    );
    const want = await rerun(model, batch, editAt({ layer: 2, position: 5 }));
    assert.ok(Math.abs(values.data[4] - want[0]) < 1e-4);
    assert.ok(Math.abs(clean[0] - (await rerun(model, batch, {}))[0]) < 1e-5);
    await model.close();
  });
});
