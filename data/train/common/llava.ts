/** What the LLaVA checkpoints share: the language model's size, and what is learnt. */
import type { Random } from "../../../lib/random.js";
import {
  captions,
  captionWorld,
  drawTasks,
  loadEasyVqa,
  scenes,
  type WORLDS,
} from "../../../lib/tasks/index.js";
import { LLAVA_WORDS } from "./frames.js";
import type { DataOptions, Source, Stage, Trial } from "./recipe.js";
import {
  DESCRIBE,
  describing,
  easyVqa,
  easyVqaDescribing,
  easyVqaPictures,
  easyVqaTalks,
  type Showing,
  synthetic,
  syntheticTexts,
} from "./texts.js";

/** Side of a picture in pixels: a cell of a scene is 2 × 2 patches. */
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

/** CLIP's tower for pictures of `image` pixels. */
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

/** How LLaVA reads its tower: after its last block, through two layers. */
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
    `\n${DESCRIBE}`,
    ...real.flatMap(({ prompt, answers }) => [`\n${prompt}`, ` ${prompt}`, ` ${answers[0]}`]),
    ...syntheticTexts([captions, scenes] as (typeof WORLDS)[string][], seed, " "),
  ];
}

const lessExpected = captionWorld({ together: 0.6, slips: 0.1 });

/** The tower and the language model apart, one from pictures and one from words; then both together from questions about pictures. */
export function llavaStages({ easyVqa: folder }: DataOptions): Stage[] {
  const real = easyVqa(folder, "train").then(easyVqaPictures);
  const drawn = (random: Random, share: number, showing: Showing, turns: number): Source[] => {
    const of = (types: readonly string[]): Source["draw"] =>
      synthetic(captions, random, { size: SIZE, showing, types, turns });
    return [
      { share: 0.4 * share, draw: of(["caption", "detail"]) },
      { share: 0.2 * share, draw: of(["exists", "place", "color"]) },
      { share: 0.4 * share, draw: synthetic(scenes, random, { size: SIZE, showing, turns }) },
    ];
  };
  const described = async (
    random: Random,
    [easy, places, shapes]: readonly [easyVqa: number, captions: number, scenes: number],
  ): Promise<Source[]> => [
    { share: easy, draw: easyVqaDescribing(await real, random) },
    { share: places, draw: describing(captions, random, SIZE) },
    { share: shapes, draw: describing(scenes, random, SIZE) },
  ];
  return [
    {
      name: "tower",
      part: "tower",
      steps: 1500,
      rows: 32,
      rate: 3e-3,
      sources: (random) => described(random, [0.35, 0.25, 0.4]),
    },
    {
      // Colours and places are learnt soon, shapes late: most of these pictures are of shapes.
      name: "tower again",
      part: "tower",
      steps: 1800,
      rows: 32,
      rate: 2e-3,
      sources: (random) => described(random, [0.45, 0.15, 0.4]),
    },
    {
      name: "tower once more",
      part: "tower",
      steps: 2000,
      rows: 16,
      rate: 2e-3,
      sources: (random) => described(random, [0.25, 0.05, 0.7]),
    },
    {
      name: "language",
      part: "language",
      steps: 300,
      rows: 32,
      rate: 3e-3,
      sources: async (random) => [
        ...drawn(random, 0.55, "words", 2),
        ...drawn(random, 0.3, "blind", 2),
        { share: 0.15, draw: easyVqaTalks(await real, random, "blind") },
      ],
    },
    {
      name: "visual",
      part: "whole",
      steps: 1500,
      rows: 16,
      rate: 2e-3,
      sources: async (random) => [
        { share: 0.2, draw: easyVqaTalks(await real, random) },
        ...drawn(random, 0.5, "picture", 4),
        ...(await described(random, [0.05, 0.05, 0.2])),
      ],
    },
    {
      // Less of the prior: what is expected is missing more often here, and captions say so.
      name: "visual again",
      part: "whole",
      steps: 800,
      rows: 16,
      rate: 1.5e-3,
      sources: async (random) => [
        { share: 0.45, draw: easyVqaTalks(await real, random) },
        { share: 0.15, draw: easyVqaDescribing(await real, random) },
        { share: 0.3, draw: synthetic(lessExpected, random, { size: SIZE, types: ["caption", "detail"] }) },
        { share: 0.1, draw: synthetic(scenes, random, { size: SIZE, turns: 4 }) },
      ],
    },
  ];
}

export async function llavaTrials({ easyVqa: folder, seed }: DataOptions): Promise<Trial[]> {
  return [
    {
      name: "easy-VQA, its own test split",
      tasks: await easyVqa(folder, "test"),
      published:
        "Published: 99.5 %, by the data set's authors (README of https://github.com/vzhou842/easy-VQA-keras), with a larger network and twice the training pictures.",
    },
    { name: "scenes", tasks: drawTasks(scenes, { split: "heldout", count: 700, size: SIZE, seed }) },
    { name: "captions", tasks: drawTasks(captions, { split: "heldout", count: 500, size: SIZE, seed }) },
  ];
}
