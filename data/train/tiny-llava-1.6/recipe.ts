import { LLAVA } from "../common/chat-templates.js";
import { residualScale, untied } from "../common/initial.js";
import {
  clipConfig,
  llavaConfig,
  llavaStages,
  llavaTexts,
  llavaTrials,
  PATCH,
  SIZE,
} from "../common/llava.js";
import { llavaFiles } from "../common/processors.js";
import type { Recipe } from "../common/recipe.js";
import { wordTokenizer } from "../common/words.js";

/** An image is seen whole, at half its size, and in 2 × 2 tiles. */
const TILE = SIZE / 2;
const PINPOINTS = [
  [SIZE, SIZE],
  [TILE, SIZE],
  [SIZE, TILE],
];

const SPECIFICATION = { ...LLAVA, roles: { ...LLAVA.roles, processor_class: "LlavaNextProcessor" } };

export const recipe: Recipe = {
  name: "tiny-llava-1.6",
  description:
    "LLaVA 1.6's layout with the language model of tiny-llava-1.5 in size, its own tiling and its own seed, on the same tasks.",
  seed: 2,
  needs: "--easy-vqa DIR",
  languages: ["en"],
  initialize(weights) {
    residualScale(weights);
    untied(weights);
  },
  tokenizer: async (options) => wordTokenizer(SPECIFICATION, await llavaTexts(options)),
  config: (vocabulary, id) => ({
    architectures: ["LlavaNextForConditionalGeneration"],
    model_type: "llava_next",
    image_seq_length: (TILE / PATCH) ** 2,
    image_grid_pinpoints: PINPOINTS,
    ...llavaConfig(vocabulary, id),
    vision_config: clipConfig(TILE),
  }),
  files: llavaFiles(TILE, PATCH, PINPOINTS),
  stages: (options) => llavaStages(options, 6000),
  trials: llavaTrials,
};
