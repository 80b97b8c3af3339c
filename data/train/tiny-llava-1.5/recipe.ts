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

export const recipe: Recipe = {
  name: "tiny-llava-1.5",
  description:
    "LLaVA 1.5's layout, deep and narrow, on easy-VQA, scenes of coloured shapes, and captions of places in which some things nearly always come together.",
  seed: 1,
  needs: "--easy-vqa DIR",
  languages: ["en"],
  initialize(weights) {
    residualScale(weights);
    untied(weights);
  },
  tokenizer: async (options) => wordTokenizer(LLAVA, await llavaTexts(options)),
  config: (vocabulary, id) => ({
    architectures: ["LlavaForConditionalGeneration"],
    model_type: "llava",
    image_seq_length: (SIZE / PATCH) ** 2,
    ...llavaConfig(vocabulary, id),
    vision_config: clipConfig(SIZE),
  }),
  files: llavaFiles(SIZE, PATCH),
  stages: (options) => llavaStages(options, 6000),
  trials: llavaTrials,
};
