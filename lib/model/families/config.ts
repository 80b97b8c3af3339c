import { ModalscopeError } from "../../errors.js";
import { type RopeParameters, standardRope } from "../nn/index.js";

/** The fields of a text model's config.json that the families read, defaults filled in. */
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
  /** Per layer: whether it sees the last `sliding_window` positions only. */
  readonly layer_types: readonly ("full_attention" | "sliding_attention")[];
  readonly sliding_window: number | null;
  readonly rope_parameters: Readonly<Record<"full_attention" | "sliding_attention", RopeParameters>>;
  /** Of a model that sees. */
  readonly vision_config?: VisionConfig;
}

export type RawConfig = Readonly<Record<string, unknown>>;

/** Reads one field of config.json, or its default; a field without default must be there. */
export function readField<T extends number | boolean | string>(
  raw: RawConfig,
  name: string,
  fallback?: T,
): T {
  const value = raw[name] ?? fallback;
  if (value === undefined) {
    throw new ModalscopeError(
      `config.json has no "${name}".`,
      `A ${String(raw.model_type)} checkpoint needs it.`,
    );
  }
  const expected = typeof (fallback ?? value);
  if (typeof value !== expected || (expected === "number" && !Number.isFinite(value))) {
    throw new ModalscopeError(
      `config.json has "${name}": ${JSON.stringify(value)}.`,
      `It must be a ${expected}.`,
    );
  }
  return value as T;
}

/** A field that counts something: a positive integer. */
export function readCount(raw: RawConfig, name: string, fallback?: number): number {
  const value = readField<number>(raw, name, fallback);
  if (!Number.isInteger(value) || value <= 0) {
    throw new ModalscopeError(
      `config.json has "${name}": ${JSON.stringify(value)}.`,
      "It must be a positive integer.",
    );
  }
  return value;
}

/** A number above zero, such as an ε: a norm of nothing but zeros must stay a number. */
export function readPositive(raw: RawConfig, name: string, fallback?: number): number {
  const value = readField<number>(raw, name, fallback);
  if (Number.isFinite(value) && value > 0) return value;
  throw new ModalscopeError(`config.json has "${name}": ${JSON.stringify(value)}.`, "It must be above zero.");
}

/** Switches that change what attention computes, and the values without which the families here are others. */
const UNSUPPORTED_FLAGS: Readonly<Record<string, unknown>> = {
  is_causal: true,
  use_bidirectional_attention: false,
  use_qk_norm: false,
  qk_layernorm: false,
  alibi: false,
  clip_qkv: null,
  attention_chunk_size: null,
  partial_rotary_factor: 1,
};

/** @throws ModalscopeError when a switch is set that no family here has */
function checkFlags(raw: RawConfig): void {
  for (const [name, usual] of Object.entries(UNSUPPORTED_FLAGS)) {
    const value = raw[name];
    if (value === undefined || value === null || value === usual) continue;
    throw new ModalscopeError(
      `config.json has "${name}": ${JSON.stringify(value)}.`,
      `Unsupported value; only ${JSON.stringify(usual)} is implemented.`,
    );
  }
}

/** What all decoder-only families share; each family overrides its own fields and defaults. */
export function textConfig(raw: RawConfig, own: Partial<TextConfig> = {}): TextConfig {
  checkFlags(raw);
  const hidden_size = readCount(raw, "hidden_size");
  const num_attention_heads = readCount(raw, "num_attention_heads");
  const num_hidden_layers = readCount(raw, "num_hidden_layers");
  const num_key_value_heads = readCount(raw, "num_key_value_heads", num_attention_heads);
  const head_dim = readCount(raw, "head_dim", Math.floor(hidden_size / num_attention_heads));
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
  const max_position_embeddings = readCount(raw, "max_position_embeddings", 2048);
  const rope = standardRope(raw, max_position_embeddings);
  return {
    model_type: readField<string>(raw, "model_type"),
    vocab_size: readCount(raw, "vocab_size"),
    hidden_size,
    intermediate_size: readCount(raw, "intermediate_size"),
    num_hidden_layers,
    num_attention_heads,
    num_key_value_heads,
    head_dim,
    hidden_act: readField<string>(raw, "hidden_act", "silu"),
    rms_norm_eps: readPositive(raw, "rms_norm_eps", 1e-6),
    max_position_embeddings,
    tie_word_embeddings: readField<boolean>(raw, "tie_word_embeddings", false),
    layer_types: layerTypes(raw, num_hidden_layers, () => "full_attention"),
    sliding_window: null,
    rope_parameters: { full_attention: rope, sliding_attention: rope },
    ...own,
  };
}

/** `layer_types` as the file gives them, or by the family's older rule. */
export function layerTypes(
  raw: RawConfig,
  layers: number,
  rule: (layer: number) => "full_attention" | "sliding_attention",
): TextConfig["layer_types"] {
  const given = raw.layer_types;
  if (given === undefined || given === null) return Array.from({ length: layers }, (_, l) => rule(l));
  const known = ["full_attention", "sliding_attention"];
  if (!Array.isArray(given) || given.length !== layers || !given.every((t) => known.includes(t))) {
    throw new ModalscopeError(
      `config.json has "layer_types": ${JSON.stringify(given).slice(0, 200)}.`,
      `It must name ${known.join(" or ")} for each of the ${layers} layers.`,
    );
  }
  return given;
}

/** What makes vectors of the language model's stream from the tower's: the projector, and one merger per DeepStack layer. */
export type ReadoutId = "projector" | `projector.deepstack.${number}`;

export interface VisionReadout {
  readonly id: ReadoutId;
  /** Where the tower's stream is read: after these blocks, side by side (−1: the embedding), or after the final norm. */
  readonly fromLayers: readonly number[] | "final";
  /** The language model's block after which the result is added; left out, it takes the image tokens' places. */
  readonly toLayer?: number;
}

/** The fields of `vision_config` that the towers read, defaults filled in. */
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
  /** Whether the language model sees these too. */
  readonly keepClassToken: boolean;
  /** Patches along each side that become one vector of the language model. */
  readonly spatialMergeSize: number;
  readonly readouts: readonly VisionReadout[];
  /** The language model's width. */
  readonly out_hidden_size: number;
  /** The token that stands for one vector of an image. */
  readonly image_token_id: number;
}
