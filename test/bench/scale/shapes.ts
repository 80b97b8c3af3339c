/** config.json of real checkpoints, as their publishers ship them where the engine reads it. */

type Config = Readonly<Record<string, unknown>>;

const clip: Config = {
  model_type: "clip_vision_model",
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  image_size: 336,
  patch_size: 14,
};

const vicuna: Config = {
  model_type: "llama",
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  vocab_size: 32_064,
};

const pinpoints = [
  [336, 672],
  [672, 336],
  [672, 672],
  [1008, 336],
  [336, 1008],
];

export const shapes: Readonly<Record<string, Config>> = {
  "gemma-3-4b-it": {
    model_type: "gemma3",
    image_token_index: 262_144,
    mm_tokens_per_image: 256,
    text_config: {
      model_type: "gemma3_text",
      hidden_size: 2560,
      intermediate_size: 10_240,
      num_hidden_layers: 34,
      rope_scaling: { factor: 8, rope_type: "linear" },
      sliding_window: 1024,
    },
    vision_config: {
      model_type: "siglip_vision_model",
      hidden_size: 1152,
      image_size: 896,
      intermediate_size: 4304,
      num_attention_heads: 16,
      num_hidden_layers: 27,
      patch_size: 14,
    },
  },
  "llava-1.5-7b-hf": {
    model_type: "llava",
    image_token_index: 32_000,
    text_config: vicuna,
    vision_config: clip,
    tie_word_embeddings: false,
  },
  "llava-v1.6-vicuna-7b-hf": {
    model_type: "llava_next",
    image_token_index: 32_000,
    image_grid_pinpoints: pinpoints,
    text_config: vicuna,
    vision_config: clip,
    tie_word_embeddings: false,
  },
  "llava-v1.6-mistral-7b-hf": {
    model_type: "llava_next",
    image_token_index: 32_000,
    image_grid_pinpoints: pinpoints,
    text_config: {
      model_type: "mistral",
      intermediate_size: 14_336,
      max_position_embeddings: 32_768,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-5,
      rope_theta: 1_000_000,
      sliding_window: null,
      vocab_size: 32_064,
    },
    vision_config: clip,
    tie_word_embeddings: false,
  },
  "Qwen3-VL-30B-A3B-Thinking": {
    model_type: "qwen3_vl_moe",
    image_token_id: 151_655,
    text_config: {
      model_type: "qwen3_vl_moe_text",
      decoder_sparse_step: 1,
      head_dim: 128,
      hidden_size: 2048,
      intermediate_size: 6144,
      max_position_embeddings: 262_144,
      mlp_only_layers: [],
      moe_intermediate_size: 768,
      num_attention_heads: 32,
      num_experts: 128,
      num_experts_per_tok: 8,
      num_hidden_layers: 48,
      num_key_value_heads: 4,
      rope_scaling: { mrope_interleaved: true, mrope_section: [24, 20, 20], rope_type: "default" },
      rope_theta: 5_000_000,
      vocab_size: 151_936,
    },
    vision_config: { model_type: "qwen3_vl_moe", out_hidden_size: 2048 },
    tie_word_embeddings: false,
  },
};
