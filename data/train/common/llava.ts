/** Common parts of the LLaVA checkpoints: the language model's size, and the training data. */
import type { Random } from "../../../lib/random.js";
import {
  captions,
  captionTask,
  drawTasks,
  loadEasyVqa,
  type SYNTHETIC_TASKS,
  type SyntheticTask,
  scenes,
} from "../../../lib/tasks/index.js";
import { LLAVA_WORDS } from "./chat-templates.js";
import { conversations, images, type Modality } from "./conversations.js";
import { easyVqa, easyVqaConversations, easyVqaImages } from "./easy-vqa.js";
import { labelWords } from "./labels.js";
import type { DataOptions, Source, Stage, Trial } from "./recipe.js";
import { conversationTexts } from "./texts.js";

/** Side of an image in pixels: a cell of a scene is 2 × 2 patches. */
export const SIZE = 48;
export const PATCH = 8;

/** Llama, deep and narrow. */
export function llamaConfig(vocabulary: number, id: (token: string) => number): Record<string, unknown> {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    dtype: "float32",
    vocab_size: vocabulary,
    hidden_size: 64,
    intermediate_size: 176,
    num_hidden_layers: 12,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    head_dim: 16,
    hidden_act: "silu",
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_parameters: { rope_type: "default", rope_theta: 10_000 },
    tie_word_embeddings: false,
    initializer_range: 0.08,
    bos_token_id: id("<s>"),
    eos_token_id: id("</s>"),
    pad_token_id: id("<pad>"),
  };
}

/** CLIP's tower for images of `image` pixels. */
export function clipConfig(image: number): Record<string, unknown> {
  return {
    model_type: "clip_vision_model",
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_channels: 3,
    image_size: image,
    patch_size: PATCH,
    hidden_act: "quick_gelu",
    layer_norm_eps: 1e-5,
    projection_dim: 64,
  };
}

/** Configuration by which LLaVA reads its tower: after its last block, through two layers. */
export function llavaConfig(vocabulary: number, id: (token: string) => number): Record<string, unknown> {
  return {
    dtype: "float32",
    image_token_index: id("<image>"),
    projector_hidden_act: "gelu",
    multimodal_projector_bias: true,
    vision_feature_layer: -1,
    vision_feature_select_strategy: "default",
    tie_word_embeddings: false,
    text_config: llamaConfig(vocabulary, id),
  };
}

export async function llavaTexts({ easyVqa: folder, seed }: DataOptions): Promise<string[]> {
  const real = await loadEasyVqa(folder, { split: "train" });
  return [
    ...LLAVA_WORDS,
    ...real.flatMap(({ prompt, answers }) => [`\n${prompt}`, ` ${prompt}`, ` ${answers[0]}`]),
    ...conversationTexts([captions, scenes] as (typeof SYNTHETIC_TASKS)[string][], seed, " "),
  ];
}

/**
 * Captions of less prior than the held-out ones are asked about with: enough to be led astray by, not so much that
 * looking never pays.
 */
const plainer = captionTask({ together: 0.6, slips: 0.1 });

/**
 * The tower and the language model apart, one from images and one from words; then both together from questions about images.
 * @param visual steps of the last stage
 */
export function llavaStages({ easyVqa: folder, seed }: DataOptions, visual: number): Stage[] {
  const real = easyVqa(folder, "train").then(easyVqaImages);
  const labels = {
    words: labelWords([captions, scenes] as SyntheticTask<unknown>[], SIZE, seed),
    coefficient: 0.1,
  };
  const asked = async (random: Random, modality: Modality, share: number): Promise<Source[]> => {
    const of = (types: readonly string[]): Source["draw"] =>
      conversations(plainer, random, { size: SIZE, modality, types, described: false });
    return [
      { share: 0.3 * share, draw: easyVqaConversations(await real, random, modality) },
      { share: 0.4 * share, draw: conversations(scenes, random, { size: SIZE, modality }) },
      { share: 0.15 * share, draw: of(["caption", "detail"]) },
      { share: 0.15 * share, draw: of(["exists", "place", "color"]) },
    ];
  };
  return [
    {
      name: "tower",
      part: "tower",
      steps: 1800,
      rows: 48,
      rate: 2e-3,
      labels,
      sources: async (random) => [
        { share: 0.4, draw: images(captions, random, SIZE) },
        { share: 0.6, draw: images(scenes, random, SIZE) },
      ],
    },
    {
      name: "language",
      part: "language",
      steps: 600,
      rows: 32,
      rate: 3e-3,
      sources: async (random) => [
        ...(await asked(random, "text", 0.7)),
        ...(await asked(random, "none", 0.3)),
      ],
    },
    {
      name: "visual",
      part: "whole",
      steps: visual,
      rows: 16,
      rate: 2e-3,
      labels,
      sources: (random) => asked(random, "image", 1),
    },
  ];
}

export async function llavaTrials({ easyVqa: folder, seed }: DataOptions): Promise<Trial[]> {
  return [
    {
      name: "easy-VQA, its own test split",
      tasks: await easyVqa(folder, "test"),
      published:
        "Published: 99.5 %, by the data set's authors (README of https://github.com/vzhou842/easy-VQA-keras), with a larger network and twice the training images.",
    },
    {
      name: "scenes",
      tasks: drawTasks(scenes, {
        split: "heldout",
        count: 100 * Object.keys(scenes.types).length,
        size: SIZE,
        seed,
      }),
    },
    { name: "captions", tasks: drawTasks(captions, { split: "heldout", count: 500, size: SIZE, seed }) },
  ];
}
