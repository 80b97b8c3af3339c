/**
 * Mid-size models in the shapes of Gemma 3 and Qwen3-VL-MoE: large enough that arithmetic counts, small enough to wait
 * for. In the real ones' proportions: the vocabulary to the width, patches to a token that they become (16 and 4), and so
 * what the tower costs beside the language model (2.9 and 0.8 times as much).
 */

export interface BenchShape {
  readonly config: Readonly<Record<string, unknown>>;
  readonly imageSize: readonly [width: number, height: number];
  /** Whose processor files, of test/fixtures/images/configs.json. */
  readonly processor: string;
  /** Fields that these files say otherwise. */
  readonly preprocessor?: object;
}

export const shapes: Readonly<Record<string, BenchShape>> = {
  "gemma3-mid": {
    imageSize: [896, 640],
    processor: "gemma-3-4b-it",
    preprocessor: { size: { height: 672, width: 672 }, image_seq_length: 144 },
    config: {
      model_type: "gemma3",
      image_token_index: 65_535,
      mm_tokens_per_image: 144,
      text_config: {
        model_type: "gemma3_text",
        vocab_size: 65_536,
        hidden_size: 768,
        intermediate_size: 3072,
        num_hidden_layers: 12,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 192,
        sliding_window: 1024,
        query_pre_attn_scalar: 192,
      },
      vision_config: {
        model_type: "siglip_vision_model",
        hidden_size: 384,
        intermediate_size: 1536,
        num_attention_heads: 6,
        num_hidden_layers: 8,
        image_size: 672,
        patch_size: 14,
      },
    },
  },
  "qwen3-vl-moe-mid": {
    imageSize: [448, 320],
    processor: "Qwen3-VL-30B-A3B-Thinking",
    config: {
      model_type: "qwen3_vl_moe",
      image_token_id: 49_151,
      text_config: {
        model_type: "qwen3_vl_moe_text",
        vocab_size: 49_152,
        decoder_sparse_step: 1,
        head_dim: 128,
        hidden_size: 640,
        intermediate_size: 2304,
        max_position_embeddings: 32_768,
        mlp_only_layers: [],
        moe_intermediate_size: 320,
        num_attention_heads: 8,
        num_experts: 32,
        num_experts_per_tok: 4,
        num_hidden_layers: 12,
        num_key_value_heads: 2,
        rope_parameters: {
          rope_type: "default",
          rope_theta: 5_000_000,
          mrope_interleaved: true,
          mrope_section: [24, 20, 20],
        },
      },
      vision_config: {
        model_type: "qwen3_vl_moe",
        depth: 8,
        hidden_size: 384,
        intermediate_size: 1536,
        num_heads: 6,
        out_hidden_size: 640,
        deepstack_visual_indexes: [2, 4, 6],
      },
      tie_word_embeddings: false,
    },
  },
};
