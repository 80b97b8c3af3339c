import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../../../lib/cache-folder.js";
import {
  type Checkpoint,
  float32Checkpoint,
  loadTokenizer,
  openCheckpoint,
  readSafetensors,
  writeSafetensors,
} from "../../../lib/model/checkpoint/index.js";
import { says } from "../../refusals.js";
import { bytesOf, fixture, temporaryFolder } from "./fixtures.js";

const folder = temporaryFolder();
let count = 0;
const freshFolder = (): string => join(folder, `cache${count++}`);
const filesIn = (cache: string): string[] => readdirSync(join(cache, "float32"));
const fileOf = (checkpoint: Checkpoint): string => [...checkpoint.weights.values()][0].file;

for (const name of ["qwen2.gguf", "qwen3moe.gguf", "llama3.gguf", "llama2.gguf", "gemma3.gguf", "hf-bf16"]) {
  test(`${name}: a float32 copy has the same weights, aligned, in one file`, async () => {
    const cache = freshFolder();
    const steps: [number, number][] = [];
    const source = openCheckpoint(fixture(name));
    const copy = await float32Checkpoint(source, cache, {
      onProgress: (done, total) => steps.push([done, total]),
    });
    assert.notEqual(copy, source);
    assert.equal(copy.path, source.path);
    assert.equal(copy.hash, source.hash);
    assert.deepEqual(copy.config, source.config);
    assert.deepEqual(copy.generationConfig, source.generationConfig);
    assert.deepEqual([...copy.weights.keys()].sort(), [...source.weights.keys()].sort());
    for (const [weight, { dtype, shape, offset, file }] of copy.weights) {
      assert.equal(dtype, "F32");
      assert.equal(offset % 64, 0, weight);
      assert.equal(file, fileOf(copy));
      assert.deepEqual(shape, source.weights.get(weight)?.shape);
    }
    const golden = fixture(`${name.replace(".gguf", "")}.golden.safetensors`);
    for (const [weight, { data }] of readSafetensors(golden)) {
      assert.ok(bytesOf(copy.read(weight)).equals(bytesOf(data)), weight);
    }
    const total = [...copy.weights.values()].reduce((bytes, w) => bytes + w.byteLength, 0);
    assert.deepEqual(steps.at(-1), [total, total]);
    assert.ok(steps.every(([done], i) => i === 0 || done > steps[i - 1][0]));
    assert.equal(filesIn(cache).length, 1);
    copy.close();
    assert.throws(() => source.read("model.norm.weight"), says(/was closed/));
  });
}

test("the second time the copy is found; after a change of the checkpoint it is made anew", async () => {
  const cache = freshFolder();
  const model = join(folder, "changing");
  cpSync(fixture("hf-bf16"), model, { recursive: true });
  const convert = async (): Promise<{ file: string; steps: number; norm: Float32Array }> => {
    let steps = 0;
    const copy = await float32Checkpoint(openCheckpoint(model), cache, { onProgress: () => steps++ });
    const norm = copy.read("model.norm.weight");
    copy.close();
    return { file: fileOf(copy), steps, norm };
  };
  const first = await convert();
  assert.ok(first.steps > 0);
  const second = await convert();
  assert.deepEqual([second.file, second.steps], [first.file, 0]);
  const shard = join(model, "model-00002-of-00002.safetensors");
  const bytes = readFileSync(shard);
  bytes[bytes.length - 1] ^= 0x40;
  writeFileSync(shard, bytes);
  const third = await convert();
  assert.ok(third.steps > 0);
  assert.notEqual(third.file, first.file);
});

test("a damaged copy is made again: cut off, or without its data", async () => {
  const cache = freshFolder();
  const convert = async (): Promise<string> => {
    const copy = await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache);
    copy.close();
    return fileOf(copy);
  };
  const file = await convert();
  const sound = readFileSync(file);
  truncateSync(file, 5000);
  assert.equal(await convert(), file);
  assert.ok(readFileSync(file).equals(sound));
  const dataStart = 8 + Number(sound.readBigUInt64LE(0));
  writeFileSync(file, Buffer.concat([sound.subarray(0, dataStart), Buffer.alloc(sound.length - dataStart)]));
  assert.equal(await convert(), file);
  assert.ok(readFileSync(file).equals(sound));
});

test("a checkpoint that is float32 already is returned as it is", async () => {
  const model = join(folder, "float32");
  cpSync(fixture("hf-bf16"), model, { recursive: true });
  const tensors = Object.fromEntries(readSafetensors(fixture("hf-bf16.golden.safetensors")));
  writeSafetensors(join(model, "model.safetensors"), tensors);
  const cache = freshFolder();
  const checkpoint = openCheckpoint(model);
  assert.equal(await float32Checkpoint(checkpoint, cache), checkpoint);
  assert.equal(existsSync(cache), false);
  checkpoint.close();
});

test("an aborted conversion leaves nothing, and stops at once", async () => {
  const cache = freshFolder();
  const abort = new AbortController();
  let steps = 0;
  const onProgress = (): void => {
    if (++steps === 3) abort.abort(new Error("enough"));
  };
  const source = openCheckpoint(fixture("qwen2.gguf"));
  await assert.rejects(float32Checkpoint(source, cache, { onProgress, signal: abort.signal }), /enough/);
  assert.equal(steps, 3);
  assert.deepEqual(filesIn(cache), []);
  source.close();
});

test("what a crashed conversion left is cleared after a day, what is being written is not", async () => {
  const cache = freshFolder();
  (await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache)).close();
  const [old, fresh] = ["old.1-aa.tmp", "fresh.2-bb.tmp"].map((name) => join(cache, "float32", name));
  for (const path of [old, fresh]) writeFileSync(path, "x");
  const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
  utimesSync(old, twoDaysAgo, twoDaysAgo);
  (await float32Checkpoint(openCheckpoint(fixture("qwen2.gguf")), cache)).close();
  assert.deepEqual([existsSync(old), existsSync(fresh)], [false, true]);
});

test("what a dead process of this machine left is cleared at once", async () => {
  const cache = freshFolder();
  (await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache)).close();
  const host = hostname().replace(/\W/g, "_");
  // Larger than any process number that Linux gives.
  const name = (who: string, pid: number): string => join(cache, "float32", `x.${who}-${pid}-0123abcd.tmp`);
  const [dead, alive, elsewhere] = [name(host, 2 ** 30), name(host, process.pid), name("other", 2 ** 30)];
  for (const path of [dead, alive, elsewhere]) writeFileSync(path, "x");
  (await float32Checkpoint(openCheckpoint(fixture("qwen2.gguf")), cache)).close();
  assert.deepEqual([dead, alive, elsewhere].map(existsSync), [false, true, true]);
});

describe("a copy of which something changed is made again", () => {
  /** The second row from the end of a matrix, which no sampled row is; and a block of zeros in the middle. */
  const changes: Readonly<Record<string, (bytes: Buffer, at: number, row: number) => void>> = {
    "one number of a row between": (bytes, at, row) => bytes.writeFloatLE(1, at + row),
    "one bit": (bytes, at, row) => bytes.writeUInt8(bytes.readUInt8(at + row + 5) ^ 1, at + row + 5),
    "a block of zeros": (bytes, at, row) => bytes.fill(0, at + row, at + 3 * row),
    "two rows that have changed places": (bytes, at, row) => {
      const first = Buffer.from(bytes.subarray(at + row, at + 2 * row));
      bytes.copy(bytes, at + row, at + 2 * row, at + 3 * row);
      first.copy(bytes, at + 2 * row);
    },
    "the sign of a zero": (bytes, at, row) =>
      bytes.writeUInt8(bytes.readUInt8(at + row + 3) ^ 0x80, at + row + 3),
    "its last byte": (bytes) => bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1),
    "a checksum": (bytes) => {
      const digit = bytes.indexOf('"crc32":"') + 9;
      bytes.writeUInt8(bytes.readUInt8(digit) === 0x30 ? 0x31 : 0x30, digit);
    },
    "the name of its checksums": (bytes) => bytes.write("crc31", bytes.indexOf("crc32")),
    "the length of its header": (bytes) => bytes.writeBigUInt64LE(2n ** 40n, 0),
  };
  for (const [what, change] of Object.entries(changes))
    test(what, async () => {
      const cache = freshFolder();
      const first = await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache);
      const file = fileOf(first);
      const weight = [...first.weights.values()].find(({ shape }) => shape.length === 2 && shape[0] > 8)!;
      first.close();
      const sound = readFileSync(file);
      const broken = Buffer.from(sound);
      change(broken, weight.offset, weight.shape[1] * 4);
      assert.ok(!broken.equals(sound));
      writeFileSync(file, broken);
      const again = await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache);
      again.close();
      assert.ok(readFileSync(file).equals(sound));
    });
});

test("a copy is compared once by a process, and again when its times changed", async () => {
  const cache = freshFolder();
  const open = async (): Promise<{ file: string; labels: Set<string> }> => {
    const labels = new Set<string>();
    let left = 0;
    const onProgress = (done: number, total: number, label: string): void => {
      labels.add(label);
      left = total - done;
    };
    const copy = await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache, { onProgress });
    copy.close();
    // A bar is finished by its total alone.
    assert.equal(left, 0);
    return { file: fileOf(copy), labels };
  };
  const { file, labels } = await open();
  assert.deepEqual([...labels], ["Converting weights to float32"]);
  assert.deepEqual([...(await open()).labels], []);
  utimesSync(file, 1, 1);
  assert.deepEqual([...(await open()).labels], ["Checking the float32 copy"]);
  assert.deepEqual([...(await open()).labels], []);
});

test("a copy to which others may write is made again", async () => {
  const cache = freshFolder();
  const mask = process.umask(0);
  try {
    for (let round = 0; round < 2; round++) {
      const copy = await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache);
      copy.close();
      const { mode, ino } = statSync(fileOf(copy));
      assert.equal(mode & 0o777, 0o644);
      chmodSync(fileOf(copy), 0o664);
      const again = await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache);
      again.close();
      assert.notEqual(statSync(fileOf(again)).ino, ino);
    }
  } finally {
    process.umask(mask);
  }
});

test("a folder to which others may write is refused", async () => {
  const cache = freshFolder();
  (await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache)).close();
  for (const mode of [0o777, 0o775]) {
    chmodSync(join(cache, "float32"), mode);
    await assert.rejects(
      float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache),
      says(/Other users may write to the cache folder .*chmod go-w/s),
    );
  }
  chmodSync(join(cache, "float32"), 0o755);
  (await float32Checkpoint(openCheckpoint(fixture("llama2.gguf")), cache)).close();
});

test("a checkpoint larger than the disk is refused before anything is written", async () => {
  // A sparse bfloat16 file: 2^41 numbers, which take 8 TiB as float32.
  const model = join(folder, "huge");
  cpSync(fixture("hf-bf16"), model, { recursive: true });
  const bytes = 2 ** 42;
  const header = JSON.stringify({
    a: { dtype: "BF16", shape: [2 ** 20, 2 ** 21], data_offsets: [0, bytes] },
  });
  const file = join(model, "model.safetensors");
  const start = Buffer.alloc(8 + header.length);
  start.writeBigUInt64LE(BigInt(header.length));
  start.write(header, 8);
  writeFileSync(file, start);
  truncateSync(file, start.length + bytes);
  const cache = freshFolder();
  await assert.rejects(
    float32Checkpoint(openCheckpoint(model), cache),
    says(/takes 8796\.09 GB in .*are free/),
  );
  assert.deepEqual(filesIn(cache), []);
});

test("a cache that cannot be made is explained", async () => {
  const file = join(folder, "a-file");
  writeFileSync(file, "");
  const source = openCheckpoint(fixture("llama2.gguf"));
  await assert.rejects(float32Checkpoint(source, file), says(/cannot be made.*MODALSCOPE_CACHE/));
  source.close();
});

test("the tokenizer of a copy is that of the checkpoint", async () => {
  const copy = await float32Checkpoint(openCheckpoint(fixture("qwen2.gguf")), freshFolder());
  const tokenizer = await loadTokenizer(copy);
  copy.close();
  assert.equal(tokenizer.eos_token, "<|im_end|>");
});

test("where the cache lies", () => {
  const { MODALSCOPE_CACHE, XDG_CACHE_HOME } = process.env;
  try {
    process.env.MODALSCOPE_CACHE = "/a";
    assert.equal(cacheFolder(), "/a");
    process.env.MODALSCOPE_CACHE = "";
    process.env.XDG_CACHE_HOME = "/b";
    assert.equal(cacheFolder(), join("/b", "modalscope"));
    delete process.env.XDG_CACHE_HOME;
    assert.match(cacheFolder(), /\.cache.modalscope$/);
  } finally {
    for (const [key, value] of Object.entries({ MODALSCOPE_CACHE, XDG_CACHE_HOME })) {
      if (value === undefined) delete process.env[key];
      else process.env[key] = value;
    }
  }
});

test("processes that convert the same checkpoint at once all get it", async () => {
  const cache = freshFolder();
  const library = fileURLToPath(new URL("../../../lib/model/checkpoint/index.js", import.meta.url));
  const script = `
    const { openCheckpoint, float32Checkpoint } = await import(process.argv[1]);
    const copy = await float32Checkpoint(openCheckpoint(process.argv[2]), process.argv[3]);
    console.log(copy.read("lm_head.weight").reduce((a, b) => a + b));
  `;
  const run = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const args = ["--input-type=module", "-e", script, library, fixture("llama3.gguf"), cache];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      let out = "";
      child.stdout.on("data", (data) => {
        out += data;
      });
      child.on("close", (code) => (code === 0 ? resolve(out) : reject(new Error(`exit ${code}`))));
    });
  const outputs = await Promise.all([run(), run(), run()]);
  const expected = openCheckpoint(fixture("llama3.gguf"));
  const sum = expected.read("lm_head.weight").reduce((a, b) => a + b);
  expected.close();
  assert.deepEqual(outputs, new Array(3).fill(`${sum}\n`));
  assert.equal(filesIn(cache).length, 1);
});
