import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  createSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from "../../../../lib/model/checkpoint/index.js";
import { says } from "../../../refusals.js";
import { Bytes, safetensorsBytes } from "../build-files.js";
import { bytesOf, fixture, temporaryFolder } from "../fixtures.js";

const folder = temporaryFolder();

test("a file written in Python: every plain type, metadata, a scalar and an empty tensor", () => {
  const { metadata, tensors } = readSafetensorsHeader(fixture("dtypes.safetensors"));
  assert.deepEqual(metadata, { format: "pt", note: "ünïcode" });
  assert.equal(tensors.get("bfloat16")?.dtype, "BF16");
  assert.deepEqual(tensors.get("empty")?.shape, [0, 4]);
  assert.deepEqual(tensors.get("scalar")?.shape, []);
  const values = readSafetensors(fixture("values.safetensors"));
  const read = readSafetensors(fixture("dtypes.safetensors"));
  assert.equal(read.size, 12);
  for (const [name, { shape, data }] of read) {
    assert.deepEqual(shape, values.get(name)!.shape, name);
    assert.ok(bytesOf(data).equals(bytesOf(values.get(name)!.data)), name);
  }
});

const one = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
const two = (b: string): string =>
  `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":${b}}}`;
const described = (text: string): string => `{"a":${text}}`;

const unsound: [string, Buffer, RegExp][] = [
  ["is empty", Buffer.alloc(0), /length alone takes 8/],
  ["ends in its length", Buffer.alloc(7), /length alone takes 8/],
  ["claims a header past its end", safetensorsBytes(one, 8, 63), /claims 63 bytes, but the file has only 70/],
  [
    "claims a header of 2^63 bytes",
    Buffer.concat([Buffer.from("0000000000000080", "hex"), Buffer.alloc(64)]),
    /more than the 100000000/,
  ],
  ["has a header that is not UTF-8", safetensorsBytes(Uint8Array.of(0x7b, 0xff, 0x7d)), /not UTF-8/],
  ["has a header that is a list", safetensorsBytes("[]"), /start with '{'/],
  ["has a header that starts with a space", safetensorsBytes(` ${one}`, 8), /start with '{'/],
  ["has a header that is not JSON", safetensorsBytes("{x}"), /not valid JSON/],
  ["has more after the header's object", safetensorsBytes(`${one}{}`, 8), /not valid JSON/],
  [
    "has a name twice",
    safetensorsBytes(
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
      8,
    ),
    /"a" twice/,
  ],
  [
    "has a field twice",
    safetensorsBytes(described('{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}'), 8),
    /"shape" twice/,
  ],
  ["has metadata that are no text", safetensorsBytes('{"__metadata__":{"a":1}}'), /map from text to text/],
  ["describes a tensor by a number", safetensorsBytes(described("1")), /not described by an object/],
  [
    "has an unknown type",
    safetensorsBytes(described('{"dtype":"F31","shape":[2],"data_offsets":[0,8]}'), 8),
    /unknown dtype "F31"/,
  ],
  [
    "has a quantised type",
    safetensorsBytes(described('{"dtype":"Q8_0","shape":[32],"data_offsets":[0,34]}'), 34),
    /unknown dtype "Q8_0"/,
  ],
  [
    "has a type named like a property of objects",
    safetensorsBytes(described('{"dtype":"constructor","shape":[2],"data_offsets":[0,8]}'), 8),
    /unknown dtype/,
  ],
  [
    "lacks a shape",
    safetensorsBytes(described('{"dtype":"F32","data_offsets":[0,8]}'), 8),
    /not a list of counts/,
  ],
  [
    "has a negative length",
    safetensorsBytes(described('{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}'), 8),
    /not a list of counts/,
  ],
  [
    "has a fractional length",
    safetensorsBytes(described('{"dtype":"F32","shape":[0.5],"data_offsets":[0,2]}'), 2),
    /not a list of counts/,
  ],
  [
    "has a shape past all numbers",
    safetensorsBytes(described('{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}'), 8),
    /needs NaN/,
  ],
  [
    "has a shape past all numbers and a zero",
    safetensorsBytes(described('{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}')),
    /needs NaN/,
  ],
  [
    "has one offset",
    safetensorsBytes(described('{"dtype":"F32","shape":[2],"data_offsets":[8]}'), 8),
    /not a start and an end/,
  ],
  [
    "has offsets backwards",
    safetensorsBytes(described('{"dtype":"F32","shape":[2],"data_offsets":[8,0]}'), 8),
    /not a start and an end/,
  ],
  [
    "has a tensor of the wrong size",
    safetensorsBytes(described('{"dtype":"F16","shape":[2],"data_offsets":[0,8]}'), 8),
    /takes 8 bytes, but F16 \(2\) needs 4/,
  ],
  ["has a tensor past its end", safetensorsBytes(one, 7), /past the file's end/],
  ["has tensors that overlap", safetensorsBytes(two("[4,8]"), 8), /overlaps/],
  ["has a gap between tensors", safetensorsBytes(two("[9,13]"), 13), /leaves a gap/],
  [
    "has a gap before the first",
    safetensorsBytes(described('{"dtype":"U8","shape":[4],"data_offsets":[1,5]}'), 5),
    /leaves a gap/,
  ],
  ["has bytes after the last", safetensorsBytes(one, 9), /end at byte 70, but the file has 71/],
];

for (const [what, bytes, message] of unsound) {
  test(`a file that ${what} is refused`, () => {
    const path = join(folder, "unsound.safetensors");
    writeFileSync(path, bytes);
    assert.throws(() => readSafetensorsHeader(path), says(message));
  });
}

test("what is allowed: padding after the header, empty tensors anywhere, names like those of objects", () => {
  const path = join(folder, "sound.safetensors");
  const entry = (range: string, shape: string): string =>
    `{"dtype":"U8","shape":${shape},"data_offsets":${range}}`;
  const header = `{"__proto__":${entry("[0,4]", "[4]")}, "e":${entry("[4,4]", "[0]")},"é\\"\\\\":${entry("[4,6]", "[2]")}}   `;
  writeFileSync(path, safetensorsBytes(header, 6));
  assert.deepEqual([...readSafetensorsHeader(path).tensors.keys()], ["__proto__", "e", 'é"\\']);
});

const tensors = {
  weights: { shape: [2, 3], data: Float32Array.of(1, -2, 3.5, Number.NaN, -0, 6) },
  bytes: { shape: [3], data: Uint8Array.of(1, 2, 3) },
  wide: { shape: [2], data: Float64Array.of(0.1, 0.2) },
  ids: { shape: [1, 1], data: BigInt64Array.of(-7n) },
  scalar: { shape: [], data: Int32Array.of(9) },
  empty: { shape: [0, 5], data: new Float32Array(0) },
};

test("what is written is read back; the data start at a multiple of 64 bytes", () => {
  const path = join(folder, "written.safetensors");
  writeSafetensors(path, tensors, { made: "here" });
  const { metadata, tensors: places } = readSafetensorsHeader(path);
  assert.deepEqual(metadata, { made: "here" });
  const bytes = readFileSync(path);
  const dataStart = Math.min(...[...places.values()].map(({ offset }) => offset));
  assert.equal(dataStart % 64, 0);
  assert.equal(bytes.readBigUInt64LE(0), BigInt(dataStart - 8));
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const place = places.get(name)!;
    assert.deepEqual(place.shape, shape, name);
    assert.equal(place.offset % data.BYTES_PER_ELEMENT, 0, `${name} is aligned to its own numbers`);
    const written = bytes.subarray(place.offset, place.offset + place.byteLength);
    assert.ok(written.equals(Buffer.from(data.buffer, data.byteOffset, data.byteLength)), name);
  }
  assert.deepEqual(Object.fromEntries([...places].map(([name, { dtype }]) => [name, dtype])), {
    weights: "F32",
    bytes: "U8",
    wide: "F64",
    ids: "I64",
    scalar: "I32",
    empty: "F32",
  });
  assert.equal(readSafetensors(path).get("weights")?.data[2], 3.5);
});

test("piece by piece, every tensor aligned: the gaps are filled, and hidden from readers here", async () => {
  const path = join(folder, "aligned.safetensors");
  const entries = [3, 40, 16, 1].map((n, i) => ({ name: `t${i}`, dtype: "F32" as const, shape: [n] }));
  const writer = createSafetensors(path, entries, {}, true);
  const data = entries.map(({ shape }) => Float32Array.from({ length: shape[0] }, (_, i) => i + shape[0]));
  const bytes = data.map((x) => new Uint8Array(x.buffer));
  writer.write("t3", bytes[3]);
  await writer.writeAsync("t1", bytes[1].subarray(100), 100);
  writer.write("t1", bytes[1].subarray(0, 100));
  assert.throws(() => writer.write("t2", bytes[2], 4), says(/it has 64/));
  assert.throws(() => writer.write("t9", bytes[2]), says(/not laid out/));
  assert.throws(() => writer.finish(), says(/"t0" lacks 12 bytes/));
  writer.write("t0", bytes[0]);
  await writer.writeAsync("t2", bytes[2]);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name === "aligned.safetensors"),
    [],
  );
  writer.finish();
  writer.abort();
  assert.equal(readFileSync(path).byteLength, writer.size);
  const read = readSafetensors(path);
  assert.deepEqual([...read.keys()].sort(), ["t0", "t1", "t2", "t3"]);
  for (const { offset } of readSafetensorsHeader(path).tensors.values()) assert.equal(offset % 64, 0);
  for (const [i, x] of data.entries()) assert.deepEqual(read.get(`t${i}`)?.data, x);
});

test("a file that is not finished leaves nothing behind", () => {
  const before = readdirSync(folder);
  const path = join(folder, "never.safetensors");
  const writer = createSafetensors(path, [{ name: "a", dtype: "F32", shape: [4] }]);
  writer.abort();
  const wrong = { a: { shape: [3], data: new Float32Array(2) } };
  assert.throws(() => writeSafetensors(path, wrong), says(/holds 3 numbers, and its data 2/));
  assert.throws(() => writeSafetensors(join(folder, "no", "x"), tensors), says(/cannot be written: ENOENT/));
  assert.throws(() => writeSafetensors(path, { __metadata__: tensors.ids }), says(/name is taken/));
  assert.deepEqual(readdirSync(folder), before);
});

test("a type that cannot be read is named when it is read, not before", () => {
  const path = join(folder, "float8.safetensors");
  const header = '{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}';
  writeFileSync(path, new Bytes().u64(header.length).raw(Buffer.from(header)).raw(new Uint8Array(2)).done());
  assert.equal(readSafetensorsHeader(path).tensors.get("a")?.dtype, "F8_E4M3");
  assert.throws(() => readSafetensors(path), says(/F8_E4M3, which cannot be read/));
});
