import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openFile } from "../../../../lib/model/checkpoint/files.js";
import { fieldsOf } from "../../../../lib/model/checkpoint/gguf/fields.js";
import { type GgufHeader, readGgufHeader } from "../../../../lib/model/checkpoint/gguf/header.js";
import { ropeParameters } from "../../../../lib/model/checkpoint/gguf/rope.js";
import { openCheckpoint } from "../../../../lib/model/checkpoint/index.js";
import { says } from "../../../refusals.js";
import { Bytes, type GgufParts, ggufBytes } from "../build-files.js";
import { fixture, temporaryFolder } from "../fixtures.js";
import { TINY_MIXTURE, writeRandomMixture } from "../random-mixture.js";

const folder = temporaryFolder();

function write(parts: GgufParts | Buffer): string {
  const path = join(folder, "file.gguf");
  writeFileSync(path, Buffer.isBuffer(parts) ? parts : ggufBytes(parts));
  return path;
}

function headerOf(parts: GgufParts | Buffer, strings = true): GgufHeader {
  const file = openFile(write(parts));
  try {
    return readGgufHeader(file, strings);
  } finally {
    file.close();
  }
}

const array = (type: number, count: number, elements: Bytes): ["raw", Uint8Array] => [
  "raw",
  new Bytes().u32(9).u32(type).u64(count).raw(elements.done()).done(),
];

test("metadata of every type, and where tensors lie", () => {
  const long = "x".repeat(1_500_000);
  const words = ["a", "", "Ġé", "\uffff", "tail", long, "😀"];
  const header = headerOf({
    version: 2,
    metadata: [
      ["general.alignment", "u32", 64],
      ["int", "i32", -5],
      ["float", "f32", 0.5],
      ["yes", "bool", 1],
      ["text", "string", "größer"],
      ["u64", "u64", 2 ** 40],
      ["huge", "raw", new Bytes().u32(10).raw(new Uint8Array(8).fill(255)).done()],
      ["i8", "raw", Uint8Array.of(1, 0, 0, 0, 0xff)],
      [
        "f64",
        "raw",
        new Bytes()
          .u32(12)
          .number(8, (v) => v.setFloat64(0, Math.PI, true))
          .done(),
      ],
      ["floats", ...array(6, 2, new Bytes().f32(1).f32(2))],
      [
        "words",
        ...array(
          8,
          words.length,
          words.reduce((b, w) => b.string(w), new Bytes()),
        ),
      ],
      ["nested", ...array(9, 2, new Bytes().u32(0).u64(1).raw(Uint8Array.of(7)).u32(8).u64(1).string("z"))],
    ],
    tensors: [
      { name: "q", dims: [64, 3], type: 8, offset: 64 },
      { name: "v", dims: [5], type: 0, offset: 0 },
    ],
    alignment: 64,
    dataBytes: 64 + 6 * 34,
  });
  const metadata = Object.fromEntries(header.metadata);
  assert.deepEqual(metadata, {
    "general.alignment": 64,
    int: -5,
    float: 0.5,
    yes: true,
    text: "größer",
    u64: 2 ** 40,
    huge: 2n ** 64n - 1n,
    i8: -1,
    f64: Math.PI,
    floats: Float32Array.of(1, 2),
    words,
    nested: [Uint8Array.of(7), ["z"]],
  });
  const { q, v } = Object.fromEntries(header.tensors);
  assert.deepEqual([q.dtype, q.shape, q.byteLength], ["Q8_0", [3, 64], 6 * 34]);
  assert.deepEqual([v.dtype, v.shape, v.byteLength], ["F32", [5], 20]);
  assert.equal(v.offset % 64, 0);
  assert.equal(q.offset - v.offset, 64);
});

const f32 = { name: "a", dims: [8], type: 0, offset: 0 };
const unsound: [string, GgufParts | Buffer, RegExp][] = [
  ["is empty", Buffer.alloc(0), /does not start with GGUF/],
  ["has another magic", { magic: "GGJT", dataBytes: 8 }, /does not start with GGUF/],
  ["is of version 1", { version: 1 }, /version 1: versions 2 and 3/],
  ["is big-endian", { version: 0x03000000 }, /big-endian/],
  ["claims tensors that it cannot hold", { tensorCount: 2 ** 40 }, /claims \d+ tensors, more/],
  ["claims metadata that it cannot hold", { metadataCount: 2 ** 40 }, /claims \d+ metadata entries, more/],
  ["claims counts past all numbers", ggufBytes({}).fill(255, 8, 16), /tensors is 1844/],
  [
    "ends in its metadata",
    ggufBytes({
      metadata: [
        ["a", "u32", 1],
        ["b", "u32", 1],
      ],
    }).subarray(0, -2),
    /ends within/,
  ],
  [
    "has a string past its end",
    { metadata: [["a", "raw", new Bytes().u32(8).u64(1000).done()]] },
    /claims 1000/,
  ],
  [
    "has an array past its end",
    { metadata: [["a", ...array(6, 2 ** 50, new Bytes())]] },
    /claims \d+ elements/,
  ],
  [
    "has an array of strings past its end",
    { metadata: [["a", ...array(8, 3, new Bytes().string("x"))]] },
    /claims|ends within/,
  ],
  [
    "has text that is not UTF-8",
    { metadata: [["a", "raw", new Bytes().u32(8).u64(1).raw(Uint8Array.of(0xff)).done()]] },
    /not UTF-8/,
  ],
  [
    "has a list of text that is not UTF-8",
    { metadata: [["a", ...array(8, 2, new Bytes().string("x").u64(1).raw(Uint8Array.of(0xc3)))]] },
    /not UTF-8/,
  ],
  [
    "has an unknown value type",
    { metadata: [["a", "raw", new Bytes().u32(13).done()]] },
    /unknown value type 13/,
  ],
  ["has an array of an unknown type", { metadata: [["a", ...array(13, 0, new Bytes())]] }, /unknown type 13/],
  ["has a truth that is 2", { metadata: [["a", "bool", 2]] }, /true or false, and is 2/],
  [
    "has a key twice",
    {
      metadata: [
        ["a", "u32", 1],
        ["a", "u32", 1],
      ],
    },
    /"a" comes twice/,
  ],
  [
    "nests arrays without end",
    {
      metadata: [
        [
          "a",
          "raw",
          new Bytes()
            .u32(9)
            .raw(new Uint8Array(4000).map((_, i) => (i % 12 === 0 ? 9 : i % 12 === 4 ? 1 : 0)))
            .done(),
        ],
      ],
    },
    /nests arrays/,
  ],
  ["has a tensor twice", { tensors: [f32, { ...f32, offset: 32 }], dataBytes: 64 }, /"a" comes twice/],
  ["has a tensor of five axes", { tensors: [{ ...f32, dims: [1, 1, 1, 1, 8] }], dataBytes: 32 }, /5 axes/],
  [
    "has a tensor of a type that is not read",
    { tensors: [{ ...f32, dims: [256], type: 23 }], dataBytes: 136 },
    /IQ4_XS, which cannot be read/,
  ],
  [
    "has a tensor of a type that does not exist",
    { tensors: [{ ...f32, type: 99 }], dataBytes: 32 },
    /type 99/,
  ],
  [
    "has a tensor of half a block",
    { tensors: [{ ...f32, dims: [16, 2], type: 2 }], dataBytes: 32 },
    /no whole blocks of 32/,
  ],
  [
    "has a tensor past all numbers",
    { tensors: [{ ...f32, dims: [2 ** 31, 2 ** 31] }], dataBytes: 32 },
    /too large/,
  ],
  ["has a tensor past its end", { tensors: [f32], dataBytes: 31 }, /past the file's end/],
  ["has a tensor out of line", { tensors: [{ ...f32, offset: 4 }], dataBytes: 64 }, /not a multiple of 32/],
  [
    "has tensors that overlap",
    {
      tensors: [
        { ...f32, dims: [16] },
        { ...f32, name: "b", offset: 32 },
      ],
      dataBytes: 64,
    },
    /"a" and "b" overlap/,
  ],
  [
    "has an alignment that is no power of two",
    { metadata: [["general.alignment", "u32", 48]], tensors: [f32], dataBytes: 96 },
    /not a power of two/,
  ],
  ["has an alignment of 0", { metadata: [["general.alignment", "u32", 0]] }, /not a power of two/],
];

for (const [what, parts, message] of unsound) {
  test(`a file that ${what} is refused`, () => {
    assert.throws(() => headerOf(parts), says(message));
  });
}

const named = (name: string): GgufParts["metadata"] => [["general.architecture", "string", name]];
const refused: [string, GgufParts, RegExp][] = [
  [
    "has another architecture",
    { metadata: named("mamba") },
    /architecture "mamba", and supported in GGUF are llama, qwen2, gemma3/,
  ],
  ["is a vision tower", { metadata: named("clip") }, /"mmproj" file.*Hugging Face folder/],
  ["does not name its architecture", {}, /architecture unknown/],
  [
    "names its architecture by a number",
    { metadata: [["general.architecture", "u32", 3]] },
    /is 3, and should be text/,
  ],
  ["lacks sizes", { metadata: named("llama") }, /lacks the metadata "llama\.block_count"/],
  [
    "claims more layers than tensors",
    { metadata: [...named("llama")!, ["llama.block_count", "u32", 4e9]] },
    /claims 4000000000 layers/,
  ],
  ["is a part of a model", { metadata: [...named("llama")!, ["split.count", "u32", 3]] }, /one of 3 parts/],
];

for (const [what, parts, message] of refused) {
  test(`a model that ${what} is refused`, () => {
    assert.throws(() => openCheckpoint(write(parts)), says(message));
  });
}

test("missing and unknown tensors are named", () => {
  const metadata: GgufParts["metadata"] = [
    ...named("qwen2")!,
    ["qwen2.block_count", "u32", 1],
    ["qwen2.attention.head_count", "u32", 2],
    ["qwen2.embedding_length", "u32", 8],
    ["qwen2.feed_forward_length", "u32", 8],
    ["qwen2.attention.layer_norm_rms_epsilon", "f32", 1e-6],
    ["qwen2.context_length", "u32", 64],
  ];
  const tensor = (name: string): { name: string; dims: number[]; type: number; offset: number } => ({
    name,
    dims: [],
    type: 0,
    offset: 0,
  });
  const embedding = { ...tensor("token_embd.weight"), dims: [8, 0] };
  assert.throws(
    () => openCheckpoint(write({ metadata, tensors: [embedding], dataBytes: 4 })),
    says(/lacks the tensor "output_norm\.weight"/),
  );
  for (const name of ["blk.0.ffn_gate_inp.weight", "blk.1.attn_q.weight", "blk.00.attn_q.weight", "x"]) {
    assert.throws(
      () => openCheckpoint(write({ metadata, tensors: [tensor(name)], dataBytes: 4 })),
      says(new RegExp(`holds the tensor "${name}"`)),
    );
  }
});

test("the language model of qwen3vlmoe is qwen3moe's", () => {
  const path = join(folder, "mixture.gguf");
  const configOf = (architecture: string): unknown => {
    writeRandomMixture(path, { ...TINY_MIXTURE, architecture });
    const checkpoint = openCheckpoint(path);
    checkpoint.close();
    return [checkpoint.config, [...checkpoint.weights.keys()]];
  };
  assert.deepEqual(configOf("qwen3vlmoe"), configOf("qwen3moe"));
});

test("a mixture whose tensors hold another number of experts is refused", () => {
  const path = join(folder, "mixture.gguf");
  writeRandomMixture(path, { ...TINY_MIXTURE, said_experts: 5 });
  assert.throws(() => openCheckpoint(path), says(/has the shape \(6, 32, 64\).*each of 5 experts/));
});

test("without strings a header is the same but for them", () => {
  const file = openFile(fixture("qwen2.gguf"));
  const full = readGgufHeader(file, true);
  const quick = readGgufHeader(file, false);
  file.close();
  assert.ok((full.metadata.get("tokenizer.ggml.tokens") as string[]).length > 400);
  assert.deepEqual(quick.metadata.get("tokenizer.ggml.tokens"), []);
  assert.deepEqual(quick.tensors, full.tensors);
  assert.equal(quick.headerEnd, full.headerEnd);
});

/** Factors as llama.cpp's converter computes them for Llama 3. */
function llama3Factors(
  headDim: number,
  theta: number,
  factor: number,
  low: number,
  high: number,
  length: number,
): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    if (wavelength < length / high) return 1;
    if (wavelength > length / low) return factor;
    const smooth = (length / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

function ropeOf(
  metadata: [string, number | string][],
  headDim: number,
  factors?: Float32Array,
): Record<string, unknown> {
  const header = { metadata: new Map(metadata), tensors: new Map(), version: 3, headerEnd: 0 };
  return ropeParameters(fieldsOf("x.gguf", header), "llama", headDim, factors);
}

test("Llama 3's parameters are found from its factors", () => {
  for (const [headDim, factor] of [
    [128, 8], // Llama 3.1
    [64, 32], // Llama 3.2 1B
    [128, 32], // Llama 3.2 3B
  ]) {
    assert.deepEqual(
      ropeOf([["llama.rope.freq_base", 5e5]], headDim, llama3Factors(headDim, 5e5, factor, 1, 4, 8192)),
      {
        rope_type: "llama3",
        factor,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
        rope_theta: 5e5,
      },
    );
  }
  // Only ratios matter: 2, 16 and 6000 are 1, 8 and 3000.
  const scaled = ropeOf([["llama.rope.freq_base", 5e5]], 128, llama3Factors(128, 5e5, 8, 2, 16, 6000));
  assert.equal(scaled.high_freq_factor, 8);
  assert.equal(scaled.original_max_position_embeddings, 3000);
});

test("factors of another form are kept whole", () => {
  const factors = Float32Array.of(1, 1.5, 1.25, 9);
  const rope = ropeOf([["llama.context_length", 100]], 8, factors);
  assert.equal(rope.rope_type, "longrope");
  assert.deepEqual(rope.short_factor, [...factors]);
  assert.equal(rope.attention_factor, 1);
  assert.deepEqual(ropeOf([], 8, new Float32Array(4).fill(1)), { rope_type: "default", rope_theta: 10_000 });
  assert.throws(() => ropeOf([], 8, Float32Array.of(1, 2)), says(/should hold 4 positive factors/));
  assert.throws(() => ropeOf([], 8, Float32Array.of(1, 2, 0, 4)), says(/should hold 4 positive factors/));
});

test("named scalings, and those that are not supported", () => {
  assert.deepEqual(ropeOf([["llama.rope.scale_linear", 4]], 8), {
    rope_type: "linear",
    factor: 4,
    rope_theta: 1e4,
  });
  const type = "llama.rope.scaling.type";
  assert.deepEqual(ropeOf([[type, "none"]], 8), { rope_type: "default", rope_theta: 1e4 });
  assert.throws(
    () =>
      ropeOf(
        [
          [type, "longrope"],
          ["llama.rope.scaling.factor", 2],
        ],
        8,
      ),
    says(/scales.*"longrope"/),
  );
  assert.throws(() => ropeOf([[type, "yarn"]], 8), says(/does not say by how much/));
  assert.throws(() => ropeOf([["llama.rope.dimension_count", 4]], 8), says(/turns 4 of the 8/));
});
