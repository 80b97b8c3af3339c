import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readSafetensorsHeader } from "../../../../lib/model/checkpoint/index.js";
import { dequantise } from "../../../../lib/model/checkpoint/numbers/dequantise.js";
import { layouts, type WeightDtype } from "../../../../lib/model/checkpoint/numbers/dtypes.js";
import {
  type QuantisedMatrix,
  quantisedBytes,
  quantisedMatrix,
} from "../../../../lib/model/checkpoint/numbers/nbits.js";
import { emitOnnx, input, linear, weight } from "../../../../lib/model/graph/index.js";
import { planesOf } from "../../../../lib/model/graph/quantised.js";
import { seeded } from "../../../../lib/random.js";
import { createSession } from "../../../../lib/runtime/index.js";
import { fixture } from "../fixtures.js";

const types = ["Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q6_K"] as const;

/** A tensor of quants.safetensors, random blocks that gguf.quants took apart, as bytes. */
function golden(name: string): Uint8Array {
  const { offset, byteLength } = readSafetensorsHeader(fixture("quants.safetensors")).tensors.get(name)!;
  return new Uint8Array(readFileSync(fixture("quants.safetensors")).subarray(offset, offset + byteLength));
}

/** Number `i` of a matrix, by the operator's definition. */
function numberAt({ bits, block, data, scales, zeros }: QuantisedMatrix, i: number): number {
  const q = bits === 8 ? data[i] : (data[i >> 1] >>> ((i & 1) * 4)) & 15;
  const at = Math.floor(i / block);
  return (q - (zeros?.[at] ?? 2 ** (bits - 1))) * scales[at];
}

/** Numbers of moderate size: the first `count` blocks whose values are. */
function moderate(type: WeightDtype, count: number): Uint8Array {
  const { elements, bytes } = layouts[type];
  const blocks = golden(`${type}.blocks`);
  const values = new Float32Array(golden(`${type}.values`).buffer);
  const found: Uint8Array[] = [];
  for (let b = 0; found.length < count; b++) {
    const own = values.subarray(b * elements, (b + 1) * elements);
    if (own.length === 0)
      return Buffer.concat(Array.from({ length: count }, (_, i) => found[i % found.length]));
    if (own.every((v) => Math.abs(v) < 1e4)) found.push(blocks.subarray(b * bytes, (b + 1) * bytes));
  }
  return Buffer.concat(found);
}

for (const type of types) {
  test(`${type} keeps the values that gguf.quants gives`, () => {
    const blocks = golden(`${type}.blocks`);
    const expected = new Float32Array(golden(`${type}.values`).buffer);
    const { matrix, fill } = quantisedMatrix(type, 1, expected.length)!;
    fill(blocks, 0);
    let compared = 0;
    for (let i = 0; i < expected.length; i++) {
      if (!Number.isFinite(expected[i])) continue;
      const value = numberAt(matrix, i);
      if (!Number.isFinite(value)) continue;
      compared++;
      if (matrix.zeros === undefined) assert.equal(Math.fround(value), expected[i], `${type}[${i}]`);
      else {
        // A zero is rounded to float32, and so is the difference that the golden was made with.
        const at = Math.floor(i / matrix.block);
        const size = Math.abs(matrix.scales[at]) * (15 + Math.abs(matrix.zeros[at]));
        assert.ok(
          Math.abs(value - expected[i]) <= 2 ** -22 * size,
          `${type}[${i}]: ${value}, ${expected[i]}`,
        );
      }
    }
    assert.ok(compared > expected.length * 0.5, `${compared} of ${expected.length}`);
    const { planes, constants } = planesOf(matrix);
    const bytes = planes.reduce((sum, p) => sum + p.data.length + 4 * p.scales.length, 0);
    assert.equal(quantisedBytes(type, expected.length), bytes + 4 * (constants?.length ?? 0));
  });

  test(`the runtime's product with ${type} is that with its numbers`, async () => {
    const [rows, columns] = [24, 512];
    const bytes = moderate(type, (rows * columns) / layouts[type].elements);
    const numbers = new Float32Array(rows * columns);
    dequantise(type, bytes, numbers);
    const { matrix, fill } = quantisedMatrix(type, rows, columns)!;
    const half = bytes.length / 2;
    fill(bytes.subarray(half), rows / 2);
    fill(bytes.subarray(0, half), 0);
    const y = linear(input("x", ["batch", "time", columns]), weight("w", [rows, columns]));
    const model = emitOnnx({ y }, { float: "float32", bind: () => ({ kind: "quantised", matrix }) });
    const session = await createSession(model, { threads: 1 });
    const random = seeded(1);
    for (const time of [1, 9]) {
      const x = Float32Array.from({ length: time * columns }, () => random.normal());
      const found = await session.run({ x: { type: "float32", dims: [1, time, columns], data: x } }, ["y"]);
      const data = found.y.data as Float32Array;
      for (let t = 0; t < time; t++) {
        for (let r = 0; r < rows; r++) {
          let [sum, size] = [0, 0];
          for (let k = 0; k < columns; k++) {
            const term = x[t * columns + k] * numbers[r * columns + k];
            sum += term;
            size += Math.abs(term);
          }
          const drift = Math.abs(data[t * rows + r] - sum);
          assert.ok(drift <= 4e-6 * size, `${time} rows, row ${r}: off by ${drift} of ${size}`);
        }
      }
    }
    await session.release();
  });
}

test("a group without a scale is its minimum, and types without a form have none", () => {
  // Q4_1 with d = 0 and m = 1.5 (0x3e00), whatever its nibbles are.
  const block = new Uint8Array(20).fill(0x7b);
  block.set([0, 0, 0, 0x3e]);
  const { matrix, fill } = quantisedMatrix("Q4_1", 1, 32)!;
  fill(block, 0);
  for (let i = 0; i < 32; i++) assert.equal(numberAt(matrix, i), 1.5);
  for (const type of ["F32", "F16", "Q5_1", "Q5_K"] as const) {
    assert.equal(quantisedMatrix(type, 1, 256), undefined);
    assert.equal(quantisedBytes(type, 256), undefined);
  }
});
