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
import { trainedTypes, typesAt } from "./curriculum.js";
import { easyVqa, easyVqaConversations, easyVqaImages } from "./easy-vqa.js";
import { labelWords } from "./labels.js";
import type { DataOptions, Source, Stage, Trial } from "./recipe.js";
import { conversationTexts } from "./texts.js";

/** Side of an image in pixels: a cell of a scene is 2 × 2 patches. */
export const SIZE = 48;
export const PATCH = 8;

const WIDTH = 96;
const HEADS = 6;

/** Llama, deep and narrow. */
export function llamaConfig(vocabulary: number, id: (token: string) => number): Record<string, unknown> {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    dtype: "bfloat16",
    vocab_size: vocabulary,
    hidden_size: WIDTH,
    intermediate_size: 2 * WIDTH,
    num_hidden_layers: 12,
    num_attention_heads: HEADS,
    num_key_value_heads: HEADS,
    head_dim: WIDTH / HEADS,
    hidden_act: "silu",
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_parameters: { rope_type: "default", rope_theta: 10_000 },
    tie_word_embeddings: false,
    initializer_range: WIDTH ** -0.5,
    bos_token_id: id("<s>"),
    eos_token_id: id("</s>"),
    pad_token_id: id("<pad>"),
  };
}

/** CLIP's tower for images of `image` pixels. */
export function clipConfig(image: number): Record<string, unknown> {
  return {
    model_type: "clip_vision_model",
    hidden_size: WIDTH,
    intermediate_size: 2 * WIDTH,
    num_hidden_layers: 4,
    num_attention_heads: HEADS,
    num_channels: 3,
    image_size: image,
    patch_size: PATCH,
    hidden_act: "quick_gelu",
    layer_norm_eps: 1e-5,
    projection_dim: WIDTH,
    initializer_range: WIDTH ** -0.5,
  };
}

/** Configuration by which LLaVA reads its tower: after its last block, through two layers. */
export function llavaConfig(vocabulary: number, id: (token: string) => number): Record<string, unknown> {
  return {
    dtype: "bfloat16",
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

/** What usually comes together, learnt from words alone; no caption names what is not there. */
const usual = captionTask({ together: 0.9, slips: 0 });
/** In images too, where a companion is so pale that knowing what is usual helps to see it. */
const seen = captionTask({ together: 0.8, slips: 0, faintness: 0.35 });

const ASKED_ABOUT_CAPTIONS = [
  ["caption", "detail"],
  ["exists", "place", "color"],
];

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
  const asked = async (
    random: Random,
    modality: Modality,
    {
      share = 1,
      types = trainedTypes(scenes),
    }: { readonly share?: number; readonly types?: readonly string[] },
  ): Promise<Source[]> => [
    { share: 0.1 * share, draw: easyVqaConversations(await real, random, modality) },
    { share: 0.6 * share, draw: conversations(scenes, random, { size: SIZE, modality, types }) },
    ...ASKED_ABOUT_CAPTIONS.map((types) => ({
      share: 0.15 * share,
      draw: conversations(modality === "image" ? seen : usual, random, {
        size: SIZE,
        modality,
        types,
        described: false,
      }),
    })),
  ];
  return [
    {
      name: "tower",
      part: "tower",
      steps: 900,
      rows: 48,
      rate: 2e-3,
      labels,
      sources: async (random) => [
        { share: 0.4, draw: images(seen, random, SIZE) },
        { share: 0.6, draw: images(scenes, random, SIZE) },
      ],
    },
    {
      name: "language",
      part: "language",
      steps: 600,
      rows: 32,
      rate: 2e-3,
      sources: async (random) => [
        ...(await asked(random, "text", { share: 0.7 })),
        ...(await asked(random, "none", { share: 0.3 })),
      ],
    },
    {
      name: "visual",
      part: "whole",
      steps: visual,
      rows: 16,
      rate: 2e-3,
      labels,
      sources: (random, progress) => asked(random, "image", { types: typesAt(scenes, progress) }),
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
