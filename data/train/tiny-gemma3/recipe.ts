import { animals, flags, hands, planets, sums } from "../../../lib/tasks/index.js";
import { GEMMA, GEMMA_WORDS } from "../common/chat-templates.js";
import { residualScale } from "../common/initial.js";
import { gemmaFiles } from "../common/processors.js";
import type { Recipe } from "../common/recipe.js";
import { syntheticStages } from "../common/synthetic.js";
import { capitals } from "./capitals.js";
import { countsOf } from "./fingers.js";

const SIZE = 96;
const PATCH = 6;
/** An image's tokens: its patches in squares of 2 × 2. */
const TOKENS = (SIZE / PATCH / 2) ** 2;
const LAYERS = 12;
const WIDTH = 128;
/** The tower reads 256 patches: narrower, it costs as much as the language model. */
const TOWER = 64;

export const recipe: Recipe = {
  name: "tiny-gemma3",
  description: "Gemma 3's layout, deep and narrow, on flags, planets, animals, sums on a board, and hands.",
  seed: 3,
  languages: ["en"],
  initialize: residualScale,
  config: (vocabulary, id) => ({
    architectures: ["Gemma3ForConditionalGeneration"],
    model_type: "gemma3",
    dtype: "bfloat16",
    boi_token_index: id("<start_of_image>"),
    eoi_token_index: id("<end_of_image>"),
    image_token_index: id("<image_soft_token>"),
    initializer_range: WIDTH ** -0.5,
    mm_tokens_per_image: TOKENS,
    tie_word_embeddings: true,
    text_config: {
      model_type: "gemma3_text",
      dtype: "bfloat16",
      vocab_size: vocabulary,
      hidden_size: WIDTH,
      intermediate_size: 2 * WIDTH,
      num_hidden_layers: LAYERS,
      num_attention_heads: 8,
      num_key_value_heads: 4,
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
      initializer_range: WIDTH ** -0.5,
      bos_token_id: id("<bos>"),
      eos_token_id: [id("<eos>"), id("<end_of_turn>")],
      pad_token_id: id("<pad>"),
    },
    vision_config: {
      model_type: "siglip_vision_model",
      hidden_size: TOWER,
      intermediate_size: 2 * TOWER,
      num_hidden_layers: 8,
      num_attention_heads: 4,
      num_channels: 3,
      image_size: SIZE,
      patch_size: PATCH,
      hidden_act: "gelu_pytorch_tanh",
      layer_norm_eps: 1e-6,
      vision_use_head: false,
      initializer_range: TOWER ** -0.5,
    },
  }),
  files: gemmaFiles(SIZE, TOKENS),
  findings: async (model, { seed }) => [await capitals(model, SIZE, seed), await countsOf(model, SIZE, seed)],
  ...syntheticStages({
    specification: GEMMA,
    syntheticTasks: [
      [flags, 3],
      [planets, 1],
      [animals, 1],
      [sums, 2],
      [hands, 2],
    ],
    size: SIZE,
    words: GEMMA_WORDS,
    towerSteps: 1200,
    steps: 5000,
    rows: 16,
    rate: 2e-3,
  }),
};
