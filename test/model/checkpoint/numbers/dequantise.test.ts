import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readSafetensorsHeader } from "../../../../lib/model/checkpoint/index.js";
import { dequantise } from "../../../../lib/model/checkpoint/numbers/dequantise.js";
import { layouts, type WeightDtype } from "../../../../lib/model/checkpoint/numbers/dtypes.js";
import { says } from "../../../refusals.js";
import { fixture } from "../fixtures.js";

const types: WeightDtype[] = [
  ...(["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"] as const),
  ...(["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"] as const),
];

/** A tensor of quants.safetensors as bytes, copied to an aligned place. */
function bytesOf(name: string): Uint8Array {
  const { offset, byteLength } = readSafetensorsHeader(fixture("quants.safetensors")).tensors.get(name)!;
  return new Uint8Array(readFileSync(fixture("quants.safetensors")).subarray(offset, offset + byteLength));
}

for (const type of types) {
  test(`${type} gives the bits that gguf.quants gives`, () => {
    const blocks = bytesOf(`${type}.blocks`);
    const expected = new Float32Array(bytesOf(`${type}.values`).buffer);
    const actual = new Float32Array(expected.length);
    dequantise(type, blocks, actual);
    const bits = new Uint32Array(actual.buffer);
    const expectedBits = new Uint32Array(expected.buffer);
    let finite = 0;
    for (let i = 0; i < expected.length; i++) {
      // Which NaN comes out of an operation is the processor's choice.
      const same = bits[i] === expectedBits[i] || (Number.isNaN(actual[i]) && Number.isNaN(expected[i]));
      assert.ok(same, `${type}[${i}] is ${actual[i]}, not ${expected[i]}`);
      if (Number.isFinite(expected[i])) finite++;
    }
    assert.ok(finite > expected.length * 0.6, "the golden is mostly finite numbers");
  });
}

test("odd lengths and offsets inside a larger array", () => {
  const bits = Uint16Array.of(0x3f80, 0xc000, 0x4040);
  const into = new Float32Array(6).fill(9);
  dequantise("BF16", new Uint8Array(bits.buffer), into.subarray(1));
  assert.deepEqual([...into], [9, 1, -2, 3, 9, 9]);
});

test("whole numbers and float64 are rounded to float32", () => {
  const cases: [WeightDtype, ArrayBufferView, number[]][] = [
    ["I64", BigInt64Array.of(-3n, 2n ** 53n), [-3, 2 ** 53]],
    ["U8", Uint8Array.of(0, 255), [0, 255]],
    ["I16", Int16Array.of(-2, 5), [-2, 5]],
    ["F64", Float64Array.of(0.1, -1e300), [Math.fround(0.1), Number.NEGATIVE_INFINITY]],
    ["BOOL", Uint8Array.of(0, 1), [0, 1]],
  ];
  for (const [type, values, expected] of cases) {
    const into = new Float32Array(2);
    dequantise(type, new Uint8Array(values.buffer), into);
    assert.deepEqual([...into], expected, type);
  }
});

test("cut blocks, too small an array and types without a reader are refused", () => {
  assert.throws(() => dequantise("Q4_0", new Uint8Array(17), new Float32Array(64)), says(/do not fit/));
  assert.throws(() => dequantise("Q6_K", new Uint8Array(420), new Float32Array(511)), says(/do not fit/));
  assert.throws(() => dequantise("F8_E4M3", new Uint8Array(1), new Float32Array(1)), says(/cannot be read/));
  assert.equal(layouts.Q6_K.bytes, 210);
});
