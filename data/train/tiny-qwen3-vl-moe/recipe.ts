import { charts, documentTask, sceneTextTask } from "../../../lib/tasks/index.js";
import { QWEN, QWEN_WORDS } from "../common/chat-templates.js";
import { residualScale, untied, zeroInitDeepstack } from "../common/initial.js";
import { qwenFiles } from "../common/processors.js";
import type { Recipe } from "../common/recipe.js";
import { syntheticStages } from "../common/synthetic.js";
import { routing } from "./routing.js";

const SIZE = 96;
/** Words of each list in images: as many as can be learnt to read in the time. */
const WORDS = 16;
const PATCH = 8;
const MERGE = 2;
const EXPERTS = 16;
const WIDTH = 96;
const BLOCKS = 24;
const BALANCE = 0.01;

export const recipe: Recipe = {
  name: "tiny-qwen3-vl-moe",
  description:
    "Qwen3-VL-MoE's layout, deep and narrow, two of sixteen experts for each token, on charts, documents and scene text.",
  seed: 4,
  languages: ["en"],
  initialize(weights) {
    residualScale(weights);
    untied(weights);
    zeroInitDeepstack(weights);
  },
  config: (vocabulary, id) => ({
    architectures: ["Qwen3VLMoeForConditionalGeneration"],
    model_type: "qwen3_vl_moe",
    dtype: "bfloat16",
    image_token_id: id("<|image_pad|>"),
    video_token_id: id("<|video_pad|>"),
    vision_start_token_id: id("<|vision_start|>"),
    vision_end_token_id: id("<|vision_end|>"),
    tie_word_embeddings: false,
    text_config: {
      model_type: "qwen3_vl_moe_text",
      dtype: "bfloat16",
      vocab_size: vocabulary,
      hidden_size: WIDTH,
      intermediate_size: 2 * WIDTH,
      moe_intermediate_size: 24,
      num_experts: EXPERTS,
      num_experts_per_tok: 2,
      decoder_sparse_step: 1,
      mlp_only_layers: [],
      router_aux_loss_coef: BALANCE,
      num_hidden_layers: BLOCKS,
      num_attention_heads: 6,
      num_key_value_heads: 2,
      head_dim: 16,
      hidden_act: "silu",
      attention_bias: false,
      max_position_embeddings: 512,
      rms_norm_eps: 1e-6,
      rope_parameters: {
        rope_type: "default",
        rope_theta: 10_000,
        mrope_section: [4, 2, 2],
        mrope_interleaved: true,
      },
      tie_word_embeddings: false,
      initializer_range: WIDTH ** -0.5,
      bos_token_id: null,
      eos_token_id: id("<|im_end|>"),
      pad_token_id: id("<|endoftext|>"),
    },
    vision_config: {
      model_type: "qwen3_vl_moe_vision",
      hidden_size: WIDTH,
      intermediate_size: 2 * WIDTH,
      depth: 4,
      num_heads: 6,
      in_channels: 3,
      patch_size: PATCH,
      temporal_patch_size: 2,
      spatial_merge_size: MERGE,
      num_position_embeddings: (SIZE / PATCH) ** 2,
      out_hidden_size: WIDTH,
      deepstack_visual_indexes: [0, 1, 2],
      hidden_act: "gelu_pytorch_tanh",
      initializer_range: WIDTH ** -0.5,
    },
  }),
  files: qwenFiles(PATCH, MERGE, SIZE ** 2, (2 * SIZE) ** 2),
  async findings(model, options) {
    const trials = await recipe.trials(options);
    return [
      await routing(
        model,
        trials.flatMap(({ tasks }) => tasks.slice(0, 200)),
        EXPERTS,
      ),
    ];
  },
  ...syntheticStages({
    specification: QWEN,
    syntheticTasks: [
      [charts, 1],
      [documentTask({ words: WORDS }), 1],
      [sceneTextTask({ words: WORDS }), 1],
    ],
    size: SIZE,
    words: QWEN_WORDS,
    towerSteps: 1600,
    steps: 6500,
    rows: 16,
    rate: 2e-3,
    balance: BALANCE,
    // Charts have the kinds that are learnt last.
    later: { steps: 2400, rate: 1e-3, shares: [2, 1, 1] },
  }),
};
