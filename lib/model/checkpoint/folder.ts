import { basename, dirname, join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { warn } from "../../warnings.js";
import type { Checkpoint } from "./checkpoint.js";
import { isFile, isObject, type OpenFile, openFile, readJsonObject, readText, repeatedKey } from "./files.js";
import { contentHash } from "./hash.js";
import { canonicalName } from "./names.js";
import { noConfig, noWeights } from "./not-a-checkpoint.js";
import { headerBytes, readHeader } from "./safetensors/header.js";
import { checkpointOf, type StoredWeight, sameBytes } from "./store.js";

/** Opens a Hugging Face folder; see `openCheckpoint`. */
export function openFolder(path: string): Checkpoint {
  const config = readConfig(path);
  const generationPath = join(path, "generation_config.json");
  const generationConfig = isFile(generationPath) ? readJsonObject(generationPath) : undefined;
  const files: OpenFile[] = [];
  try {
    const weights = withEmbedding(renamed(openWeights(path, files), path), config);
    return checkpointOf({ path, format: "safetensors", config, generationConfig, files, weights }, () =>
      contentHash(
        [readText(join(path, "config.json"))],
        files.map((file) => ({ file, header: headerBytes(file) })),
        weights.values(),
      ),
    );
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

function readConfig(path: string): Record<string, unknown> {
  const file = join(path, "config.json");
  if (!isFile(file)) throw noConfig(path);
  const config = readJsonObject(file);
  if (typeof config.model_type !== "string") {
    throw new ModalscopeError(
      `${file} does not say which model it is:`,
      "it has no model_type.",
      "Add it, as in the model's card.",
    );
  }
  const quantisation = config.quantization_config;
  if (isObject(quantisation)) {
    throw new ModalscopeError(
      `${path} holds weights quantised with ${String(quantisation.quant_method ?? "an unnamed method")},`,
      "which cannot be read.",
      "Get the checkpoint in bfloat16, float16 or float32, or a GGUF file of it.",
    );
  }
  return config;
}

/** Opens the folder's safetensors files; they are added to `files` as they open. */
function openWeights(path: string, files: OpenFile[]): Map<string, StoredWeight> {
  const weights = new Map<string, StoredWeight>();
  const holders = new Map<string, string[]>();
  const add = (fileName: string): void => {
    const file = openFile(join(path, fileName));
    files.push(file);
    for (const [name, entry] of readHeader(file).tensors) {
      const weight: StoredWeight = { name, ...entry, file: file.path, source: file };
      const before = weights.get(name);
      if (before && !sameBytes(before, weight)) {
        warn(
          `Weight "${name}" is in two files of ${path} with different values.`,
          `That of ${fileName} is used and that of ${basename(before.file)} is not, as in transformers.`,
          "Download the checkpoint again if you did not expect this.",
        );
      }
      weights.set(name, weight);
      holders.set(name, [...(holders.get(name) ?? []), fileName]);
    }
  };
  const single = "model.safetensors";
  const index = join(path, "model.safetensors.index.json");
  if (isFile(join(path, single))) add(single);
  else if (isFile(index)) {
    const places = readIndex(index);
    // In the order in which transformers reads them, which counts where a weight is in several.
    for (const shard of [...new Set(places.values())].sort()) add(shard);
    checkIndex(index, places, holders);
  } else throw noWeights(path);
  return weights;
}

/** Weights under the names that the architectures read. */
function renamed(weights: ReadonlyMap<string, StoredWeight>, path: string): Map<string, StoredWeight> {
  const all = new Map<string, StoredWeight>();
  for (const [stored, weight] of weights) {
    const name = canonicalName(stored);
    if (all.has(name)) {
      throw new ModalscopeError(
        `${path} holds the weight "${name}" under two names,`,
        `one of them "${stored}".`,
        "Save it with one release of transformers.",
      );
    }
    all.set(name, { ...weight, name });
  }
  return all;
}

/**
 * Weights with a token embedding: where only the language head is there and the two are one, it is the embedding.
 */
function withEmbedding(
  weights: Map<string, StoredWeight>,
  config: Readonly<Record<string, unknown>>,
): Map<string, StoredWeight> {
  const head = weights.get("lm_head.weight");
  const isGpt2 = config.model_type === "gpt2";
  const embedding = isGpt2 ? "transformer.wte.weight" : "model.embed_tokens.weight";
  if (!head || weights.has(embedding) || config.tie_word_embeddings === false) return weights;
  weights.delete(head.name);
  return weights.set(embedding, { ...head, name: embedding });
}

/** The index of a sharded checkpoint: which weight is in which file. */
function readIndex(path: string): Map<string, string> {
  const { weight_map: map } = readJsonObject(path);
  const repeated = repeatedKey(readText(path));
  const bad = (why: string): ModalscopeError =>
    new ModalscopeError(`${path} is not a sound index of weights:`, why, "Download it again.");
  if (repeated !== undefined) throw bad(`it holds "${repeated}" twice.`);
  if (!isObject(map) || Object.keys(map).length === 0) throw bad("it has no weight_map.");
  const places = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    // A bare file name: the index must not lead out of the folder.
    if (typeof file !== "string" || file === "" || basename(file) !== file || file.includes("\0")) {
      throw bad(`it places "${name}" in something that is not a file name.`);
    }
    if (!isFile(join(dirname(path), file))) {
      throw new ModalscopeError(
        `${dirname(path)} lacks the file ${file}`,
        "that its index names.",
        "Download the missing shard.",
      );
    }
    places.set(name, file);
  }
  return places;
}

function checkIndex(
  path: string,
  places: ReadonlyMap<string, string>,
  holders: ReadonlyMap<string, readonly string[]>,
): void {
  for (const [name, file] of places) {
    const held = holders.get(name) ?? [];
    if (!held.includes(file)) {
      throw new ModalscopeError(
        `${path} places "${name}" in ${file},`,
        held.length > 0 ? `but it lies in ${held.join(", ")}.` : "but no file has it.",
        "Download the checkpoint again.",
      );
    }
  }
}
