/**
 * Vision-language models built by hand, not trained: where and how an image's colour reaches the answer is known, so
 * that a method of tracing can be held against the truth. The layout is Qwen3-VL-MoE's, with DeepStack and experts.
 */
import { ModalscopeError } from "../../../errors.js";
import { checkOptions, integer, type OptionChecks, required } from "../../../options.js";
import type { Tensor } from "../../../tensor.js";
import type { VisualTask } from "../../visual-task.js";
import { PlantedWeights } from "../weights.js";
import { WIDTH } from "./axes.js";
import { EXPERT_DIM, EXPERTS, HEAD_SIZE, HEADS, KEY_VALUE_HEADS, quietBlock } from "./blocks.js";
import { MECHANISMS, type PlantedVisionKind } from "./mechanisms/index.js";
import { drawOneHop, drawTwoHops, oneHopQuestions, type PlantedScene, twoHopQuestions } from "./questions.js";
import { plantTower, tower } from "./tower.js";
import { CHAT_TEMPLATE, plantedTokenizer, plantWords, tokenIds, VOCABULARY_SIZE } from "./words.js";

export const PLANTED_VISION_KINDS: readonly PlantedVisionKind[] = Object.keys(
  MECHANISMS,
) as PlantedVisionKind[];

/** A checkpoint with its questions and its truth. */
export interface PlantedVision {
  /** config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Map<string, Tensor>;
  /** The other files of the folder, by name. */
  readonly files: Readonly<Record<string, string>>;
  readonly questions: readonly VisualTask<PlantedScene>[];
  /** Result that a study should find, in one sentence. */
  readonly truth: string;
  /** The block that decides; undefined where none does. */
  readonly layer: number | undefined;
}

export interface PlantedVisionOptions {
  /** Blocks of the language model (default 8); a mechanism keeps its share of the depth. */
  readonly layers?: number;
  /** The block that decides (default: the mechanism's own share of the depth). */
  readonly decides?: number;
  /** Seed of the faint noise in all that does nothing. */
  readonly seed?: number;
}

/** Room for the deepest of the planted positions: looks in an eighth of the blocks, two of them in a row. */
const FEWEST_LAYERS = 8;
const MAX_POSITIONS = 256;

const PLANTED_OPTIONS: OptionChecks<PlantedVisionOptions> = {
  layers: integer(1),
  decides: integer(0),
  seed: integer(),
};

/**
 * Builds a checkpoint; equal seeds give equal weights.
 * @throws ModalscopeError for an unknown kind, fewer blocks than the mechanisms need, or a block that cannot decide
 */
export function plantedVision(kind: PlantedVisionKind, options: PlantedVisionOptions = {}): PlantedVision {
  checkOptions("plantedVision", options, PLANTED_OPTIONS);
  const { layers = FEWEST_LAYERS, decides, seed = 0 } = options;
  checkKind(kind);
  if (!Number.isInteger(layers) || layers < FEWEST_LAYERS) {
    throw new ModalscopeError(
      `Cannot plant "${kind}" in ${layers} blocks.`,
      `The mechanisms need a whole number of at least ${FEWEST_LAYERS}.`,
    );
  }
  const mechanism = MECHANISMS[kind];
  const own = mechanism.decides(layers);
  checkDecides(kind, decides, own === undefined ? 0 : layers);
  const block = decides ?? own;
  const w = new PlantedWeights(seed);
  plantTower(w, mechanism.deepstack ?? 0);
  plantWords(w, mechanism.preference ?? 0.05);
  for (let layer = 0; layer < layers; layer++) quietBlock(w, layer);
  w.ones("model.norm.weight", WIDTH);
  mechanism.plant(w, layers, block ?? 0);
  const easy = oneHopQuestions(mechanism.hinted ?? false);
  return {
    config: plantedVisionConfig(layers),
    weights: w.tensors,
    files: plantedVisionFiles(),
    questions: kind === "hops" ? [...easy, ...twoHopQuestions()] : easy,
    truth: mechanism.truth,
    layer: block,
  };
}

/**
 * Draws questions for a planted checkpoint, of any number and with images that all differ; of `hops` half are hard.
 * @throws ModalscopeError for an unknown kind
 */
export function plantedTasks(
  kind: PlantedVisionKind,
  options: { readonly count: number; readonly seed?: number },
): VisualTask<PlantedScene>[] {
  checkOptions("plantedTasks", options, {
    count: required(integer(1), "an integer from 1 on"),
    seed: integer(),
  });
  const { count, seed = 0 } = options;
  checkKind(kind);
  if (kind !== "hops") return drawOneHop(count, seed, MECHANISMS[kind].hinted ?? false);
  const easy = Math.ceil(count / 2);
  return [...drawOneHop(easy, seed, false), ...drawTwoHops(count - easy, seed)];
}

function checkKind(kind: PlantedVisionKind): void {
  if (Object.hasOwn(MECHANISMS, kind)) return;
  throw new ModalscopeError(
    `Unknown planted vision checkpoint "${kind}".`,
    `There are ${PLANTED_VISION_KINDS.join(", ")}.`,
  );
}

function checkDecides(kind: PlantedVisionKind, decides: number | undefined, layers: number): void {
  if (decides === undefined || (Number.isInteger(decides) && decides >= 0 && decides < layers)) return;
  throw new ModalscopeError(
    `Block ${decides} cannot decide in "${kind}".`,
    layers === 0 ? "No block of it does." : `It has ${layers} blocks, counted from 0.`,
  );
}

/** `config.json` of a planted model with so many blocks. */
export function plantedVisionConfig(layers: number): Record<string, unknown> {
  return {
    architectures: ["Qwen3VLMoeForConditionalGeneration"],
    model_type: "qwen3_vl_moe",
    dtype: "float32",
    image_token_id: tokenIds.image,
    video_token_id: tokenIds.video,
    vision_start_token_id: tokenIds.visionStart,
    vision_end_token_id: tokenIds.visionEnd,
    tie_word_embeddings: false,
    text_config: {
      model_type: "qwen3_vl_moe_text",
      dtype: "float32",
      vocab_size: VOCABULARY_SIZE,
      hidden_size: WIDTH,
      intermediate_size: 2 * WIDTH,
      moe_intermediate_size: EXPERT_DIM,
      num_experts: EXPERTS,
      num_experts_per_tok: 2,
      decoder_sparse_step: 1,
      mlp_only_layers: [],
      num_hidden_layers: layers,
      num_attention_heads: HEADS,
      num_key_value_heads: KEY_VALUE_HEADS,
      head_dim: HEAD_SIZE,
      hidden_act: "silu",
      attention_bias: false,
      max_position_embeddings: MAX_POSITIONS,
      rms_norm_eps: 1e-6,
      rope_parameters: {
        rope_type: "default",
        rope_theta: 10_000,
        mrope_section: [4, 2, 2],
        mrope_interleaved: true,
      },
      tie_word_embeddings: false,
      bos_token_id: null,
      eos_token_id: tokenIds.end,
      pad_token_id: tokenIds.padding,
    },
    vision_config: tower,
  };
}

/** The other files of its folder, by name. */
export function plantedVisionFiles(): Record<string, string> {
  const { tokenizer, tokenizerConfig } = plantedTokenizer(MAX_POSITIONS);
  const processor = {
    do_convert_rgb: true,
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    rescale_factor: 1 / 255,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
    image_processor_type: "Qwen2VLImageProcessor",
    merge_size: tower.spatial_merge_size,
    patch_size: tower.patch_size,
    temporal_patch_size: tower.temporal_patch_size,
    resample: 3,
    size: { longest_edge: 9216, shortest_edge: 2304 },
  };
  const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;
  return {
    "tokenizer.json": json(tokenizer),
    "tokenizer_config.json": json(tokenizerConfig),
    "chat_template.jinja": CHAT_TEMPLATE,
    "preprocessor_config.json": json(processor),
    "generation_config.json": json({ eos_token_id: tokenIds.end, pad_token_id: tokenIds.padding }),
  };
}
