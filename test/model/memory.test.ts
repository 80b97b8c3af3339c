import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { type LoadOptions, loadModel } from "../../lib/model/load.js";
import { anonymousBytes, showBytes } from "../../lib/model/memory.js";
import { initialWeights, saveCheckpoint, type Weights } from "../../lib/model/train.js";
import { createSafetensors } from "../../lib/model/weights/index.js";
import { deviation, open } from "./goldens.js";

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
    const progress = (): void => {
      peak = Math.max(peak, anonymousBytes() - start);
    };
    for (let i = 0; i < 2; i++) await model.run(batch, { logits: "last", progress });
    const { bytes: counted } = model.engine.pool;
    const { resident } = model.engine;
    await model.close();
    return { peak, counted, resident };
  }

  for (const [name, options, share] of [
    ["cache: false", { cache: false }, 1],
    ["float64", { float: "float64" }, 2],
  ] as const) {
    it(`are in memory once, as they are counted (${name})`, async () => {
      const { peak, counted, resident } = await measured({ ...options, memory: "2GB" });
      assert.ok(resident);
      assert.ok(counted >= share * 6 * BLOCK && counted < 1.2 * share * 6 * BLOCK, showBytes(counted));
      // Tables of other blocks, the runtime and what JavaScript has not collected yet: less than three blocks.
      assert.ok(
        peak < counted + 3 * share * BLOCK,
        `${showBytes(peak)} taken, ${showBytes(counted)} counted`,
      );
    });

    it(`stay under the budget plus one block (${name})`, async () => {
      const memory = 5 * share * BLOCK;
      const { peak, resident } = await measured({ ...options, memory });
      assert.equal(resident, false);
      assert.ok(peak < memory + share * BLOCK, `${showBytes(peak)} taken of ${showBytes(memory)}`);
    });
  }
});

describe("a language head", () => {
  it("is held once, whether it reads many rows or one", async () => {
    for (const options of [{}, { float: "float64" } as const]) {
      const model = await open("qwen2-tied", options);
      const batch = model.batch([Array.from({ length: 20 }, (_, i) => i + 1)]);
      const all = await model.run(batch);
      const one = model.engine.pool.bytes;
      const last = await model.run(batch, { logits: "last" });
      assert.equal(model.engine.pool.bytes, one);
      const width = model.config.vocab_size;
      const tail = { data: all.logits!.data.slice(-width), shape: [1, 1, width] };
      assert.ok(deviation(last.logits!, tail) < 1e-6);
      await model.close();
    }
  });
});
