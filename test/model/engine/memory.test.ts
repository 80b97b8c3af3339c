import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { formatBytes } from "../../../lib/bytes.js";
import { createSafetensors } from "../../../lib/model/checkpoint/index.js";
import { anonymousBytes } from "../../../lib/model/engine/memory.js";
import type { SessionPool } from "../../../lib/model/engine/pool.js";
import { weightsOf } from "../../../lib/model/families/pieces.js";
import { type LoadOptions, loadModel } from "../../../lib/model/load.js";
import { gradients } from "../../../lib/model/methods/gradients.js";
import { logProb } from "../../../lib/model/methods/metrics.js";
import type { Model } from "../../../lib/model/model.js";
import { initialWeights, saveCheckpoint, type Weights } from "../../../lib/model/training/index.js";
import type { Tensor } from "../../../lib/tensor.js";
import { says } from "../../refusals.js";
import { deviation, open } from "../goldens.js";

const config = {
  model_type: "llama",
  vocab_size: 500,
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 6,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
};
const BLOCK = (512 * 512 * 2 + 512 * 256 * 2 + 3 * 512 * 2048) * 4;

/** The same weights in bfloat16, which no float32 session can map. */
function writeBfloat16(path: string, weights: Weights): void {
  const listed = [...weights].map(([name, { shape }]) => ({ name, shape, dtype: "BF16" as const }));
  const writer = createSafetensors(path, listed);
  for (const [name, { data }] of weights) {
    const halves = Uint16Array.from(
      new Uint32Array(data.buffer, data.byteOffset, data.length),
      (x) => x >>> 16,
    );
    writer.write(name, new Uint8Array(halves.buffer));
  }
  writer.finish();
}

describe("weights that cannot be mapped", () => {
  const folder = mkdtempSync(join(tmpdir(), "modalscope-test-"));
  before(() => {
    const weights = initialWeights(config, 3);
    saveCheckpoint(folder, config, weights);
    writeBfloat16(join(folder, "model.safetensors"), weights);
  });

  /** Most anonymous memory that two runs took, and what the pool counted after them. */
  async function measured(
    options: LoadOptions,
  ): Promise<{ peak: number; counted: number; resident: boolean }> {
    const start = anonymousBytes();
    const model = await loadModel(folder, { threads: 1, ...options });
    const batch = model.batch([Array.from({ length: 24 }, (_, i) => (i * 31) % 500)]);
    let peak = 0;
    const onProgress = (): void => {
      peak = Math.max(peak, anonymousBytes() - start);
    };
    for (let i = 0; i < 2; i++) await model.run(batch, { logits: "last", onProgress });
    const { bytes: counted } = model.engine.pool;
    const { resident } = model.engine;
    await model.close();
    return { peak, counted, resident };
  }

  it("give what the mapped ones give", async () => {
    const logits: Tensor[] = [];
    for (const cache of [false, mkdtempSync(join(tmpdir(), "modalscope-test-"))] as const) {
      const model = await loadModel(folder, { threads: 1, cache });
      logits.push((await model.run(model.batch([[1, 2, 3, 4]]))).logits!);
      await model.close();
    }
    assert.ok(deviation(logits[0], logits[1]) < 1e-5);
  });

  for (const [name, options, share] of [
    ["cache: false", { cache: false }, 1],
    ["float64", { float: "float64" }, 2],
  ] as const) {
    it(`are in memory once, as they are counted (${name})`, async () => {
      const { peak, counted, resident } = await measured({ ...options, memory: "2GB" });
      assert.ok(resident);
      assert.ok(counted >= share * 6 * BLOCK && counted < 1.2 * share * 6 * BLOCK, formatBytes(counted));
      // Tables of other blocks, the runtime and what JavaScript has not collected yet: less than three blocks.
      assert.ok(
        peak < counted + 3 * share * BLOCK,
        `${formatBytes(peak)} taken, ${formatBytes(counted)} counted`,
      );
    });

    it(`stay under the budget plus one block (${name})`, async () => {
      const memory = 5 * share * BLOCK;
      const { peak, resident } = await measured({ ...options, memory });
      assert.equal(resident, false);
      assert.ok(peak < memory + share * BLOCK, `${formatBytes(peak)} taken of ${formatBytes(memory)}`);
    });
  }
});

describe("memory of a run is estimated before it starts", () => {
  const refused = async (
    limit: (model: Model) => number,
    work: (model: Model) => Promise<unknown>,
    message: RegExp,
  ): Promise<void> => {
    const model = await open("qwen2-tied");
    let computed = 0;
    const pool = Object.assign(Object.create(model.engine.pool), { use: () => computed++ });
    const needed = limit(model);
    Object.assign(model.engine, { captureBytes: needed - 1, pool });
    await assert.rejects(work(model), says(message));
    assert.equal(computed, 0, "nothing was computed");
    await model.close();
    const enough = await open("qwen2-tied");
    Object.assign(enough.engine, { captureBytes: needed });
    await work(enough);
    await enough.close();
  };
  const rows = [
    [1, 2, 3, 4, 5],
    [6, 7, 8],
  ];
  const keys = ({ config: c }: Model, columns: number): number =>
    2 * c.num_hidden_layers * 2 * c.num_key_value_heads * columns * c.head_dim * 4;

  /** Bytes that a block holds of 2 rows' columns: scores, mask and pattern; streams; queries, keys and values; the MLP's values. */
  const inside = ({ config: c }: Model, columns = 5): number => {
    const scores = 3 * c.num_attention_heads * columns;
    const turned = 2 * (c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim;
    return 2 * columns * (scores + 6 * c.hidden_size + turned + 4 * c.intermediate_size) * 4;
  };

  it("logits at every position, and at chosen ones", async () => {
    await refused(
      (m) => inside(m) + 2 * 5 * m.config.vocab_size * 4,
      (m) => m.run(m.batch(rows)),
      /logits would take/,
    );
    await refused(
      (m) => inside(m) + 2 * 2 * m.config.vocab_size * 4,
      (m) => m.run(m.batch(rows), { logits: [-1, -2] }),
      /logits would take/,
    );
  });

  it("kept keys and values", () =>
    refused(
      (m) => inside(m) + keys(m, 5),
      (m) => m.run(m.batch(rows), { logits: "none", useCache: true }),
      /keys and values would take/,
    ));

  it("generation: the cache at its longest, logits and captures of every step", () =>
    refused(
      (m) => {
        const { vocab_size, num_attention_heads: heads, hidden_size: d } = m.config;
        // The prompt's patterns and 7 steps', of 6 to 12 keys.
        const patterns = 2 * heads * (5 * 5 + (6 + 7 + 8 + 9 + 10 + 11 + 12)) * 4;
        const streams = 2 * d * (2 + 7) * 4;
        return inside(m) + 2 * keys(m, 12) + 8 * 2 * vocab_size * 4 + patterns + streams;
      },
      (m) =>
        m.generate(m.batch(rows), {
          maxNewTokens: 8,
          eosTokenIds: [],
          outputLogits: true,
          capture: ["blocks.0.attn.hook_pattern", { hook: "blocks.1.hook_resid_pre", positions: [-1, -2] }],
        }),
      /captures would take .* logits would take .* keys and values would take .* inside a block would take/,
    ));

  it("derivatives", () =>
    refused(
      (m) => {
        const { hidden_size: d, vocab_size } = m.config;
        // Gradients of three metrics, beside the last block's stream and the logits of the run that they are of.
        return 4 * inside(m) + 3 * 2 * 5 * d * 4 + 2 * 5 * d * 4 + 2 * vocab_size * 4;
      },
      (m) => {
        const metrics = [1, 2, 3].map((token) => logProb(token));
        return gradients(m, m.batch(rows), metrics, { wrt: ["ln_final.hook_normalized"] });
      },
      /derivatives would take/,
    ));
});

describe("a language head", () => {
  it("does not run for the norm before it alone, and at chosen positions only", async () => {
    const model = await open("qwen2-tied");
    const batch = model.batch([[1, 2, 3, 4, 5]]);
    const { pool, family } = model.engine;
    /** Columns to which the head's matrix was applied. */
    const applied: number[] = [];
    const use: SessionPool["use"] = (request, work) => {
      const matrix = weightsOf(Object.values(request.build())).has(family.names.embedding);
      return pool.use(request, (session) => {
        const run: typeof session.run = (feeds, outputs) => {
          if (matrix) applied.push(Object.values(feeds)[0].dims[1]);
          return session.run(feeds, outputs);
        };
        return work({ ...session, run });
      });
    };
    Object.assign(model.engine, { pool: Object.assign(Object.create(pool), { use }) });
    const capture = ["ln_final.*"];
    const { cache } = await model.run(batch, { logits: "none", capture });
    assert.deepEqual(applied, []);
    const some = await model.run(batch, { capture, logits: [1, -1] });
    assert.deepEqual(applied, [2]);
    const whole = await model.run(batch, { capture });
    assert.deepEqual(applied, [2, 5]);
    for (const name of cache.names) {
      assert.deepEqual(cache.get(name), whole.cache.get(name));
      assert.deepEqual(some.cache.get(name), whole.cache.get(name));
    }
    const width = model.config.vocab_size;
    const at = (column: number) => whole.logits!.data.slice(column * width, (column + 1) * width);
    const chosen = { data: Float32Array.from([...at(1), ...at(4)]), shape: [1, 2, width] };
    assert.ok(deviation(some.logits!, chosen) < 1e-6);
    await model.close();
  });

  it("is held once, whether it reads many rows or one", async () => {
    for (const options of [{}, { float: "float64" } as const]) {
      const model = await open("qwen2-tied", options);
      const batch = model.batch([Array.from({ length: 20 }, (_, i) => i + 1)]);
      const all = await model.run(batch);
      const one = model.engine.pool.bytes;
      // The capture keeps the last block from being a graph of its own for keys.
      const last = await model.run(batch, { logits: "last", capture: ["blocks.*.hook_resid_post"] });
      assert.equal(model.engine.pool.bytes, one);
      const width = model.config.vocab_size;
      const tail = { data: all.logits!.data.slice(-width), shape: [1, 1, width] };
      assert.ok(deviation(last.logits!, tail) < 1e-6);
      await model.close();
    }
  });
});
