import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Checkpoint, openCheckpoint, readSafetensors } from "../../../lib/model/checkpoint/index.js";
import { says } from "../../refusals.js";
import { bytesOf, fixture, temporaryFolder } from "./fixtures.js";

/** Fields of config.json that change what the model computes, per fixture. */
const computing = [
  ...["model_type", "architectures", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"],
  ...["num_attention_heads", "num_key_value_heads", "rope_parameters", "max_position_embeddings"],
  ...["tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id"],
];
const perModel = {
  qwen2: ["hidden_act", "layer_types", "use_sliding_window", "sliding_window"],
  llama3: ["hidden_act", "head_dim", "attention_bias", "mlp_bias"],
  llama2: ["hidden_act", "head_dim", "attention_bias", "mlp_bias"],
  qwen3moe: [
    ...["hidden_act", "head_dim", "attention_bias", "moe_intermediate_size", "norm_topk_prob"],
    ...["num_experts_per_tok", "num_local_experts"],
  ],
  gemma3: [
    ...["hidden_activation", "head_dim", "layer_types", "sliding_window", "query_pre_attn_scalar"],
    ...["attn_logit_softcapping", "final_logit_softcapping", "attention_bias", "use_bidirectional_attention"],
  ],
};

function assertSameWeights(checkpoint: Checkpoint, golden: string): void {
  const expected = readSafetensors(golden);
  assert.deepEqual([...checkpoint.weights.keys()].sort(), [...expected.keys()].sort());
  for (const [name, { shape, data }] of expected) {
    assert.deepEqual(checkpoint.weights.get(name)?.shape, shape, name);
    assert.ok(bytesOf(checkpoint.read(name)).equals(bytesOf(data)), `${name} differs`);
  }
}

for (const [name, fields] of Object.entries(perModel)) {
  test(`${name}.gguf gives the weights that transformers reads, bit for bit`, () => {
    const checkpoint = openCheckpoint(fixture(`${name}.gguf`));
    assert.equal(checkpoint.format, "gguf");
    assertSameWeights(checkpoint, fixture(`${name}.golden.safetensors`));
    checkpoint.close();
  });

  test(`${name}.gguf gives back the configuration it was made from`, () => {
    const { config } = JSON.parse(readFileSync(fixture(`${name}.golden.json`), "utf8"));
    config.architectures ??= {
      qwen2: ["Qwen2ForCausalLM"],
      gemma3: ["Gemma3ForCausalLM"],
      qwen3moe: ["Qwen3MoeForCausalLM"],
    }[name] ?? ["LlamaForCausalLM"];
    const checkpoint = openCheckpoint(fixture(`${name}.gguf`));
    checkpoint.close();
    assert.equal(checkpoint.modelType, config.model_type);
    for (const field of [...computing, ...fields]) {
      assert.deepEqual(checkpoint.config[field], config[field], field);
    }
    // Stored as float32.
    assert.equal(checkpoint.config.rms_norm_eps, Math.fround(config.rms_norm_eps));
  });
}

test("generation stops at the end of a turn too", () => {
  const gemma = openCheckpoint(fixture("gemma3.gguf"));
  gemma.close();
  assert.deepEqual(gemma.generationConfig, { bos_token_id: 2, eos_token_id: [1, 5], pad_token_id: 0 });
});

test("a sharded bfloat16 folder", () => {
  const checkpoint = openCheckpoint(fixture("hf-bf16"));
  assert.equal(checkpoint.format, "safetensors");
  assert.equal(checkpoint.modelType, "qwen2");
  assert.equal(new Set([...checkpoint.weights.values()].map((w) => w.file)).size, 2);
  assert.equal(typeof checkpoint.generationConfig?.eos_token_id, "number");
  assertSameWeights(checkpoint, fixture("hf-bf16.golden.safetensors"));
  checkpoint.close();
});

test("rows are those of the whole weight: stored in blocks, reordered by llama.cpp, shifted by one", () => {
  for (const [file, names] of [
    ["llama3.gguf", ["model.embed_tokens.weight", "model.layers.1.self_attn.k_proj.weight"]],
    ["gemma3.gguf", ["model.layers.0.mlp.down_proj.weight"]],
    ["hf-bf16", ["model.layers.0.mlp.up_proj.weight"]],
  ] as const) {
    const checkpoint = openCheckpoint(fixture(file));
    for (const name of names) {
      const [rows, width] = checkpoint.weights.get(name)!.shape;
      const whole = checkpoint.read(name);
      const wanted = [rows - 1, 0, 5, 5, 17];
      const expected = wanted.flatMap((row) => [...whole.subarray(row * width, (row + 1) * width)]);
      assert.deepEqual([...checkpoint.readRows(name, wanted)], expected, name);
    }
    checkpoint.close();
  }
});

test("reading into an array that is there, and what cannot be read", () => {
  const checkpoint = openCheckpoint(fixture("hf-bf16"));
  const norm = "model.norm.weight";
  const into = new Float32Array(32);
  assert.equal(checkpoint.read(norm, into), into);
  assert.ok(into.some((x) => x !== 0));
  assert.throws(() => checkpoint.read(norm, new Float32Array(31)), says(/array of 31/));
  assert.throws(() => checkpoint.read("model.norms.weight"), says(/Did you mean "model\.norm\.weight"/));
  assert.throws(() => checkpoint.readRows(norm, [0]), says(/has no rows/));
  assert.throws(() => checkpoint.readRows("model.embed_tokens.weight", [-1]), says(/no row -1/));
  assert.throws(() => checkpoint.readRows("model.embed_tokens.weight", [1e9]), says(/no row 1000000000/));
  checkpoint.close();
  assert.throws(() => checkpoint.read(norm), says(/was closed/));
});

test("the hash tells contents apart, and not places", () => {
  const folder = temporaryFolder();
  const copy = join(folder, "copy");
  cpSync(fixture("hf-bf16"), copy, { recursive: true });
  const hash = (path: string): string => {
    const checkpoint = openCheckpoint(path);
    const { hash } = checkpoint;
    checkpoint.close();
    return hash;
  };
  const before = hash(fixture("hf-bf16"));
  assert.match(before, /^[0-9a-f]{64}$/);
  assert.equal(hash(copy), before);
  const shard = join(copy, "model-00002-of-00002.safetensors");
  const bytes = readFileSync(shard);
  bytes[bytes.length - 1] ^= 1; // one bit of one weight
  writeFileSync(shard, bytes);
  assert.notEqual(hash(copy), before);
  assert.notEqual(hash(fixture("qwen2.gguf")), hash(fixture("llama2.gguf")));
});

/** A copy of the sharded folder to damage. */
function damagedFolder(damage: (path: string, index: Record<string, string>) => void): string {
  const path = join(temporaryFolder(), "model");
  cpSync(fixture("hf-bf16"), path, { recursive: true });
  const indexPath = join(path, "model.safetensors.index.json");
  const index = JSON.parse(readFileSync(indexPath, "utf8"));
  damage(path, index.weight_map);
  writeFileSync(indexPath, JSON.stringify(index));
  return path;
}

const second = "model-00002-of-00002.safetensors";
const damages: [string, (path: string, map: Record<string, string>) => void, RegExp][] = [
  ["a shard is missing", (path) => rmSync(join(path, second)), /lacks the file model-00002/],
  [
    "a shard is cut off",
    (path) => writeFileSync(join(path, second), readFileSync(join(path, second)).subarray(0, 9000)),
    /past the file's end/,
  ],
  [
    "a weight is in no shard",
    (_, map) => {
      map["model.extra.weight"] = second;
    },
    /no file has it/,
  ],
  [
    "a weight is in another shard",
    (_, map) => {
      map["model.embed_tokens.weight"] = second;
    },
    /lies in model-00001/,
  ],
  [
    "the index leads out of the folder",
    (_, map) => {
      map["model.norm.weight"] = "../x.safetensors";
    },
    /not a file name/,
  ],
  ["config.json is missing", (path) => rmSync(join(path, "config.json")), /no config\.json/],
  ["config.json is not JSON", (path) => writeFileSync(join(path, "config.json"), "{"), /not valid JSON/],
  ["config.json is a list", (path) => writeFileSync(join(path, "config.json"), "[]"), /JSON object/],
  ["the model is not named", (path) => writeFileSync(join(path, "config.json"), "{}"), /no model_type/],
  [
    "weights are quantised",
    (path) =>
      writeFileSync(
        join(path, "config.json"),
        '{"model_type":"llama","quantization_config":{"quant_method":"awq"}}',
      ),
    /quantised with awq/,
  ],
];

for (const [what, damage, message] of damages) {
  test(`a folder in which ${what} is refused`, () => {
    assert.throws(() => openCheckpoint(damagedFolder(damage)), says(message));
  });
}

test("folders without safetensors, and paths where nothing is", () => {
  const folder = temporaryFolder();
  assert.throws(() => openCheckpoint(join(folder, "nothing")), says(/no such file/));
  writeFileSync(join(folder, "config.json"), '{"model_type":"llama"}');
  assert.throws(() => openCheckpoint(folder), says(/has no weights: neither model\.safetensors/));
  writeFileSync(join(folder, "pytorch_model.bin"), "x");
  assert.throws(() => openCheckpoint(folder), says(/pytorch_model\.bin, a format that can run code/));
  mkdirSync(join(folder, "model.gguf"));
  assert.throws(() => openCheckpoint(join(folder, "model.gguf")), says(/no config\.json/));
  writeFileSync(join(folder, "text.gguf"), "This is no model, though it is named like one.");
  assert.throws(() => openCheckpoint(join(folder, "text.gguf")), says(/does not start with GGUF/));
});
