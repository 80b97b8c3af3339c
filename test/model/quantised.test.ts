import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openFile } from "../../lib/model/checkpoint/files.js";
import { readGgufHeader } from "../../lib/model/checkpoint/gguf/header.js";
import { openCheckpoint } from "../../lib/model/checkpoint/index.js";
import { layouts, type WeightDtype } from "../../lib/model/checkpoint/numbers/dtypes.js";
import * as edit from "../../lib/model/edits/edit.js";
import { type LoadPlan, planLoad } from "../../lib/model/engine/load-plan.js";
import { loadCost, loadModel } from "../../lib/model/load.js";
import { gradients, logit } from "../../lib/model/methods/index.js";
import type { Model } from "../../lib/model/model.js";
import { seeded } from "../../lib/random.js";
import { sizeOf, type Tensor } from "../../lib/tensor.js";
import { says } from "../refusals.js";
import { fixture, temporaryFolder } from "./checkpoint/fixtures.js";
import { type MatrixType, TINY_MIXTURE, writeRandomMixture } from "./checkpoint/random-mixture.js";
import { deviation } from "./goldens.js";

const folder = temporaryFolder();

/** Types for the matrices, in turns, and ggml's numbers for them. */
const TYPES: readonly (readonly [WeightDtype, number])[] = [
  ["Q4_0", 2],
  ["Q4_1", 3],
  ["Q5_0", 6],
  ["Q8_0", 8],
  ["Q5_1", 7],
];

/** A GGUF file of the fixtures with random numbers of quantised types in place of its matrices. */
function requantised(name: string): string {
  const source = fixture(`${name}.gguf`);
  const file = openFile(source);
  const { tensors, headerEnd } = readGgufHeader(file, true);
  file.close();
  const bytes = readFileSync(source);
  const dataStart = Math.ceil(headerEnd / 32) * 32;
  const random = seeded(7);
  const parts: Uint8Array[] = [bytes, new Uint8Array((32 - (bytes.length % 32)) % 32)];
  let end = parts.reduce((sum, part) => sum + part.length, 0);
  let turn = 0;
  for (const [tensor, { shape }] of tensors) {
    if (shape.length !== 2 || shape[1] % 32 !== 0) continue;
    const [type, number] = TYPES[turn++ % TYPES.length];
    const { elements, bytes: stride } = layouts[type];
    const data = Uint8Array.from({ length: (sizeOf(shape) / elements) * stride }, () => random.int(256));
    const wide = type === "Q8_0" ? 16 : 1;
    for (let at = 0; at < data.length; at += stride) {
      // Scales of about 0.02 in float16 (0.0012 with 8 bits), minima of about −0.15.
      data.set([random.int(256), wide === 1 ? 0x25 : 0x15], at);
      if (type.endsWith("_1")) data.set([random.int(256), 0xb0], at + 2);
    }
    // In the list of tensors: the name with its length, the number of axes, their lengths, type and offset.
    const key = Buffer.alloc(8 + tensor.length);
    key.writeBigUInt64LE(BigInt(tensor.length));
    key.write(tensor, 8);
    const at = bytes.indexOf(key) + key.length + 4 + 8 * shape.length;
    bytes.writeUInt32LE(number, at);
    bytes.writeBigUInt64LE(BigInt(end - dataStart), at + 4);
    const padding = new Uint8Array((32 - (data.length % 32)) % 32);
    parts.push(data, padding);
    end += data.length + padding.length;
  }
  const path = join(folder, `${name}.gguf`);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

function near(found: Tensor, expected: Tensor, most: number, what: string): void {
  const drift = deviation(found, expected);
  assert.ok(drift <= most, `${what}: ${drift}`);
}

/** A mixture of experts whose matrices take turns in their type; of the last one experts have no quantised form. */
function mixture(name: string): string {
  const path = join(folder, `${name}.gguf`);
  const turns: MatrixType[] = ["Q4_0", "Q4_1", "Q8_0", "Q5_1"];
  let turn = 0;
  writeRandomMixture(path, TINY_MIXTURE, () => turns[turn++ % turns.length]);
  return path;
}

// qwen2: biases. llama3: rows of queries and keys that llama.cpp has reordered. gemma3: norms stored as 1 + w.
for (const [name, write] of [
  ["qwen2", requantised],
  ["llama3", requantised],
  ["gemma3", requantised],
  ["qwen3moe", mixture],
] as const) {
  describe(`quantised weights of ${name}`, () => {
    let [float, quantised, int8] = [] as unknown as [Model, Model, Model];
    before(async () => {
      const path = write(name);
      const options = { threads: 1, cache: join(folder, "cache") };
      float = await loadModel(path, options);
      quantised = await loadModel(path, { ...options, weights: "quantised" });
      int8 = await loadModel(path, { ...options, weights: "quantised", arithmetic: "int8" });
    });
    after(async () => {
      for (const model of [float, quantised, int8]) await model.close();
    });
    const ids = [
      [3, 17, 9, 40, 22, 8, 31, 12, 5, 27],
      [11, 2, 35, 6, 19, 28, 4, 33, 14, 23],
    ];
    const all = { capture: ["blocks.*.*", "blocks.*.attn.*", "blocks.*.mlp.*"] };

    it("give the activations of their float32 numbers, at one row and at many", async () => {
      for (const prompts of [ids, [[7]]]) {
        const [expected, found] = [
          await float.run(float.batch(prompts), all),
          await quantised.run(quantised.batch(prompts), all),
        ];
        near(found.logits!, expected.logits!, 5e-6, "logits");
        assert.ok(found.cache.names.length > 20);
        for (const hook of found.cache.names)
          near(found.cache.get(hook), expected.cache.get(hook), 1e-5, hook);
      }
    });

    it("go with edits and gradients", async () => {
      const edits = { "blocks.1.hook_resid_pre": edit.scale(0.5), "blocks.0.mlp.hook_post": edit.zero() };
      const runs = [float, quantised].map((model) => model.run(model.batch(ids), { edits }));
      const [expected, found] = await Promise.all(runs);
      near(found.logits!, expected.logits!, 1e-5, "logits");
      const slopes = [float, quantised].map((model) =>
        gradients(model, model.batch(ids), [logit([5, 6])], { wrt: ["blocks.0.hook_resid_post"] }),
      );
      const [a, b] = await Promise.all(slopes);
      const hook = "blocks.0.hook_resid_post";
      near(b.gradients.get(hook), a.gradients.get(hook), 2e-5, "gradient");
    });

    it("write the same greedy text", async () => {
      const options = { maxNewTokens: 12, eosTokenIds: [] };
      const [expected, found] = await Promise.all(
        [float, quantised].map((model) => model.generate(model.batch(ids), options)),
      );
      assert.deepEqual(
        found.map(({ ids }) => ids),
        expected.map(({ ids }) => ids),
      );
    });

    it("are near with inputs of 8 bits, and not the same", async () => {
      const [exact, rounded] = [quantised, int8].map((model) => model.run(model.batch(ids)));
      const drift = deviation((await rounded).logits!, (await exact).logits!);
      assert.ok(drift > 1e-5 && drift < 0.1, `${drift}`);
    });

    it("are the same without a float32 copy", async () => {
      const read = await loadModel(join(folder, `${name}.gguf`), { threads: 1, cache: false });
      const [expected, found] = [float, read].map((model) => model.run(model.batch(ids)));
      near((await found).logits!, (await expected).logits!, 1e-6, "logits");
      await read.close();
    });

    it("take less memory than float32", () => {
      const path = join(folder, `${name}.gguf`);
      const [whole, kept] = [loadCost(path), loadCost(path, { weights: "quantised" })];
      assert.ok(whole.disk > 0);
      assert.equal(kept.disk, 0);
    });
  });
}

describe("a mixture in 4 bits", () => {
  const path = join(folder, "q4.gguf");
  const options = { threads: 1, cache: false } as const;
  const ids = [[3, 17, 9, 40, 22, 8, 31, 12, 5, 27]];
  before(() => writeRandomMixture(path, { ...TINY_MIXTURE, num_experts: 64, moe_intermediate_size: 128 }));

  it("stays in memory where it has no room in float32, and computes the same as streamed", async () => {
    const quantised = { ...options, weights: "quantised" } as const;
    // 64 experts of 3 · 64 · 128 numbers in 3 blocks: 19 MB in float32, 2.9 MB in blocks of 32 numbers of 4 bits and a scale.
    const memory = "6MB";
    assert.equal(loadCost(path, { ...options, memory }).resident, false);
    assert.equal(loadCost(path, { ...quantised, memory }).resident, true);
    assert.equal(loadCost(path, { ...quantised, memory: "3MB" }).resident, false);
    const models = await Promise.all([
      loadModel(path, { ...options, memory: "1GB" }),
      loadModel(path, quantised),
      loadModel(path, { ...quantised, memory: "3MB" }),
    ]);
    assert.deepEqual(
      models.map(({ resident }) => resident),
      [true, true, false],
    );
    const [expected, ...found] = await Promise.all(models.map((model) => model.run(model.batch(ids))));
    for (const { logits } of found) near(logits!, expected.logits!, 5e-6, "logits");
    for (const model of models) await model.close();
  });

  it("may take most of the memory, and leaves captures less", async () => {
    const stored = openCheckpoint(path);
    const plan = (memory: number): LoadPlan =>
      planLoad(stored, { float: "float32", memory, cache: false, quantised: true });
    const { bytes } = plan(1e9);
    const whole = bytes.blocks + bytes.head + bytes.experts;
    for (const [memory, resident, captures] of [
      [whole / 0.6, true, 0.25],
      [whole / 0.8, true, 0.07],
      [whole / 0.9, false, 0.25],
    ] as const) {
      const found = plan(memory);
      assert.equal(found.resident, resident);
      assert.equal(found.captureBytes, memory * captures);
      assert.ok(found.budget + found.captureBytes <= 0.95 * memory + 1);
      if (resident) assert.ok(whole <= found.budget);
    }
    stored.close();
  });
});

it("what quantised weights do not go with is said at once", async () => {
  const refused = (path: string, options: Parameters<typeof loadModel>[1], pattern: RegExp): Promise<void> =>
    assert.rejects(loadModel(path, options), says(pattern));
  await refused("tiny-gemma3", { weights: "quantised" }, /no weights that can stay quantised.*BF16|F32/);
  await refused("tiny-gemma3", { weights: "quantised", float: "float64" }, /with float: "float64"/);
  await refused("tiny-gemma3", { weights: "quantised", device: "webgpu" }, /with device: "webgpu"/);
  await refused("tiny-gemma3", { arithmetic: "int8" }, /without quantised weights/);
  await refused("tiny-gemma3", { weights: "int4" as "quantised" }, /weights/);
});
