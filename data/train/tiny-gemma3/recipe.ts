import { animals, hands, planets, sums } from "../../../lib/tasks/index.js";
import { GEMMA, GEMMA_WORDS } from "../common/chat-templates.js";
import { deepAndNarrow } from "../common/initial.js";
import { gemmaFiles } from "../common/processors.js";
import type { Recipe } from "../common/recipe.js";
import { syntheticStages } from "../common/synthetic.js";
import { countsOf } from "./fingers.js";

const SIZE = 48;
const PATCH = 6;
/** An image's tokens: its patches in squares of 2 × 2. */
const TOKENS = (SIZE / PATCH / 2) ** 2;
const LAYERS = 12;

export const recipe: Recipe = {
  name: "tiny-gemma3",
  description: "Gemma 3's layout, deep and narrow, on planets, animals, sums on a board, and hands.",
  seed: 3,
  languages: ["en"],
  initialize: deepAndNarrow,
  config: (vocabulary, id) => ({
    architectures: ["Gemma3ForConditionalGeneration"],
    model_type: "gemma3",
    dtype: "float32",
    boi_token_index: id("<start_of_image>"),
    eoi_token_index: id("<end_of_image>"),
    image_token_index: id("<image_soft_token>"),
    initializer_range: 0.08,
    mm_tokens_per_image: TOKENS,
    tie_word_embeddings: true,
    text_config: {
      model_type: "gemma3_text",
      dtype: "float32",
      vocab_size: vocabulary,
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: LAYERS,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 16,
      hidden_activation: "gelu_pytorch_tanh",
      layer_types: Array.from({ length: LAYERS }, (_, l) =>
        (l + 1) % 6 ? "sliding_attention" : "full_attention",
      ),
      max_position_embeddings: 256,
      query_pre_attn_scalar: 16,
      rms_norm_eps: 1e-6,
      rope_parameters: {
        full_attention: { rope_type: "default", rope_theta: 100_000 },
        sliding_attention: { rope_type: "default", rope_theta: 10_000 },
      },
      sliding_window: 128,
      tie_word_embeddings: true,
      initializer_range: 0.08,
      bos_token_id: id("<bos>"),
      eos_token_id: [id("<eos>"), id("<end_of_turn>")],
      pad_token_id: id("<pad>"),
    },
    vision_config: {
      model_type: "siglip_vision_model",
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 4,
      num_attention_heads: 4,
      num_channels: 3,
      image_size: SIZE,
      patch_size: PATCH,
      hidden_act: "gelu_pytorch_tanh",
      layer_norm_eps: 1e-6,
      vision_use_head: false,
    },
  }),
  files: gemmaFiles(SIZE, TOKENS),
  findings: async (model, { seed }) => [await countsOf(model, SIZE, seed)],
  ...syntheticStages({
    specification: GEMMA,
    syntheticTasks: [
      [planets, 1],
      [animals, 1],
      [sums, 3],
      [hands, 2],
    ],
    size: SIZE,
    words: GEMMA_WORDS,
    towerSteps: 2000,
    steps: 2500,
    last: { synthetic: sums.name, steps: 1500 },
    rows: 16,
    rate: 3e-3,
  }),
};
