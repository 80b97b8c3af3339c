/** Generates under every arm, and says what each patch did. */
import type { Generated } from "../../model/index.js";
import { checkOptions, integer, listOf, type OptionChecks, TASK_OPTIONS, text } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { type Grading, grade } from "../../tasks/index.js";
import { type Arm, armEdits } from "./arms.js";
import type { Subject } from "./subject.js";

export interface PatchOptions extends TaskOptions {
  /** Default 24. */
  readonly maxNewTokens?: number;
  /** Rows (an arm's problems) generated at once. Default 160. */
  readonly rowsPerCall?: number;
  /** Texts that end an answer. */
  readonly stopStrings?: readonly string[];
}

/** Answers under one arm, by problem. */
export interface PatchedArm {
  readonly arm: Arm;
  readonly graded: readonly Grading[];
  readonly ids: readonly (readonly number[])[];
}

const PATCH_OPTIONS: OptionChecks<PatchOptions> = {
  ...TASK_OPTIONS,
  maxNewTokens: integer(1),
  rowsPerCall: integer(1),
  stopStrings: listOf(text),
};

/** The answers of every problem under every arm: a call holds all arms of problems that are about equally long. */
export async function patchArms(
  subject: Subject,
  arms: readonly Arm[],
  options: PatchOptions = {},
): Promise<PatchedArm[]> {
  checkOptions("patchArms", options, PATCH_OPTIONS);
  const { maxNewTokens = 24, rowsPerCall = 160, stopStrings, onProgress, signal } = options;
  const { model, ids, answers } = subject;
  const order = byLength(ids.en);
  const atOnce = Math.max(1, Math.floor(rowsPerCall / arms.length));
  const found = arms.map(() => new Map<number, Generated>());
  for (let start = 0; start < order.length; start += atOnce) {
    const some = order.slice(start, start + atOnce);
    const batch = model.batch(arms.flatMap(() => some.map((i) => ids.en[i])));
    const edits = await armEdits(subject, arms, batch, some);
    const rows = await model.generate(batch, { maxNewTokens, stopStrings, edits, signal });
    rows.forEach((row, r) => {
      found[Math.floor(r / some.length)].set(some[r % some.length], row);
    });
    onProgress?.(Math.min(start + atOnce, order.length), order.length, "patching");
  }
  return arms.map((arm, a) => {
    const own = answers.map((_, i) => found[a].get(i)).filter((row) => row !== undefined);
    return { arm, ids: own.map((row) => row.ids), graded: own.map((row, i) => grade(row.text, answers[i])) };
  });
}

/** Numbers of the prompts, the shortest first: those of a call are padded to its longest. */
export function byLength(prompts: readonly (readonly number[])[]): number[] {
  return [...prompts.keys()].sort((a, b) => prompts[a].length - prompts[b].length);
}

/** Effect of a patch on an answer. "Turned" is to the other language; words that are lost are damage, not language. */
export interface PatchOutcome {
  /** Another number, or none, than the unpatched answer's. */
  readonly changed: boolean;
  /** The donor's number, which is not the own one. */
  readonly flipped: boolean;
  readonly turned: boolean;
  readonly wordless: boolean;
}

/** Compares the patched answers with the unpatched ones. @param donors the answer of each problem's donor. */
export function patchOutcomes(
  clean: readonly Grading[],
  patched: readonly Grading[],
  donors: readonly (number | undefined)[] = [],
): PatchOutcome[] {
  return patched.map(({ answer, language }, i) => ({
    changed: answer !== clean[i].answer,
    flipped: answer !== undefined && answer !== clean[i].answer && answer === donors[i],
    turned: (language === "zh" || language === "mixed") && clean[i].language === "en",
    wordless: language === "none" && clean[i].language !== "none",
  }));
}
