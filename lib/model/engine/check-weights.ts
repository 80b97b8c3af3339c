import { didYouMean, ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { warn } from "../../warnings.js";
import {
  type Checkpoint,
  canonicalName,
  isReadable,
  sameWeight,
  type WeightDtype,
  type WeightInfo,
} from "../checkpoint/index.js";
import {
  buildPiece,
  type Family,
  HEAD,
  pieces,
  type TextConfig,
  textPart,
  weightsOf,
} from "../families/index.js";
import { expertLayout, expertShapes, placeOf } from "./expert-layout.js";

/** A weight as a tensor. */
export function weightTensor(checkpoint: Checkpoint, name: string): Tensor {
  const info = checkpoint.weights.get(canonicalName(name));
  if (!info) {
    throw new ModalscopeError(
      `The checkpoint has no weight "${name}".`,
      "",
      didYouMean(name, checkpoint.weights.keys()),
    );
  }
  return { data: checkpoint.read(info.name), shape: info.shape };
}

/**
 * Compares the number of blocks in config.json with the weights' names, before anything of that number is made.
 * @throws ModalscopeError when they differ
 */
export function checkBlocks({ names }: Family, { path, config: raw, weights }: Checkpoint): void {
  const config = textPart(raw);
  const [prefix] = names.layer(0).split("0");
  const numbers = [...weights.keys()].map((name) =>
    name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : -1,
  );
  const blocks = numbers.reduce((a, b) => Math.max(a, b), -1) + 1;
  // GPT-2 calls it n_layer.
  const field = config.n_layer === undefined ? "num_hidden_layers" : "n_layer";
  if (config[field] === blocks) return;
  const [first] = weights.keys();
  if (blocks === 0 && first !== undefined) {
    throw new ModalscopeError(
      `${path} holds no block of a ${String(config.model_type)} model.`,
      `Its weights have other names: "${first}", not "${prefix}0.…".`,
      "Save it with transformers (save_pretrained), or correct model_type in config.json.",
    );
  }
  throw new ModalscopeError(
    `config.json has "${field}": ${JSON.stringify(config[field])}.`,
    `${path} holds the weights of ${blocks} blocks.`,
    "Config and weights belong to different models, or a shard is missing.",
  );
}

/** Weights that no architecture reads: masks, angles and positions of older checkpoints, and what follows a tower's blocks. */
const UNREAD =
  /rotary_emb\.inv_freq$|\.attn\.(masked_)?bias$|\.position_ids$|^vision_tower\.(post_layernorm|head)\./;

/** Whether a weight is known to be left out: of every model, or of a tower's block after those that are read. */
function isUnread(name: string, { vision_config: vision }: TextConfig): boolean {
  const block = /^vision_tower\.encoder\.layers\.(\d+)\./.exec(name);
  return UNREAD.test(name) || (block !== null && Number(block[1]) >= (vision?.num_hidden_layers ?? 0));
}

/**
 * The config without tied embeddings where the checkpoint holds a language head of other values, as in transformers:
 * weights count more than `tie_word_embeddings`.
 */
export function withOwnHead({ names }: Family, config: TextConfig, checkpoint: Checkpoint): TextConfig {
  const { weights, path } = checkpoint;
  if (!config.tie_word_embeddings || !weights.has(HEAD_WEIGHT) || !weights.has(names.embedding))
    return config;
  if (sameWeight(checkpoint, HEAD_WEIGHT, names.embedding)) return config;
  warn(
    `${path} ties the language head to the embedding ("tie_word_embeddings"), and holds "${HEAD_WEIGHT}" with other values.`,
    "The head of its own is used, as in transformers.",
    'Set "tie_word_embeddings": false in config.json to silence this.',
  );
  return { ...config, tie_word_embeddings: false };
}

const HEAD_WEIGHT = "lm_head.weight";

/**
 * Compares what the architecture needs with what the checkpoint holds, by names and shapes alone.
 * @returns bytes of the blocks' weights, of the head's and of the experts' in float32
 * @throws ModalscopeError at the first weight that is missing or contradicts config.json
 */
export function checkWeights(
  family: Family,
  config: TextConfig,
  checkpoint: Checkpoint,
): { blocks: number; head: number; experts: number } {
  const bytes = { blocks: 0, head: 0, experts: 0 };
  const { embedding, positions } = family.names;
  const embeddings = new Map([[embedding, [config.vocab_size, config.hidden_size]]]);
  if (positions !== undefined)
    embeddings.set(positions, [config.max_position_embeddings, config.hidden_size]);
  checkAll(checkpoint, embeddings);
  const read = new Set(embeddings.keys());
  const newline = family.vision?.newline;
  if (newline !== undefined) {
    checkAll(checkpoint, new Map([[newline, [config.hidden_size]]]));
    read.add(newline);
  }
  for (const id of pieces(config)) {
    const { out, hookPoints } = buildPiece(family, config, id);
    const weights = weightsOf([out, ...hookPoints.values()]);
    for (const name of weights.keys()) read.add(name);
    bytes[id === HEAD ? "head" : "blocks"] += checkAll(checkpoint, weights);
    if (typeof id !== "number" || !family.experts?.(config, id)) continue;
    const place = placeOf({ family, config }, id);
    const needed = expertShapes(expertLayout(checkpoint, place), place);
    for (const name of needed.keys()) read.add(name);
    bytes.experts += checkAll(checkpoint, needed);
  }
  if (config.tie_word_embeddings) read.add(HEAD_WEIGHT);
  const unread = [...checkpoint.weights.keys()].find((name) => !read.has(name) && !isUnread(name, config));
  if (unread !== undefined) {
    throw new ModalscopeError(
      `${checkpoint.path} holds the weight "${unread}".`,
      `By its config a ${config.model_type} model has none of that name.`,
      "Config and weights belong to different models, or config.json lacks a field.",
    );
  }
  return bytes;
}

/** transformers draws a random head and says so; nothing that is measured at it would mean anything. */
function noHead(path: string): ModalscopeError {
  return new ModalscopeError(
    `${path} has no language head: it lacks the weight "${HEAD_WEIGHT}".`,
    'Its config does not tie the head to the embedding ("tie_word_embeddings").',
    'Take the folder of the whole model, or set "tie_word_embeddings": true in config.json if its head is the embedding.',
  );
}

/** Whole numbers are a quantised model's, and nothing without the scales that belong to them. */
const isFloat = (dtype: WeightDtype): boolean => isReadable(dtype) && !/^([IU]\d+|BOOL)$/.test(dtype);

function notAsFloats({ name, dtype }: WeightInfo): ModalscopeError {
  return new ModalscopeError(
    `The weight "${name}" is stored as ${dtype}:`,
    "the weights of a quantised model, which cannot be read in this form.",
    "Get the checkpoint in bfloat16, float16 or float32, or a GGUF file of it.",
  );
}

function checkAll(checkpoint: Checkpoint, needed: ReadonlyMap<string, readonly number[]>): number {
  let bytes = 0;
  for (const [name, shape] of needed) {
    const found = checkpoint.weights.get(name);
    if (!found) {
      if (name === HEAD_WEIGHT) throw noHead(checkpoint.path);
      throw new ModalscopeError(
        `${checkpoint.path} lacks the weight "${name}".`,
        `Its config asks for one of shape (${shape.join(", ")}).`,
        didYouMean(name, checkpoint.weights.keys()),
      );
    }
    if (found.shape.join() !== shape.join()) {
      throw new ModalscopeError(
        `The weight "${name}" has the shape (${found.shape.join(", ")}).`,
        `By config.json it should be (${shape.join(", ")}).`,
        "Config and weights belong to different models, or one of them is damaged.",
      );
    }
    if (!isFloat(found.dtype)) throw notAsFloats(found);
    bytes += shape.reduce((a, b) => a * b, 4);
  }
  return bytes;
}
