import { checkOptions, integer, type OptionChecks, oneOf, required } from "../../options.js";
import { seeded } from "../../random.js";
import type { MathsProblem } from "./maths.js";
import { drawProblems, type OperandRange } from "./synthetic.js";

export interface HeldOutOptions {
  /** Problems of each category at most; a category with few held-out ones gives all that it has. */
  readonly each: number;
  readonly seed?: number;
  /** No two with the same question (default), or none with the same arithmetic. */
  readonly distinct?: "question" | "arithmetic";
  /** Range of the operands (default "usual"): the wide one, which half of the training is from, holds more problems. */
  readonly reach?: OperandRange;
}

/** Draws from one category for each problem that is wanted of different arithmetic: wordings repeat it. */
const DRAWS = 20;

const HELD_OUT_OPTIONS: OptionChecks<HeldOutOptions> = {
  each: required(integer(1), "an integer from 1 on"),
  seed: integer(),
  distinct: oneOf("question", "arithmetic"),
  reach: oneOf("usual", "wide"),
};

/**
 * Held-out problems of the embedded maths checkpoint, in both languages; equal arguments give equal problems.
 * @throws RangeError when `each` is not a whole number from 1
 */
export function heldOutProblems(options: HeldOutOptions): MathsProblem[] {
  checkOptions("heldOutProblems", options, HELD_OUT_OPTIONS);
  const { each, seed = 0, distinct = "question", reach } = options;
  if (!(Number.isInteger(each) && each > 0))
    throw new RangeError(`each is ${each}: give a whole number from 1.`);
  const met = new Set<string>();
  const taken = new Map<string, number>();
  const drawn = drawProblems(seeded(seed), distinct === "question" ? each : DRAWS * each, "heldout", reach);
  return drawn.flatMap(({ key, category, expression, answer, question }) => {
    const number = (taken.get(category) ?? 0) + 1;
    const identity = distinct === "question" ? question.en : key;
    if (met.has(identity) || number > each) return [];
    met.add(identity);
    taken.set(category, number);
    return [{ id: `${category.replaceAll(" ", "-")}-${number}`, category, expression, answer, ...question }];
  });
}
