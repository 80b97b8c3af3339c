/**
 * Defaults of transformers' config classes, by `model_type`: the value of each field that a config.json leaves out.
 * test/fixtures/configs compares them with the classes themselves.
 */
import { ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";
import type { RawConfig } from "./fields.js";

interface Defaults {
  readonly fields: RawConfig;
  /** Fields that may be null, which is a value of its own there, and not the default. */
  readonly nullable: readonly string[];
}

/** Fields that `rope_parameters` may say instead. */
const OLD_NAMES = ["rope_theta", "rope_local_base_freq"];

const decoder: RawConfig = {
  hidden_act: "silu",
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: false,
};

const llama: Defaults = {
  fields: {
    ...decoder,
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: null,
    head_dim: null,
    max_position_embeddings: 2048,
    attention_bias: false,
    mlp_bias: false,
  },
  nullable: ["num_key_value_heads", "head_dim"],
};

const mistral: Defaults = {
  fields: {
    ...decoder,
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: null,
    max_position_embeddings: 131_072,
    sliding_window: 4096,
  },
  nullable: ["head_dim", "sliding_window"],
};

const qwen2: Defaults = {
  fields: {
    ...decoder,
    vocab_size: 151_936,
    hidden_size: 4096,
    intermediate_size: 22_016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    head_dim: null,
    max_position_embeddings: 32_768,
    use_sliding_window: false,
    sliding_window: 4096,
    max_window_layers: 28,
    layer_types: null,
  },
  nullable: ["num_key_value_heads", "head_dim", "sliding_window", "layer_types"],
};

const qwen3: Defaults = {
  fields: { ...qwen2.fields, head_dim: 128, attention_bias: false },
  nullable: ["num_key_value_heads", "sliding_window", "layer_types"],
};

const experts: RawConfig = { decoder_sparse_step: 1, mlp_only_layers: null };

const qwen3Moe: Defaults = {
  fields: {
    ...decoder,
    ...experts,
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 6144,
    num_hidden_layers: 24,
    num_attention_heads: 32,
    num_key_value_heads: 4,
    head_dim: null,
    max_position_embeddings: 32_768,
    attention_bias: false,
    use_sliding_window: false,
    sliding_window: 4096,
    moe_intermediate_size: 768,
    num_experts: 128,
    num_experts_per_tok: 8,
    norm_topk_prob: false,
  },
  nullable: ["head_dim", "sliding_window", "mlp_only_layers"],
};

const qwen3VlText: Defaults = {
  fields: {
    ...decoder,
    vocab_size: 151_936,
    hidden_size: 4096,
    intermediate_size: 22_016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    head_dim: 128,
    max_position_embeddings: 128_000,
    rope_theta: 500_000,
    attention_bias: false,
  },
  nullable: ["num_key_value_heads"],
};

const qwen3VlMoeText: Defaults = {
  fields: {
    ...qwen3VlText.fields,
    ...experts,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    head_dim: null,
    tie_word_embeddings: true,
    moe_intermediate_size: 1408,
    num_experts: 60,
    num_experts_per_tok: 4,
  },
  nullable: ["head_dim", "mlp_only_layers"],
};

const gemma3Text: Defaults = {
  fields: {
    vocab_size: 262_208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    hidden_activation: "gelu_pytorch_tanh",
    rms_norm_eps: 1e-6,
    max_position_embeddings: 131_072,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    tie_word_embeddings: true,
    attention_bias: false,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    sliding_window_pattern: 6,
    layer_types: null,
    final_logit_softcapping: null,
  },
  nullable: ["sliding_window", "layer_types", "final_logit_softcapping"],
};

const gpt2: Defaults = {
  fields: {
    vocab_size: 50_257,
    n_positions: 1024,
    n_embd: 768,
    n_layer: 12,
    n_head: 12,
    n_inner: null,
    activation_function: "gelu_new",
    layer_norm_epsilon: 1e-5,
    scale_attn_weights: true,
    scale_attn_by_inverse_layer_idx: false,
    tie_word_embeddings: true,
  },
  nullable: ["n_inner"],
};

const tower: RawConfig = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  num_channels: 3,
  image_size: 224,
};

const clip: Defaults = {
  fields: { ...tower, patch_size: 32, hidden_act: "quick_gelu", layer_norm_eps: 1e-5 },
  nullable: [],
};

const siglip: Defaults = {
  fields: { ...tower, patch_size: 16, hidden_act: "gelu_pytorch_tanh", layer_norm_eps: 1e-6 },
  nullable: [],
};

const qwen3VlVision: Defaults = {
  fields: {
    depth: 27,
    hidden_size: 1152,
    hidden_act: "gelu_pytorch_tanh",
    intermediate_size: 4304,
    num_heads: 16,
    in_channels: 3,
    patch_size: 16,
    spatial_merge_size: 2,
    temporal_patch_size: 2,
    out_hidden_size: 3584,
    num_position_embeddings: 2304,
    deepstack_visual_indexes: [8, 16, 24],
  },
  nullable: [],
};

const llava: Defaults = {
  fields: {
    image_token_index: 32_000,
    projector_hidden_act: "gelu",
    vision_feature_select_strategy: "default",
    vision_feature_layer: -2,
    multimodal_projector_bias: true,
    tie_word_embeddings: false,
  },
  nullable: [],
};

const gemma3: Defaults = {
  fields: { mm_tokens_per_image: 256, image_token_index: 262_144, tie_word_embeddings: true },
  nullable: ["tie_word_embeddings"],
};

const qwen3Vl: Defaults = {
  fields: { image_token_id: 151_655, tie_word_embeddings: false },
  nullable: [],
};

const DEFAULTS: Readonly<Record<string, Defaults>> = {
  llama,
  mistral,
  qwen2,
  qwen3,
  qwen3_moe: qwen3Moe,
  qwen3_vl_text: qwen3VlText,
  qwen3_vl_moe_text: qwen3VlMoeText,
  gemma3_text: gemma3Text,
  gpt2,
  clip_vision_model: clip,
  siglip_vision_model: siglip,
  qwen3_vl_vision: qwen3VlVision,
  llava,
  llava_next: llava,
  gemma3,
  qwen3_vl: qwen3Vl,
  qwen3_vl_moe: qwen3Vl,
};

/** A `vision_config` of LLaVA that is left out whole stands for CLIP ViT-L/14 at 336 pixels. */
export const LLAVA_TOWER: RawConfig = {
  model_type: "clip_vision_model",
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  image_size: 336,
  patch_size: 14,
};

/**
 * A config with every field that its `model_type` has: those of the file, and the defaults of those left out.
 * @throws ModalscopeError for a null where transformers takes none
 */
export function withDefaults(raw: RawConfig): RawConfig {
  const modelType = String(raw.model_type);
  const defaults = own(DEFAULTS, modelType);
  if (!defaults) throw new TypeError(`No defaults are known of the model type "${modelType}".`);
  for (const name of Object.keys(defaults.fields)) {
    if (raw[name] !== null || defaults.nullable.includes(name) || OLD_NAMES.includes(name)) continue;
    throw new ModalscopeError(
      `config.json has "${name}": null.`,
      `A ${modelType} model needs a value.`,
      "Leave the field out for the default of transformers.",
    );
  }
  return { ...defaults.fields, ...raw };
}
