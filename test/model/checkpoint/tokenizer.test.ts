import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { mergesOf } from "../../../lib/model/checkpoint/gguf/merges.js";
import {
  hasTokenizer,
  loadTokenizer,
  openCheckpoint,
  type Tokenizer,
} from "../../../lib/model/checkpoint/index.js";
import { says } from "../../refusals.js";
import { fixture, temporaryFolder } from "./fixtures.js";

interface Golden {
  texts: { text: string; ids: number[]; decoded: string; plain: string }[];
  chat: { messages: { role: string; content: string }[]; ids: number[] } | null;
  decomposed?: { text: string; ids: number[] };
}

function golden(name: string): Golden {
  return JSON.parse(readFileSync(fixture(`${name}.golden.json`), "utf8"));
}

async function tokenizerOf(path: string): Promise<Tokenizer> {
  const checkpoint = openCheckpoint(path);
  checkpoint.close();
  assert.ok(hasTokenizer(checkpoint));
  return loadTokenizer(checkpoint);
}

// qwen2 and llama3 are byte-level, llama2 and gemma3 are SentencePiece with merges recovered from the vocabulary.
for (const [path, name] of [
  ["qwen2.gguf", "qwen2"],
  ["qwen3moe.gguf", "qwen3moe"],
  ["llama3.gguf", "llama3"],
  ["llama2.gguf", "llama2"],
  ["gemma3.gguf", "gemma3"],
  ["hf-bf16", "qwen2"],
]) {
  test(`${path}: texts become the tokens that transformers makes of them, and come back`, async () => {
    const tokenizer = await tokenizerOf(fixture(path));
    for (const { text, ids, decoded, plain } of golden(name).texts) {
      assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
      if (ids.length === 0) continue;
      assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
      assert.equal(tokenizer.decode(ids, { skip_special_tokens: true }), plain, JSON.stringify(text));
    }
  });
}

for (const path of ["qwen2.gguf", "hf-bf16"]) {
  test(`${path}: the chat template is the model's own`, async () => {
    const { chat } = golden("qwen2");
    const tokenizer = await tokenizerOf(fixture(path));
    const ids = tokenizer.apply_chat_template(chat!.messages, {
      add_generation_prompt: true,
      return_tensor: false,
      return_dict: false,
    });
    assert.deepEqual(ids, chat!.ids);
  });
}

test("a Qwen vocabulary composes characters, as Qwen's own tokenizer does", async () => {
  const { text, ids } = golden("qwen2").decomposed!;
  const tokenizer = await tokenizerOf(fixture("qwen2.gguf"));
  assert.deepEqual(tokenizer.encode(text), ids);
  assert.deepEqual(tokenizer.encode(text.normalize("NFC")), ids);
});

test("special tokens are known by name", async () => {
  const gemma = await tokenizerOf(fixture("gemma3.gguf"));
  assert.deepEqual(
    [gemma.bos_token_id, gemma.eos_token_id, gemma.pad_token_id, gemma.unk_token_id],
    [2, 1, 0, 3],
  );
  assert.ok(gemma.all_special_tokens.includes("<start_of_turn>"));
});

const folder = join(temporaryFolder(), "model");
cpSync(fixture("hf-bf16"), folder, { recursive: true });

test("a folder's configuration says whether texts get marks; tokens may be objects", async () => {
  const configPath = join(folder, "tokenizer_config.json");
  const config = JSON.parse(readFileSync(configPath, "utf8"));
  const plain = (await tokenizerOf(folder)).encode("Hello");
  config.add_bos_token = true;
  config.bos_token = { content: config.bos_token, lstrip: false };
  writeFileSync(configPath, JSON.stringify(config));
  const tokenizer = await tokenizerOf(folder);
  assert.equal(tokenizer.bos_token, "<|endoftext|>");
  assert.deepEqual(tokenizer.encode("Hello"), [tokenizer.bos_token_id, ...plain]);
  assert.deepEqual(tokenizer.encode("Hello", { add_special_tokens: false }), plain);
});

test("without a tokenizer there is none", async () => {
  const checkpoint = openCheckpoint(folder);
  checkpoint.close();
  rmSync(join(folder, "tokenizer.json"));
  assert.equal(hasTokenizer(checkpoint), false);
  await assert.rejects(loadTokenizer(checkpoint), says(/tokenizer\.json is missing/));
});

test("merges: the best token first, then the longer left part", () => {
  const tokens = ["a", "b", "ab", "aba", "ba", "😀", "😀a"];
  //              scores: ab −1, aba −2 (ab+a before a+ba), ba −3, 😀a −4
  assert.deepEqual(mergesOf(tokens, [-9, -9, -1, -2, -3, -9, -4]), [
    ["a", "b"],
    ["ab", "a"],
    ["a", "ba"],
    ["b", "a"],
    ["😀", "a"],
  ]);
});
