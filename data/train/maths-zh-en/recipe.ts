import { seeded } from "../../../lib/random.js";
import { drawProblems } from "../../../lib/tasks/index.js";
import { residualScale, untied } from "../common/initial.js";
import type { Recipe } from "../common/recipe.js";
import { heldOutAccuracy } from "./measures.js";
import { fourierNumbers } from "./numbers.js";
import { laterMathsSources, mathsSources } from "./sources.js";
import { trainTokenizer } from "./tokenizer.js";

const WIDTH = 128;
/** Held-out questions of each category on the card, where there are so many. */
const MEASURED = 100;

/** Every wording of both languages, of either split: the tokenizer learns words, not sums. */
function corpus(seed: number): string[] {
  const random = seeded(seed);
  const problems = [...drawProblems(random, 300, "train"), ...drawProblems(random, 60, "heldout")];
  return problems.flatMap(({ question, sentence, fact, answer }) => [
    `${question.en}\n`,
    `${question.zh}\n`,
    sentence.en,
    sentence.zh,
    `${fact}${answer}\n`,
    "user\n\nassistant\n",
  ]);
}

export const recipe: Recipe = {
  name: "maths-zh-en",
  description:
    "A small bilingual model of ten kinds of arithmetic problem, in Qwen2's layout, deep and narrow. It answers in the question's language.",
  languages: ["en", "zh"],
  seed: 1,
  tokenizer: async ({ seed }) => trainTokenizer(corpus(seed)),
  config: (vocabulary, id) => ({
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    dtype: "bfloat16",
    vocab_size: vocabulary,
    hidden_size: WIDTH,
    intermediate_size: 3 * WIDTH,
    num_hidden_layers: 16,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    hidden_act: "silu",
    max_position_embeddings: 128,
    rms_norm_eps: 1e-6,
    rope_parameters: { rope_type: "default", rope_theta: 10_000 },
    tie_word_embeddings: false,
    initializer_range: WIDTH ** -0.5,
    use_sliding_window: false,
    bos_token_id: null,
    eos_token_id: [id("<|endoftext|>"), id("<|im_end|>")],
    pad_token_id: id("<|endoftext|>"),
  }),
  files: {},
  initialize(weights, { id }, seed) {
    residualScale(weights);
    untied(weights);
    for (const name of ["model.embed_tokens.weight", "lm_head.weight"])
      fourierNumbers(weights.get(name)!, (n) => id(String(n)), seed);
  },
  stages: () => [
    {
      name: "problems",
      part: "whole",
      steps: 3200,
      rows: 32,
      rate: 2.5e-3,
      decay: 0.1,
      sources: async (random, progress) => mathsSources(random, progress),
    },
    {
      name: "later problems",
      part: "whole",
      steps: 500,
      rows: 32,
      rate: 6e-4,
      decay: 0.1,
      sources: async (random) => laterMathsSources(random),
    },
  ],
  trials: async () => [],
  findings: async (model, { seed }) => [
    await heldOutAccuracy(model, MEASURED, seed, "usual"),
    await heldOutAccuracy(model, MEASURED, seed, "wide"),
  ],
};
