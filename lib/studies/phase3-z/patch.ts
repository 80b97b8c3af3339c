/** Generates under every arm, and says what each patch did. */
import type { TaskOptions } from "../../progress.js";
import { type Grading, grade } from "../../tasks/index.js";
import { type Arm, armEdits } from "./arms.js";
import type { Subject } from "./subject.js";

export interface PatchOptions extends TaskOptions {
  /** Default 24. */
  readonly maxNewTokens?: number;
  /** Rows (an arm's problems) generated at once. Default 160. */
  readonly rowsPerCall?: number;
}

/** Answers under one arm, by problem. */
export interface PatchedArm {
  readonly arm: Arm;
  readonly graded: readonly Grading[];
  readonly ids: readonly (readonly number[])[];
}

/** The answers of every problem under every arm, several arms to a call. */
export async function patchArms(
  subject: Subject,
  arms: readonly Arm[],
  { maxNewTokens = 24, rowsPerCall = 160, onProgress, signal }: PatchOptions = {},
): Promise<PatchedArm[]> {
  const { model, ids, answers } = subject;
  const n = answers.length;
  const atOnce = Math.max(1, Math.floor(rowsPerCall / n));
  const patched: PatchedArm[] = [];
  for (let a = 0; a < arms.length; a += atOnce) {
    const some = arms.slice(a, a + atOnce);
    const batch = model.batch(some.flatMap(() => ids.en));
    const edits = await armEdits(subject, some, batch);
    const rows = await model.generate(batch, { maxNewTokens, edits, signal });
    some.forEach((arm, k) => {
      const own = rows.slice(k * n, (k + 1) * n);
      patched.push({
        arm,
        ids: own.map((row) => row.ids),
        graded: own.map((row, i) => grade(row.text, answers[i])),
      });
    });
    onProgress?.(patched.length, arms.length, "patching");
  }
  return patched;
}

/** What a patch did to an answer. "Turned" is to the other language; words that are lost are damage, not language. */
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
