import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { type Split, splitOf } from "../split.js";
import {
  type Language,
  MATHS_CATEGORIES,
  type MathsCategory,
  PEOPLE,
  PROBLEM_KINDS,
  type ProblemKind,
  THINGS,
} from "./wordings.js";

export { HELD_OUT_PERCENT, type Split, splitOf } from "../split.js";

/** One problem, said in both languages, with the sentence that answers it in each. */
export interface SyntheticProblem {
  /** Names the underlying problem: its kind and operands, without wording or language. */
  readonly key: string;
  readonly category: MathsCategory;
  readonly operands: readonly number[];
  readonly answer: number;
  /** The answer as arithmetic: `12+7`. */
  readonly expression: string;
  /** The bare arithmetic up to its answer, in no language: `12+7=`. */
  readonly fact: string;
  readonly question: Readonly<Record<Language, string>>;
  readonly sentence: Readonly<Record<Language, string>>;
}

/** Range of the operands: those of the problems that the model is measured on, or a wider range for training. */
export type OperandRange = "usual" | "wide";

/** Draws one problem of a category from a split. */
export function drawProblem(
  random: Random,
  category: MathsCategory,
  split: Split,
  reach: OperandRange = "usual",
): SyntheticProblem {
  const kind = random.pick(PROBLEM_KINDS.filter((kind) => kind.category === category));
  const draw = (reach === "wide" && kind.drawWide) || kind.draw;
  for (;;) {
    const operands = draw(random);
    if (splitOf(keyOf(kind, operands)) === split) return word(random, kind, operands);
  }
}

/** `perCategory` problems of each category from a split, no two with the same English question. */
export function drawProblems(
  random: Random,
  perCategory: number,
  split: Split,
  reach: OperandRange = "usual",
): SyntheticProblem[] {
  return MATHS_CATEGORIES.flatMap((category) => {
    const drawn = new Map<string, SyntheticProblem>();
    // A small category may hold fewer different problems than were asked for: stop after a fair number of tries.
    for (let tries = 0; drawn.size < perCategory && tries < 200 * perCategory; tries++) {
      const problem = drawProblem(random, category, split, reach);
      if (!drawn.has(problem.question.en)) drawn.set(problem.question.en, problem);
    }
    return [...drawn.values()];
  });
}

/** `7+3` and `3+7` are one problem where order does not matter. */
function keyOf(kind: ProblemKind, operands: readonly number[]): string {
  const canonical = kind.commutes ? [...operands].sort((a, b) => a - b) : operands;
  return `${kind.name}:${canonical.join(",")}`;
}

function word(random: Random, kind: ProblemKind, operands: readonly number[]): SyntheticProblem {
  const wording = random.pick(kind.wordings);
  const who = random.pick(PEOPLE);
  const what = random.pick(THINGS);
  const answer = kind.answer(operands);
  const both = (part: "question" | "sentence"): Record<Language, string> => ({
    en: fillIn(wording.en[part], operands, { who: who.en, what: what.en, n: String(answer) }),
    zh: fillIn(wording.zh[part], operands, { who: who.zh, what: what.zh, n: String(answer) }),
  });
  return {
    key: keyOf(kind, operands),
    category: kind.category,
    operands,
    answer,
    expression: fillIn(kind.expression, operands),
    fact: fillIn(kind.fact, operands),
    question: both("question"),
    sentence: both("sentence"),
  };
}

/** Fills a template's slots: operands `{a}`, `{b}`, `{c}`, a sequence's `{a+d}` and `{a+2d}`, and what `words` names. */
function fillIn(
  template: string,
  [a, b, c]: readonly number[],
  words: Readonly<Record<string, string>> = {},
): string {
  const slots: Readonly<Record<string, string>> = {
    a: `${a}`,
    b: `${b}`,
    c: `${c}`,
    "a+d": `${a + b}`,
    "a+2d": `${a + 2 * b}`,
    ...words,
  };
  return template.replace(/\{([^}]+)\}/g, (_, slot: string) => own(slots, slot)!);
}
