/**
 * Rows pulled back through blocks of Gemma-3-270M's shape, per second of a core, beside the matrix products alone:
 * `npm run -s build && node dist/test/bench/circuits/shape.js`. Six blocks of random weights; rates are for all eighteen.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel, type Model, seeded, type Tensor } from "../../../lib/index.js";
import { emitOnnx, input, linearTransposed } from "../../../lib/model/graph/index.js";
import { type FrozenRun, freeze, pullBack } from "../../../lib/model/methods/index.js";
import { createSession } from "../../../lib/runtime/index.js";
import { writeRandomCheckpoint } from "../scale/random-checkpoint.js";

const [BLOCKS, ALL, TOKENS, FEATURES, ROUNDS] = [6, 18, 64, 10, 4];
const shape = {
  model_type: "gemma3_text",
  vocab_size: 4096,
  hidden_size: 640,
  intermediate_size: 2048,
  head_dim: 256,
  num_attention_heads: 4,
  num_key_value_heads: 1,
  num_hidden_layers: BLOCKS,
  layer_types: Array.from({ length: BLOCKS }, (_, l) => (l === 5 ? "full_attention" : "sliding_attention")),
  max_position_embeddings: 32768,
  query_pre_attn_scalar: 256,
  rms_norm_eps: 1e-6,
  rope_parameters: {
    full_attention: { rope_theta: 1e6, rope_type: "default" },
    sliding_attention: { rope_theta: 1e4, rope_type: "default" },
  },
  sliding_window: 512,
  tie_word_embeddings: true,
};
const { hidden_size: width, head_dim, num_attention_heads: heads, num_key_value_heads: groups } = shape;
const random = seeded(1);
const normal = (...lengths: number[]): Tensor => ({
  data: Float32Array.from({ length: lengths.reduce((a, b) => a * b, 1) }, () => random.normal()),
  shape: lengths,
});

/** Least processor time of some rounds, in seconds. */
async function least(work: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1e6);
  }
  return best;
}

/** Rows at the margin: what 3n rows take beyond what n take. */
async function pulled(model: Model, run: FrozenRun, rows: number): Promise<number> {
  const vectors = normal(TOKENS, FEATURES, width);
  const at = model.layers.map((l) => ({ hook: `blocks.${l}.mlp.hook_out`, vectors }));
  const sweep = (count: number): Promise<void> => {
    const { data } = normal(count, width);
    const targets = Array.from({ length: count }, (_, i) => ({
      hook: "ln_final.hook_normalized",
      column: TOKENS - 1,
      vector: data.subarray(i * width, (i + 1) * width),
    }));
    return pullBack(model, run, { targets, at, take: () => {}, biases: true, atOnce: rows });
  };
  await sweep(rows);
  const seconds = (await least(() => sweep(3 * rows))) - (await least(() => sweep(rows)));
  return ((2 * rows) / seconds) * (BLOCKS / ALL);
}

/** Rows whose products with W_O, W_V and the patterns alone take a second. */
async function products(rows: number): Promise<number> {
  const [from, to] = [heads * head_dim, groups * head_dim];
  const model = emitOnnx(
    { y: linearTransposed(input("g", ["rows", width]), input("w", [width, from])) },
    { float: "float32", bind: () => ({ kind: "input" }) },
  );
  const session = await createSession(model, { threads: 1 });
  const value = ({ data, shape: dims }: Tensor) => ({ type: "float32", dims, data });
  const feeds = { g: value(normal(rows * TOKENS, width)), w: value(normal(width, from)) };
  const seconds = await least(() => session.run(feeds, ["y"]));
  await session.release();
  const operations = 2 * TOKENS * (width * (from + to) + TOKENS * from);
  const rate = (2 * rows * TOKENS * width * from) / seconds;
  return rate / (operations * ALL);
}

const folder = mkdtempSync(join(tmpdir(), "modalscope-bench-"));
try {
  writeRandomCheckpoint(folder, shape);
  const model = await loadModel(folder, { threads: 1, cache: folder });
  const batch = model.batch([Array.from({ length: TOKENS }, () => random.int(4000))]);
  const run = await freeze(model, batch);
  for (const rows of [16, 64]) {
    const [own, bare] = [await pulled(model, run, rows), await products(rows)];
    console.log(
      `${rows} at once: ${own.toFixed(1)} rows per core-second; products alone ${bare.toFixed(1)} (${(bare / own).toFixed(2)} times)`,
    );
  }
  await model.close();
} finally {
  rmSync(folder, { recursive: true });
}
