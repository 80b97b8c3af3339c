/**
 * Damages checkpoints in every way that files get damaged, and a few that only a person would think of. Each
 * damaged one opens or is refused with a ModalscopeError: no other error, no hang, no memory beyond the file's.
 */
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Random, seeded } from "../../../lib/random.js";
import { rounds } from "../../rounds.js";
import { type GgufParts, ggufBytes } from "./build-files.js";
import { fixture, temporaryFolder } from "./fixtures.js";

const seed = Number(process.env.MODALSCOPE_MUTATION_SEED ?? 1);

/** Bytes of the largest single array that was asked for since the last reset. */
const requests = { largest: 0 };
watchAllocations();
// Only now, so that the library's modules see the watched constructors.
const { openCheckpoint } = await import("../../../lib/model/checkpoint/index.js");
const { openFile } = await import("../../../lib/model/checkpoint/files.js");
const { readGgufHeader } = await import("../../../lib/model/checkpoint/gguf/header.js");
const { tokenizerOfGguf } = await import("../../../lib/model/checkpoint/gguf/tokenizer.js");
const { halfToFloat } = await import("../../../lib/model/checkpoint/numbers/dtypes.js");
halfToFloat(); // a table of fixed size, made once
const { ModalscopeError } = await import("../../../lib/errors.js");

function watchAllocations(): void {
  const note = (bytes: unknown): void => {
    if (typeof bytes === "number") requests.largest = Math.max(requests.largest, bytes);
  };
  const scope = globalThis as unknown as Record<string, { BYTES_PER_ELEMENT?: number } & (new () => object)>;
  const names = [
    "ArrayBuffer",
    "Uint8Array",
    "Int8Array",
    "Uint16Array",
    "Int16Array",
    "Uint32Array",
    "Int32Array",
  ];
  for (const name of [...names, "Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array", "Array"]) {
    scope[name] = new Proxy(scope[name], {
      construct(target, [size, ...rest], self) {
        if (typeof size === "number") note(size * (target.BYTES_PER_ELEMENT ?? (name === "Array" ? 8 : 1)));
        return Reflect.construct(target, [size, ...rest], self === scope[name] ? target : self);
      },
    });
  }
  for (const name of ["alloc", "allocUnsafe", "allocUnsafeSlow"] as const) {
    const allocate = Buffer[name];
    Buffer[name] = (size: number) => {
      note(size);
      return allocate(size);
    };
  }
}

const bigNumbers = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 2 ** 53 + 2, 2 ** 62, 2 ** 63];

type Mutation = (bytes: Buffer, random: Random) => Buffer;

const insert = (bytes: Buffer, at: number, piece: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);

const slice = (bytes: Buffer, random: Random): Buffer => {
  const start = random.int(bytes.length);
  return bytes.subarray(start, start + 1 + random.int(64));
};

const mutations: Record<string, Mutation> = {
  "bytes changed": (bytes, random) => {
    const out = Buffer.from(bytes);
    for (let i = random.int(4); i >= 0; i--) out[random.int(out.length)] = random.int(256);
    return out;
  },
  "a bit flipped": (bytes, random) => {
    const out = Buffer.from(bytes);
    out[random.int(out.length)] ^= 1 << random.int(8);
    return out;
  },
  "cut off": (bytes, random) => bytes.subarray(0, random.int(bytes.length)),
  lengthened: (bytes, random) =>
    Buffer.concat([bytes, Buffer.from(Array.from({ length: 1 + random.int(100) }, () => random.int(256)))]),
  "a large number": (bytes, random) => {
    const out = Buffer.from(bytes);
    const value = BigInt(random.pick([...bigNumbers, bytes.length, bytes.length + 1]));
    const at = random.int(Math.max(1, out.length - 8));
    if (out.length >= at + 8) out.writeBigUInt64LE(value, at);
    return out;
  },
  "a piece twice": (bytes, random) => insert(bytes, random.int(bytes.length), slice(bytes, random)),
  "a piece missing": (bytes, random) => {
    const start = random.int(bytes.length);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + 1 + random.int(64))]);
  },
  "a piece over another": (bytes, random) => {
    const out = Buffer.from(bytes);
    slice(bytes, random).copy(out, random.int(out.length));
    return out;
  },
};

/** For JSON: mutations that keep it JSON, most of the time. The header's length is set right afterwards. */
const textMutations: Record<string, (text: string, random: Random) => string> = {
  "a number replaced": (text, random) => {
    const numbers = [...text.matchAll(/-?\d+/g)];
    if (numbers.length === 0) return text;
    const { index, 0: number } = random.pick(numbers);
    const other = random.pick(["-1", "1e308", "0.5", "null", '"x"', "[]", "{}", ...bigNumbers.map(String)]);
    return text.slice(0, index) + other + text.slice(index + number.length);
  },
  "an entry twice": (text, random) => {
    const entries = [...text.matchAll(/"[^"]*":(\{[^{}]*\}|\[[^[\]]*\]|"[^"]*")/g)];
    if (entries.length === 0) return text;
    const { index, 0: entry } = random.pick(entries);
    return `${text.slice(0, index)}${entry},${text.slice(index)}`;
  },
  "a word replaced": (text, random) => {
    const words = [...text.matchAll(/"[^"]*"/g)];
    if (words.length === 0) return text;
    const { index, 0: word } = random.pick(words);
    const other = random.pick([...words.map(([w]) => w), '""', '"__proto__"', "1", "[[[[]]]]", "true"]);
    return text.slice(0, index) + other + text.slice(index + word.length);
  },
};

function mutate(bytes: Buffer, random: Random, text: "json" | "safetensors" | undefined): Buffer {
  if (text === undefined || random.uniform() < 0.5)
    return random.pick(Object.values(mutations))(bytes, random);
  const change = random.pick(Object.values(textMutations));
  if (text === "json") return Buffer.from(change(bytes.toString(), random));
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const header = Buffer.from(change(bytes.subarray(8, end).toString(), random));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, bytes.subarray(end)]);
}

/** A whole small model with a tokenizer. */
function smallGguf(): Buffer {
  const raw = (...numbers: number[]): ["raw", Uint8Array] => ["raw", Uint8Array.from(numbers)];
  const list = (type: number, ...elements: Buffer[]): ["raw", Uint8Array] => {
    const head = Buffer.alloc(16);
    head.writeUInt32LE(9);
    head.writeUInt32LE(type, 4);
    head.writeBigUInt64LE(BigInt(elements.length), 8);
    return ["raw", Buffer.concat([head, ...elements])];
  };
  const word = (text: string): Buffer => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const number = (value: number): Buffer => Buffer.from(Int32Array.of(value).buffer);
  const words = ["<s>", "</s>", "▁", "a", "b", "ab", "▁a", "é"];
  const metadata: GgufParts["metadata"] = [
    ["general.architecture", "string", "llama"],
    ["general.alignment", "u32", 32],
    ["llama.block_count", "u32", 1],
    ["llama.context_length", "u64", 64],
    ["llama.embedding_length", "u32", 32],
    ["llama.feed_forward_length", "u32", 32],
    ["llama.attention.head_count", "u32", 4],
    ["llama.attention.head_count_kv", ...list(5, number(2))],
    ["llama.attention.layer_norm_rms_epsilon", "f32", 1e-5],
    ["llama.rope.dimension_count", "u32", 8],
    ["flag", ...raw(7, 0, 0, 0, 1)],
    ["nested", ...list(9, (list(0, Buffer.of(1))[1] as Buffer).subarray(4))],
    ["tokenizer.ggml.model", "string", "llama"],
    ["tokenizer.ggml.tokens", ...list(8, ...words.map(word))],
    ["tokenizer.ggml.scores", ...list(6, ...words.map((_, i) => Buffer.from(Float32Array.of(-i).buffer)))],
    ["tokenizer.ggml.token_type", ...list(5, ...words.map((_, i) => number(i < 2 ? 3 : 1)))],
    ["tokenizer.ggml.bos_token_id", "u32", 0],
    ["tokenizer.ggml.eos_token_id", "u32", 1],
  ];
  const q8 = (rows: number): number => rows * 34;
  const shapes: [string, number[], number, number][] = [
    ["token_embd.weight", [32, 8], 8, q8(8)],
    ["output_norm.weight", [32], 0, 128],
    ["rope_freqs.weight", [4], 0, 16],
    ["blk.0.attn_norm.weight", [32], 0, 128],
    ["blk.0.ffn_norm.weight", [32], 1, 64],
    ...["attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map(
      (name): [string, number[], number, number] => [`blk.0.${name}.weight`, [32, 32], 8, q8(32)],
    ),
    ...["attn_k", "attn_v"].map((name): [string, number[], number, number] => [
      `blk.0.${name}.weight`,
      [32, 16],
      8,
      q8(16),
    ]),
  ];
  let offset = 0;
  const tensors = shapes.map(([name, dims, type, bytes]) => {
    const tensor = { name, dims, type, offset };
    offset = Math.ceil((offset + bytes) / 32) * 32;
    return tensor;
  });
  const bytes = ggufBytes({ metadata, tensors, dataBytes: offset });
  // Rope factors are positive.
  const factors = Buffer.from(Float32Array.of(1, 1, 2, 8).buffer);
  factors.copy(bytes, bytes.length - offset + tensors[2].offset);
  return bytes;
}

interface Subject {
  readonly name: string;
  /** The checkpoint that is opened. */
  readonly path: string;
  /** The file that is damaged. */
  readonly file: string;
  readonly text?: "json" | "safetensors";
  readonly count: number;
  /** Share of mutants that open at least; the others at least as many as this are refused. */
  readonly opening: number;
}

const folder = temporaryFolder();

function subjects(): Subject[] {
  const gguf = join(folder, "small.gguf");
  writeFileSync(gguf, smallGguf());
  const sharded = join(folder, "sharded");
  cpSync(fixture("hf-bf16"), sharded, { recursive: true });
  const single = join(folder, "single");
  cpSync(fixture("hf-bf16"), single, { recursive: true });
  writeFileSync(join(single, "model.safetensors"), readFileSync(fixture("dtypes.safetensors")));
  return [
    { name: "GGUF", path: gguf, file: gguf, count: rounds(1100, 5500), opening: 0.05 },
    {
      name: "safetensors",
      path: single,
      file: join(single, "model.safetensors"),
      text: "safetensors",
      count: rounds(800, 4000),
      opening: 0.02,
    },
    {
      name: "a shard",
      path: sharded,
      file: join(sharded, "model-00002-of-00002.safetensors"),
      text: "safetensors",
      count: rounds(100, 500),
      opening: 0.01,
    },
    {
      name: "an index",
      path: sharded,
      file: join(sharded, "model.safetensors.index.json"),
      text: "json",
      count: rounds(100, 500),
      opening: 0.01,
    },
    {
      name: "config.json",
      path: sharded,
      file: join(sharded, "config.json"),
      text: "json",
      count: rounds(100, 500),
      opening: 0.05,
    },
  ];
}

/** Bytes that the checkpoint takes on disk. */
function bytesAt(path: string): number {
  if (statSync(path).isFile()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
}

/** Opens the damaged checkpoint and reads all that it claims to hold. Returns whether it could be opened. */
function attempt(path: string): boolean {
  requests.largest = 0;
  let checkpoint: ReturnType<typeof openCheckpoint>;
  try {
    checkpoint = openCheckpoint(path);
  } catch (error) {
    if (error instanceof ModalscopeError) return false;
    throw error;
  }
  const opening = requests.largest;
  assert.ok(opening <= bytesAt(path) + 1024, `opening asked for ${opening} bytes`);
  try {
    for (const name of checkpoint.weights.keys()) allowed(() => checkpoint.read(name));
    if (checkpoint.format === "gguf") allowed(() => readTokenizer(path));
    allowed(() => checkpoint.hash);
  } finally {
    checkpoint.close();
  }
  // Two bits become 32.
  assert.ok(requests.largest <= 16 * bytesAt(path) + 1024, `reading asked for ${requests.largest} bytes`);
  return true;
}

function allowed(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof ModalscopeError)) throw error;
  }
}

function readTokenizer(path: string): void {
  const file = openFile(path);
  try {
    tokenizerOfGguf(path, readGgufHeader(file, true));
  } finally {
    file.close();
  }
}

for (const { name, path, file, text, count, opening } of subjects()) {
  test(`${count} times ${name} damaged, seed ${seed}`, (t) => {
    const random = seeded(seed);
    const sound = readFileSync(file);
    assert.ok(attempt(path), "undamaged, it opens");
    const before = process.memoryUsage();
    let opened = 0;
    let slowest = 0;
    for (let i = 0; i < count; i++) {
      const damaged = mutate(sound, random, text);
      writeFileSync(file, damaged);
      const start = performance.now();
      try {
        if (attempt(path)) opened++;
      } catch (error) {
        throw new Error(`mutant ${i} of seed ${seed}: ${damaged.toString("base64")}`, { cause: error });
      }
      slowest = Math.max(slowest, performance.now() - start);
      if (i % 500 === 0) {
        const now = process.memoryUsage();
        assert.ok(now.arrayBuffers - before.arrayBuffers < 2 ** 26, "array buffers stay small");
        assert.ok(now.heapUsed - before.heapUsed < 2 ** 27, "the heap stays small");
      }
    }
    writeFileSync(file, sound);
    t.diagnostic(`${opened} of ${count} opened; the slowest took ${slowest.toFixed(0)} ms`);
    assert.ok(opened >= opening * count, "some damage cannot be seen in a header");
    assert.ok(count - opened >= opening * count, "some must be refused");
    assert.ok(slowest < 10_000, "none hangs");
  });
}
