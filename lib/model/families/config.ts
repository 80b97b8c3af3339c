/** Configs of language models and vision towers, as the families read them. */
import { ModalscopeError } from "../../errors.js";
import { type RopeParameters, standardRope } from "../nn/index.js";
import {
  isGiven,
  type RawConfig,
  readCount,
  readFlag,
  readIndex,
  readOptionalCount,
  readPositive,
  readText,
} from "./fields.js";

/** `sliding_attention`: a query sees the last `sliding_window` positions only. */
export type LayerType = "full_attention" | "sliding_attention";

/** Fields of a language model's config.json that the families read, with defaults filled in. */
export interface TextConfig {
  readonly model_type: string;
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly hidden_act: string;
  readonly rms_norm_eps: number;
  readonly max_position_embeddings: number;
  readonly tie_word_embeddings: boolean;
  /** Per layer. */
  readonly layer_types: readonly LayerType[];
  /** Positions that a `sliding_attention` layer sees; null in a model without such a layer. */
  readonly sliding_window: number | null;
  readonly rope_parameters: Readonly<Record<LayerType, RopeParameters>>;
  /** Of a vision-language model. */
  readonly vision_config?: VisionConfig;
}

/** Flags that change what attention computes, with the one value that is implemented. */
const UNSUPPORTED_FLAGS: RawConfig = {
  is_causal: true,
  use_bidirectional_attention: false,
  use_qk_norm: false,
  qk_layernorm: false,
  alibi: false,
  clip_qkv: null,
  attention_chunk_size: null,
  partial_rotary_factor: 1,
};

/** @throws ModalscopeError for a flag of another value than the one that is implemented */
function checkFlags(raw: RawConfig): void {
  for (const [name, implemented] of Object.entries(UNSUPPORTED_FLAGS)) {
    if (!isGiven(raw, name) || raw[name] === implemented) continue;
    throw new ModalscopeError(
      `config.json has "${name}": ${JSON.stringify(raw[name])}.`,
      `Unsupported value; only ${JSON.stringify(implemented)} is implemented.`,
    );
  }
}

/**
 * Fields that all decoder-only families share; each family gives those that it reads in another way.
 * @param raw with defaults filled in
 */
export function textConfig(raw: RawConfig, own: Partial<TextConfig> = {}): TextConfig {
  checkFlags(raw);
  // Some families read no layer_types; what is wrong in itself is refused there too.
  layerTypes(raw, () => "full_attention");
  const hidden_size = readCount(raw, "hidden_size");
  const num_attention_heads = readCount(raw, "num_attention_heads");
  const num_hidden_layers = readCount(raw, "num_hidden_layers");
  const num_key_value_heads = readOptionalCount(raw, "num_key_value_heads") ?? num_attention_heads;
  const head_dim = readOptionalCount(raw, "head_dim") ?? Math.floor(hidden_size / num_attention_heads);
  if (num_attention_heads % num_key_value_heads !== 0) {
    throw new ModalscopeError(
      `config.json has ${num_attention_heads} attention heads and ${num_key_value_heads} key-value heads.`,
      "The first must be a multiple of the second.",
    );
  }
  if (head_dim % 2 !== 0) {
    throw new ModalscopeError(
      `config.json has "head_dim": ${head_dim}.`,
      "Rotary positions need an even head size.",
    );
  }
  const rope = own.rope_parameters ?? both(standardRope(raw));
  return {
    model_type: readText(raw, "model_type"),
    vocab_size: readCount(raw, "vocab_size"),
    hidden_size,
    intermediate_size: readCount(raw, "intermediate_size"),
    num_hidden_layers,
    num_attention_heads,
    num_key_value_heads,
    head_dim,
    hidden_act: own.hidden_act ?? readText(raw, "hidden_act"),
    rms_norm_eps: readPositive(raw, "rms_norm_eps"),
    max_position_embeddings: readCount(raw, "max_position_embeddings"),
    tie_word_embeddings: readFlag(raw, "tie_word_embeddings"),
    layer_types: new Array(num_hidden_layers).fill("full_attention"),
    sliding_window: null,
    ...own,
    rope_parameters: rope,
  };
}

/** One set of rotary parameters for layers of both types. */
export function both(rope: RopeParameters): TextConfig["rope_parameters"] {
  return { full_attention: rope, sliding_attention: rope };
}

/** `layer_types` as the file gives them, or by the rule of files that have none. */
export function layerTypes(raw: RawConfig, rule: (layer: number) => LayerType): readonly LayerType[] {
  const layers = readCount(raw, "num_hidden_layers");
  if (!isGiven(raw, "layer_types")) return Array.from({ length: layers }, (_, l) => rule(l));
  const given = raw.layer_types;
  const known = ["full_attention", "sliding_attention"];
  if (!Array.isArray(given) || given.length !== layers || !given.every((t) => known.includes(t))) {
    throw new ModalscopeError(
      `config.json has "layer_types": ${JSON.stringify(given).slice(0, 200)}.`,
      `It must name ${known.join(" or ")} for each of the ${layers} layers.`,
    );
  }
  return given;
}

/**
 * Layers' types with the length of their window.
 * @param window null where the config has none
 * @throws ModalscopeError for a layer with a window where there is no window
 */
export function windowed(
  layer_types: readonly LayerType[],
  window: number | null,
): Pick<TextConfig, "layer_types" | "sliding_window"> {
  if (!layer_types.includes("sliding_attention")) return { layer_types, sliding_window: null };
  if (window !== null) return { layer_types, sliding_window: window };
  throw new ModalscopeError(
    'config.json has layers of the type "sliding_attention" and no "sliding_window".',
    "The length of the window is missing, or use_sliding_window is false.",
  );
}

/** `sliding_window` where `use_sliding_window` is set. */
export function optionalWindow(raw: RawConfig): number | null {
  return readFlag(raw, "use_sliding_window") ? readOptionalCount(raw, "sliding_window") : null;
}

/** Windows of the layers from `max_window_layers` on, or as `layer_types` says. */
export function upperWindows(raw: RawConfig): Pick<TextConfig, "layer_types" | "sliding_window"> {
  const window = optionalWindow(raw);
  const first = readIndex(raw, "max_window_layers");
  const types = layerTypes(raw, (l) =>
    window !== null && l >= first ? "sliding_attention" : "full_attention",
  );
  return windowed(types, window);
}

/** The same type for every layer: a window in all of them, or in none where it is null. */
export function windowEverywhere(
  layers: number,
  window: number | null,
): Pick<TextConfig, "layer_types" | "sliding_window"> {
  const type = window === null ? "full_attention" : "sliding_attention";
  return windowed(new Array(layers).fill(type), window);
}

/** A module that turns vectors of the tower into vectors of the language model: the projector, or one merger per DeepStack layer. */
export type ReadoutId = "projector" | `projector.deepstack.${number}`;

/** Module that reads the tower's stream, and the place in the language model that gets the result. */
export interface VisionReadout {
  readonly id: ReadoutId;
  /** Blocks after which the tower's stream is read, concatenated (−1: the embedding), or the final norm. */
  readonly fromLayers: readonly number[] | "final";
  /** The language model's block after which the result is added; left out, it takes the image tokens' places. */
  readonly toLayer?: number;
}

/** Fields of `vision_config` that the towers read, with defaults filled in. */
export interface VisionConfig {
  readonly model_type: string;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  /** Blocks that run; those whose output nothing reads are left out. */
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly head_dim: number;
  readonly hidden_act: string;
  readonly layer_norm_eps: number;
  readonly patch_size: number;
  /** Numbers of one patch: channels (· frames) · patch_size². */
  readonly patchDim: number;
  /** Learned positions, the class token's included. */
  readonly numPositions: number;
  /** Leading tokens that stand for no patch: CLIP's class token. */
  readonly classTokens: number;
  /** Leading tokens of the tower that the projector leaves out: none, CLIP's class token, or SigLIP's first patch. */
  readonly skippedTokens: number;
  /** Patches along each side that become one vector of the language model. */
  readonly spatialMergeSize: number;
  readonly readouts: readonly VisionReadout[];
  /** The language model's width. */
  readonly out_hidden_size: number;
  /** The token that stands for one vector of an image. */
  readonly image_token_id: number;
}
