import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Edits } from "../../lib/model/edits/edit.js";
import * as edit from "../../lib/model/edits/edit.js";
import type { Engine } from "../../lib/model/engine/engine.js";
import type { SessionPool } from "../../lib/model/engine/pool.js";
import { pickColumns } from "../../lib/model/forward/head.js";
import { Model } from "../../lib/model/model.js";
import type { Tensor } from "../../lib/tensor.js";
import { batchOf, deviation, golden, open, withModel } from "./goldens.js";

const families = ["qwen2-sliding", "gemma3_text-tied", "qwen3_moe-mixed"];

/** The same model with another engine, on the same sessions. */
const like = (model: Model, changed: Partial<Engine>): Model =>
  new Model({ ...model.engine, ...changed }, model.tokenizer, model.path);

/** Less the mean over everything that the function is given. */
function centred({ data, shape }: Tensor): Tensor {
  const whole = data.reduce((a, b) => a + b, 0) / data.length;
  return { data: data.map((v) => v - whole), shape };
}

/** Edits of every kind at a block: some leave columns or rows independent of each other, some do not. */
function editsAt(l: number, width: number): Record<string, Edits> {
  const basis = {
    shape: [1, width],
    data: Float32Array.from({ length: width }, (_, i) => (i === 3 ? 1 : 0)),
  };
  return {
    none: {},
    "the stream before": { [`blocks.${l}.hook_resid_pre`]: edit.fill(0, { positions: [6, 7] }) },
    "keys and values": {
      [`blocks.${l}.attn.hook_k`]: edit.scale(2, { positions: [6] }),
      [`blocks.${l}.attn.hook_v`]: edit.noise(1, { seed: 2, rows: [0], positions: [5, 6] }),
    },
    "one head": { [`blocks.${l}.attn.hook_z`]: edit.fill(0, { heads: [1] }) },
    "what queries see": {
      [`blocks.${l}.attn.hook_attn_scores`]: edit.blockAttention({ from: "last", to: [5, 6] }),
    },
    "a pattern": { [`blocks.${l}.attn.hook_pattern`]: edit.fill(0.1, { positions: "last" }) },
    "a mean over columns": { [`blocks.${l}.attn.hook_v`]: edit.mean() },
    "a mean behind the MLP": { [`blocks.${l}.hook_mlp_out`]: edit.mean() },
    "a projection": { [`blocks.${l}.attn.hook_v`]: edit.projectOnto(basis) },
    "another row": {
      [`blocks.${l}.hook_mlp_out`]: edit.resample({ seed: 1 }),
      [`blocks.${l}.attn.hook_z`]: edit.resample({ seed: 1 }),
    },
    "a function": { [`blocks.${l}.attn.hook_z`]: edit.apply(centred) },
    "the stream behind": { [`blocks.${l}.hook_resid_post`]: edit.add(0.3, { positions: "last" }) },
    "a mean at the last norm": { "ln_final.hook_normalized": edit.mean() },
    "a factor at the last norm": { "ln_final.hook_normalized": edit.scale(2, { positions: "last" }) },
  };
}

for (const variant of families) {
  describe(`a block in parts, ${variant}`, () => {
    it("computes what is asked for as a whole run does", () =>
      withModel(async (model) => {
        const last = model.layers.length - 1;
        const width = model.config.head_dim;
        for (const side of ["left", "right"] as const) {
          const batch = batchOf(model, golden(variant).cases[side]);
          const asked = batch.last.map((c) => [c - 1, c]);
          const seen = new Set<string>();
          for (const [what, edits] of Object.entries(editsAt(last, width))) {
            const whole = await model.run(batch, { edits });
            const want = pickColumns(whole.logits!, asked);
            const some = await model.run(batch, { edits, logits: asked });
            assert.ok(deviation(some.logits!, want) < 1e-5, `${side}, ${what}`);
            seen.add(want.data.join());
          }
          assert.ok(seen.size >= 12, `the edits change something: ${seen.size}`);
        }
      }, variant));

    it("gives the same by rows as all at once, captures included", () =>
      withModel(async (model) => {
        const batch = batchOf(model, golden(variant).cases.left);
        const rows = like(model, { chunkTokens: 1 });
        const both = like(model, { chunkTokens: 1, workBytes: 2000 });
        const hooks = ["blocks.*.hook_resid_post", "blocks.1.attn.hook_pattern"];
        for (const [what, edits] of Object.entries(editsAt(1, model.config.head_dim))) {
          const whole = await model.run(batch, { edits, capture: hooks, useCache: true });
          for (const parts of [rows, both]) {
            // A capture inside a block keeps its rows together.
            const capture = parts === rows ? hooks.slice(0, 1) : hooks;
            const cut = await parts.run(batch, { edits, capture, useCache: true });
            assert.ok(deviation(cut.logits!, whole.logits!) < 1e-5, what);
            for (const name of cut.cache.names)
              assert.ok(deviation(cut.cache.get(name), whole.cache.get(name)) < 1e-5, `${what}: ${name}`);
            // Keys of padding, which nobody sees, depend on how columns are cut.
            if (parts === both) continue;
            whole.pastKeyValues.forEach((kv, l) => {
              assert.ok(
                deviation(cut.pastKeyValues[l]!.value, kv!.value) < 1e-5,
                `${what}: values of block ${l}`,
              );
            });
          }
        }
      }, variant));

    it("continues from keys of a prompt whose last block was cut short", () =>
      withModel(async (model) => {
        const batch = batchOf(model, golden(variant).cases.right);
        const options = { maxNewTokens: 4, eosTokenIds: [] };
        const want = await model.generate(batch, { ...options, capture: ["blocks.*.hook_resid_post"] });
        const got = await model.generate(batch, options);
        assert.deepEqual(
          got.map(({ ids }) => ids),
          want.map(({ ids }) => ids),
        );
      }, variant));
  });
}

describe("the last block", () => {
  /** The numbers of rows and columns that blocks' graphs were run on, and what was asked of them. */
  function counting(model: Model): { model: Model; calls: string[] } {
    const calls: string[] = [];
    const { pool } = model.engine;
    const use: SessionPool["use"] = (request, work) =>
      pool.use(request, (session) => {
        const run: typeof session.run = (feeds, outputs) => {
          if (/^\d/.test(request.key)) {
            const [size, time] = feeds.x.dims;
            calls.push(
              `${request.key.split(" ")[0]}: ${size}×${time}${outputs.includes("out") ? "" : " keys"}`,
            );
          }
          return session.run(feeds, outputs);
        };
        return work({ ...session, run });
      });
    return { model: like(model, { pool: Object.assign(Object.create(pool), { use }) }), calls };
  }

  it("computes no more than is asked for, and says so", async () => {
    const opened = await open("qwen2-tied");
    const { model, calls } = counting(opened);
    const last = model.layers.length - 1;
    const batch = model.batch([[1, 2, 3, 4, 5]]);
    const ran = async (options: Parameters<Model["run"]>[1]): Promise<{ last: string[]; whole: boolean }> => {
      calls.length = 0;
      const { residual } = await model.run(batch, options);
      return { last: calls.filter((c) => c.startsWith(`${last}:`)), whole: residual !== undefined };
    };
    const short = { last: [`${last}: 1×3 keys`, `${last}: 1×2`], whole: false };
    const long = { last: [`${last}: 1×5`], whole: true };
    assert.deepEqual(await ran({ logits: [3, 4] }), short);
    assert.deepEqual(await ran({ logits: [4, 3], capture: [`blocks.${last}.hook_resid_pre`] }), short);
    assert.deepEqual(await ran({ logits: [3], edits: { "blocks.*.attn.hook_z": edit.scale(2) } }), short);
    assert.deepEqual(await ran({}), long);
    assert.deepEqual(await ran({ logits: "none" }), long);
    assert.deepEqual(await ran({ logits: [0] }), long);
    assert.deepEqual(await ran({ logits: [3], capture: [`blocks.${last}.attn.hook_z`] }), long);
    assert.deepEqual(await ran({ logits: [3], capture: ["ln_final.hook_scale"] }), long);
    assert.deepEqual(await ran({ logits: [3], edits: { "ln_final.hook_normalized": edit.mean() } }), long);
    assert.equal(calls[0], "0: 1×5");
    await opened.close();
  });
});
