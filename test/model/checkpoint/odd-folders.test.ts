/** Folders as they are in the wild: other names of weights, a head that the config denies, a weight in two shards. */
import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { openCheckpoint, readSafetensors, writeSafetensors } from "../../../lib/model/checkpoint/index.js";
import { loadModel } from "../../../lib/model/load.js";
import { saveCheckpoint } from "../../../lib/model/training/index.js";
import type { Tensor } from "../../../lib/tensor.js";
import { says } from "../../refusals.js";
import { fixture } from "../goldens.js";
import { temporaryFolder } from "./fixtures.js";

type Weights = Map<string, Tensor>;

/** A copy of a tiny checkpoint with other weights and fields of config.json. */
function copyOf(
  variant: string,
  weights: (stored: Weights) => Weights = (w) => w,
  fields: object = {},
): string {
  return rewritten(fixture(variant), weights, fields);
}

function rewritten(source: string, weights: (stored: Weights) => Weights, fields: object): string {
  const folder = join(temporaryFolder(), "model");
  cpSync(source, folder, { recursive: true });
  const file = join(folder, "model.safetensors");
  writeSafetensors(file, Object.fromEntries(weights(readSafetensors(file))));
  const config = join(folder, "config.json");
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, "utf8")), ...fields }));
  return folder;
}

const renamed =
  (change: (name: string) => string) =>
  (weights: Weights): Weights =>
    new Map([...weights].map(([name, w]) => [change(name), w]));

/** Logits of a few tokens, with the warnings that loading gave. */
async function logitsOf(folder: string): Promise<{ logits: number[]; warnings: string[] }> {
  const warnings: string[] = [];
  const listen = (warning: Error): void => {
    if (warning.name === "ModalscopeWarning") warnings.push(warning.message);
  };
  process.on("warning", listen);
  const model = await loadModel(folder, { cache: false });
  const { logits } = await model.run(model.batch([[3, 1, 4, 1, 5]]));
  await model.close();
  // Warnings are emitted on the next tick.
  await new Promise(setImmediate);
  process.off("warning", listen);
  return { logits: [...logits!.data], warnings };
}

const silent = async (variant: string): Promise<{ logits: number[]; warnings: string[] }> => ({
  ...(await logitsOf(fixture(variant))),
  warnings: [],
});

describe("the same logits come of a checkpoint", () => {
  for (const variant of ["qwen2-tied", "gemma3_text-tied", "qwen3-tied", "llama-gqa2"])
    it(`saved without "model." before its weights' names: ${variant}`, async () => {
      const folder = copyOf(
        variant,
        renamed((name) => name.replace(/^model\./, "")),
      );
      assert.deepEqual(await logitsOf(folder), await silent(variant));
    });

  for (const prefix of ["module.", "_orig_mod.", "base_model.model.", "module._orig_mod."])
    it(`saved from inside a wrapper, ${prefix}`, async () => {
      const folder = copyOf(
        "qwen2-untied",
        renamed((name) => prefix + name),
      );
      assert.deepEqual(await logitsOf(folder), await silent("qwen2-untied"));
    });

  for (const variant of ["qwen2-untied", "qwen2-sharded"])
    it(`in Hugging Face's cache, where each file is a link out of the folder: ${variant}`, async () => {
      const folder = join(temporaryFolder(), "snapshots", "0a1b");
      const blobs = join(folder, "../../blobs");
      for (const made of [folder, blobs]) mkdirSync(made, { recursive: true });
      for (const file of readdirSync(fixture(variant))) {
        cpSync(join(fixture(variant), file), join(blobs, `blob-${file}`));
        symlinkSync(`../../blobs/blob-${file}`, join(folder, file));
      }
      assert.deepEqual(await logitsOf(folder), await silent(variant));
    });

  it("whose shards are links into several folders", async () => {
    const folder = join(temporaryFolder(), "model");
    cpSync(fixture("qwen2-sharded"), folder, { recursive: true });
    const shards = readdirSync(folder).filter((file) => /^model-.*\.safetensors$/.test(file));
    for (const shard of shards) {
      const elsewhere = join(temporaryFolder(), "shard.safetensors");
      renameSync(join(folder, shard), elsewhere);
      symlinkSync(elsewhere, join(folder, shard));
    }
    assert.deepEqual(await logitsOf(folder), await silent("qwen2-sharded"));
  });

  it("whose tied embedding is saved as the language head", async () => {
    const head = renamed((name) => (name === "model.embed_tokens.weight" ? "lm_head.weight" : name));
    assert.deepEqual(await logitsOf(copyOf("qwen2-tied", head)), await silent("qwen2-tied"));
  });

  it("that holds its tied embedding a second time", async () => {
    const twice = (weights: Weights): Weights =>
      new Map([...weights, ["lm_head.weight", weights.get("model.embed_tokens.weight")!]]);
    assert.deepEqual(await logitsOf(copyOf("qwen2-tied", twice)), await silent("qwen2-tied"));
  });

  it("whose language head contradicts tie_word_embeddings: the head counts, and a warning says so", async () => {
    const { logits, warnings } = await logitsOf(
      copyOf("qwen2-untied", (w) => w, { tie_word_embeddings: true }),
    );
    assert.deepEqual(logits, (await silent("qwen2-untied")).logits);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /tie_word_embeddings.*lm_head\.weight.*as in transformers/);
  });
});

it("a checkpoint whose weights have names of another library is refused with one of them", async () => {
  const folder = copyOf(
    "qwen2-untied",
    renamed((name) => name.replace("model.layers", "decoder.blocks")),
  );
  await assert.rejects(
    loadModel(folder, { cache: false }),
    says(/no block of a qwen2 model.*other names: ".+", not "model\.layers\.0\.…"/),
  );
});

it("a checkpoint without a language head, which its config does not tie, is refused with the ways out", async () => {
  const headless = copyOf("qwen2-untied", (weights) => {
    const others = new Map(weights);
    others.delete("lm_head.weight");
    return others;
  });
  await assert.rejects(
    loadModel(headless, { cache: false }),
    says(/has no language head.*lm_head\.weight.*tie_word_embeddings.*Take the folder of the whole model/),
  );
});

describe("a weight in two shards", () => {
  const first = "model-00001-of-00002.safetensors";
  const second = "model-00002-of-00002.safetensors";
  const name = "model.norm.weight";

  /** qwen2-untied in two shards that share a weight; in the second it is multiplied by `factor`. */
  function sharded(factor: number): string {
    const folder = copyOf("qwen2-untied");
    const weights = readSafetensors(join(folder, "model.safetensors"));
    rmSync(join(folder, "model.safetensors"));
    const norm = weights.get(name)!;
    const other = { ...norm, data: norm.data.map((x) => x * factor) };
    const rest = new Map(weights);
    rest.delete(name);
    writeSafetensors(join(folder, first), Object.fromEntries([...rest, [name, norm]]));
    writeSafetensors(join(folder, second), { [name]: other });
    const map = Object.fromEntries([...rest.keys()].map((key) => [key, first]));
    const index = { weight_map: { ...map, [name]: second } };
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
    return folder;
  }

  it("is read once where both are the same", async () => {
    assert.deepEqual(await logitsOf(sharded(1)), await silent("qwen2-untied"));
  });

  it("is that of the later shard where they differ, as in transformers, and a warning says so", async () => {
    const { logits, warnings } = await logitsOf(sharded(2));
    const doubled = (weights: Weights): Weights => {
      const norm = weights.get(name)!;
      return new Map([...weights, [name, { ...norm, data: norm.data.map((x) => x * 2) }]]);
    };
    assert.deepEqual(logits, (await logitsOf(copyOf("qwen2-untied", doubled))).logits);
    assert.match(warnings.join(), /in two files .* with different values.*model-00002.*is used/);
  });
});

describe("a checkpoint saved from weights under any of their names is read again", () => {
  const vision = (variant: string): string => join(fixture("qwen3-tied"), "..", variant);
  const layouts: Readonly<Record<string, (name: string) => string>> = {
    "the architecture's": (name) => name,
    "transformers 5's": (name) =>
      name === "lm_head.weight"
        ? name
        : name
            .replace(/^model\./, "model.language_model.")
            .replace(/^(?=vision_tower|visual|multi_modal)/, "model."),
    "transformers 4's": (name) =>
      name
        .replace(/^(?=model\.|lm_head)/, "language_model.")
        .replace(/^vision_tower\./, "vision_tower.vision_model."),
  };
  for (const variant of ["llava-default", "gemma3-window", "qwen3_vl-deep", "qwen3_vl_moe-top2"])
    for (const [names, rename] of Object.entries(layouts))
      it(`${variant}, ${names}`, () => {
        const source = openCheckpoint(vision(variant));
        const weights = new Map(
          [...source.weights].map(([name, { shape }]) => [rename(name), { shape, data: source.read(name) }]),
        );
        const folder = join(temporaryFolder(), "saved");
        saveCheckpoint(folder, source.config, weights);
        const saved = openCheckpoint(folder);
        assert.deepEqual([...saved.weights.keys()].sort(), [...source.weights.keys()].sort());
        for (const name of source.weights.keys()) assert.deepEqual(saved.read(name), source.read(name), name);
        saved.close();
        source.close();
      });
});

it("a weight of the tower that its architecture does not have is refused, and not dropped", async () => {
  const bias = (weights: Weights): Weights => {
    const [name] = [...weights.keys()].filter((key) => key.endsWith("embeddings.patch_embedding.weight"));
    const shape = weights.get(name)!.shape.slice(0, 1);
    return new Map([
      ...weights,
      [name.replace("weight", "bias"), { shape, data: new Float32Array(shape[0]) }],
    ]);
  };
  const folder = rewritten(join(fixture("qwen3-tied"), "..", "llava-default"), bias, {});
  await assert.rejects(
    loadModel(folder, { cache: false }),
    says(/holds the weight ".*patch_embedding\.bias"/),
  );
});

describe("what is no checkpoint, or not yet one, is refused with the way to one:", () => {
  /** A folder with these files, a copy of a whole checkpoint's where their text is undefined. */
  function folderOf(files: Readonly<Record<string, string | undefined>>): string {
    const folder = join(temporaryFolder(), "odd");
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      if (text === undefined) cpSync(join(fixture("qwen2-tied"), basename(name)), path);
      else writeFileSync(path, text);
    }
    return folder;
  }
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 12345\n`;
  const cases: readonly [what: string, path: () => string, says: RegExp][] = [
    [
      "an adapter",
      () => folderOf({ "adapter_config.json": "{}", "adapter_model.safetensors": "" }),
      /no config\.json but adapter_config\.json.*merge_and_unload/,
    ],
    [
      "a trainer's folder",
      () => folderOf({ "checkpoint-500/config.json": undefined }),
      /Give .*odd\/checkpoint-500\.$/,
    ],
    [
      "a model's folder in the Hub's cache",
      () => folderOf({ "refs/main": "abc", "snapshots/abc/config.json": undefined }),
      /Give .*odd\/snapshots\/abc\.$/,
    ],
    ["a folder of GGUF files", () => folderOf({ "q4.gguf": "", "q8.gguf": "" }), /q4\.gguf or .*q8\.gguf\.$/],
    ["an empty folder", () => folderOf({ "notes.txt": "" }), /Give the folder that holds config\.json/],
    [
      "an unfinished download",
      () => folderOf({ "config.json": undefined, "model.safetensors.incomplete": "" }),
      /download of model\.safetensors\.incomplete has not ended/,
    ],
    [
      "weights of another name",
      () => folderOf({ "config.json": undefined, "mine.safetensors": "" }),
      /It has mine\.safetensors\. .*rename it to model\.safetensors/,
    ],
    [
      "a shard without its index",
      () => folderOf({ "config.json": undefined, "model-00002-of-00002.safetensors": "" }),
      /model-00002-of-00002\.safetensors, one of several.*Download their index/,
    ],
    [
      "a link to where nothing is",
      () => {
        const folder = folderOf({ "config.json": undefined });
        symlinkSync("../../blobs/0a1b", join(folder, "model.safetensors"));
        return folder;
      },
      /model\.safetensors is a link to \.\.\/\.\.\/blobs\/0a1b, where nothing is.*cp -L/,
    ],
    [
      "pickled weights",
      () => folderOf({ "config.json": undefined, "pytorch_model.bin": "" }),
      /pytorch_model\.bin.*save_pretrained/,
    ],
    [
      "a pointer of Git LFS",
      () => folderOf({ "config.json": undefined, "model.safetensors": pointer }),
      /model\.safetensors is not the file itself.*git lfs pull/,
    ],
    [
      "a tokenizer that is one",
      () => folderOf({ "config.json": undefined, "model.safetensors": undefined, "tokenizer.json": pointer }),
      /tokenizer\.json is not the file itself.*git lfs pull/,
    ],
    [
      "one file of a folder",
      () => join(folderOf({ "config.json": undefined }), "config.json"),
      /one file of a checkpoint\. Give its folder: .*odd\.$/,
    ],
    [
      "a name of the Hub",
      () => "Qwen/Qwen2.5-0.5B",
      /hf download Qwen\/Qwen2\.5-0\.5B --local-dir Qwen2\.5-0\.5B/,
    ],
    ["its address", () => "https://huggingface.co/Qwen/Qwen3-0.6B", /hf download Qwen\/Qwen3-0\.6B/],
    ["nothing", () => "", /given an empty text/],
    ["no text", () => undefined as unknown as string, /given undefined/],
  ];
  for (const [what, path, message] of cases)
    it(what, async () => {
      await assert.rejects(loadModel(path(), { cache: false }), says(message));
    });

  it("a path is read as shells and browsers write it, and JSON as Windows' editors do", async () => {
    const folder = copyOf("qwen2-tied");
    const config = join(folder, "config.json");
    writeFileSync(config, `\uFEFF${readFileSync(config, "utf8")}`);
    const { HOME } = process.env;
    process.env.HOME = dirname(folder);
    try {
      for (const path of [pathToFileURL(folder).href, `~/${basename(folder)}`, `${folder}/`])
        assert.deepEqual(await logitsOf(path), await silent("qwen2-tied"), path);
    } finally {
      process.env.HOME = HOME;
    }
  });
});

describe("JSON as Python writes it", () => {
  /** A copy of qwen2-tied whose config.json begins with these fields. */
  function folderWith(fields: string): string {
    const folder = copyOf("qwen2-tied");
    const config = join(folder, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace("{", `{ ${fields},`));
    return folder;
  }

  it("may hold NaN and Infinity", async () => {
    const odd = String.raw`"time_step_limit": [0.0, Infinity, -Infinity, NaN], "NaN": "NaN, \" Infinity"`;
    assert.deepEqual(await logitsOf(folderWith(odd)), await silent("qwen2-tied"));
  });

  it("is refused by the field where they are no value", async () => {
    const folder = copyOf("qwen2-tied", undefined, { rms_norm_eps: "HERE" });
    const config = join(folder, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace('"HERE"', "NaN"));
    await assert.rejects(logitsOf(folder), says(/"rms_norm_eps": NaN\. It must be a number above zero/));
  });

  it("is refused as no JSON where it is none for Python either", async () => {
    await assert.rejects(logitsOf(folderWith('"a": nan')), says(/config\.json is not valid JSON/));
    await assert.rejects(logitsOf(folderWith('"a": NaN, "b": ')), says(/config\.json is not valid JSON/));
  });
});

it("weights in whole numbers, which are nothing without scales, are refused", async () => {
  const numbers: readonly ((values: Iterable<number>) => Uint8Array | Int32Array)[] = [
    (values) => Uint8Array.from(values),
    (values) => Int32Array.from(values),
  ];
  for (const whole of numbers) {
    const folder = copyOf("qwen2-tied");
    const file = join(folder, "model.safetensors");
    const name = "model.layers.0.mlp.gate_proj.weight";
    const weights = readSafetensors(file);
    const { shape, data } = weights.get(name)!;
    const changed = { shape, data: whole(data.map((_, i) => i % 7)) };
    writeSafetensors(file, { ...Object.fromEntries(weights), [name]: changed });
    await assert.rejects(
      loadModel(folder, { cache: false }),
      says(/gate_proj\.weight" is stored as [IU]\d+: the weights of a quantised model/),
    );
  }
});

describe("a generation config", () => {
  async function generated(fields: object): Promise<{ ids: readonly number[]; warnings: string[] }> {
    const warnings: string[] = [];
    const listen = ({ name, message }: Error): void => {
      if (name === "ModalscopeWarning") warnings.push(message);
    };
    const folder = copyOf("qwen2-tied");
    writeFileSync(join(folder, "generation_config.json"), JSON.stringify(fields));
    process.on("warning", listen);
    const model = await loadModel(folder, { cache: false });
    try {
      const batch = model.batch([[3, 1, 4]]);
      await model.generate(batch, { maxNewTokens: 2 });
      const [{ ids }] = await model.generate(batch, { maxNewTokens: 2 });
      return { ids, warnings };
    } finally {
      await model.close();
      await new Promise(setImmediate);
      process.off("warning", listen);
    }
  }

  it("whose fields are not used is told of, once", async () => {
    const { ids } = await generated({});
    const asked = { repetition_penalty: 1.3, do_sample: true, num_beams: 1, no_repeat_ngram_size: null };
    const odd = await generated(asked);
    assert.deepEqual(odd.ids, ids);
    assert.equal(odd.warnings.length, 1);
    assert.match(odd.warnings[0], /asks for do_sample true, repetition_penalty 1\.3\. generate does not use/);
    assert.deepEqual((await generated({ repetition_penalty: 1, do_sample: false })).warnings, []);
  });

  it("whose end tokens are no ids is refused", async () => {
    for (const eos_token_id of ["</s>", [2, "</s>"], [null], 2.5])
      await assert.rejects(generated({ eos_token_id }), says(/"eos_token_id" is .*It must be a token's id/));
  });
});

it("weights that are a folder of that name are told as such", () => {
  const folder = join(temporaryFolder(), "model");
  cpSync(fixture("qwen2-tied"), folder, { recursive: true });
  rmSync(join(folder, "model.safetensors"));
  mkdirSync(join(folder, "model.safetensors"));
  assert.throws(
    () => openCheckpoint(folder),
    says(/has no weights: .*model\.safetensors is a folder\. Put the file/),
  );
});
