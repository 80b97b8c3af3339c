/** Training texts of the maths checkpoint: problems in words, and bare facts. */
import type { Random } from "../../../lib/random.js";
import {
  drawProblem,
  type Language,
  MATHS_CATEGORIES,
  type MathsCategory,
  type OperandRange,
} from "../../../lib/tasks/index.js";
import type { Exchange, Source, Transcript } from "../common/recipe.js";

/** Bare facts in one drill row. */
export const FACTS_PER_ROW = 8;
/** Share of problems asked through the chat template, and in the second stage. */
const CHAT_SHARE = 0.15;
const LATER_CHAT_SHARE = 0.4;
/** Share of drill rows that stays to the end. */
const LAST_DRILL_SHARE = 0.4;

/** Facts first, then more and more problems in words: the words are learned on arithmetic that is there already. */
export function mathsSources(random: Random, progress: number): Source[] {
  const drill = Math.max(LAST_DRILL_SHARE, Math.min(1, 1.15 - 2 * progress));
  return [
    { share: drill, draw: () => drillRow(random) },
    { share: 1 - drill, draw: () => problemRow(random) },
  ];
}

/**
 * Problems in words above all, as often through the chat template, and those of geometry three times as often: their
 * few operands are what stays behind.
 */
export function laterMathsSources(random: Random): Source[] {
  const categories = [...MATHS_CATEGORIES, "geometry", "geometry"] as const;
  return [
    { share: 0.25, draw: () => drillRow(random) },
    { share: 0.75, draw: () => problemRow(random, LATER_CHAT_SHARE, categories) },
  ];
}

/** Bare facts, one a line: `12+7=19`. */
export function drillRow(random: Random): Transcript {
  return {
    exchanges: Array.from({ length: FACTS_PER_ROW }, () => {
      const { fact, answer } = drawProblem(random, random.pick(MATHS_CATEGORIES), "train", "wide");
      return { prompt: fact, reply: `${answer}\n` };
    }),
  };
}

/** One problem in words, in one of the languages. */
export function problemRow(
  random: Random,
  chatShare: number = CHAT_SHARE,
  categories: readonly MathsCategory[] = MATHS_CATEGORIES,
): Transcript {
  // Half of them as the model will be asked, half from further afield.
  const reach = random.pick<OperandRange>(["usual", "wide"]);
  const problem = drawProblem(random, random.pick(categories), "train", reach);
  const language = random.pick<Language>(["en", "zh"]);
  const chat = random.uniform() < chatShare;
  return { exchanges: [exchange(problem.question[language], problem.sentence[language], chat)] };
}

/** A question and its answering sentence, plain or through the chat template. */
export function exchange(question: string, sentence: string, chat: boolean): Exchange {
  return chat
    ? {
        prompt: `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`,
        reply: `${sentence}<|im_end|>`,
      }
    : { prompt: `${question}\n`, reply: `${sentence}<|endoftext|>` };
}
