import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, number } from "../../options.js";
import { checkSame } from "../linalg/matrix.js";
import { bootstrapMean, type Estimate, wilson } from "../statistics/intervals.js";
import {
  type PairedProportions,
  type PermutationTest,
  pairedProportions,
  shuffledPairingTest,
} from "../statistics/permutation.js";

/** Effect of one patch on one case, against the same case unpatched. */
export interface PatchEffect {
  readonly answerChanged: boolean;
  readonly languageKept: boolean;
}

/**
 * - `double dissociation`: Z changes answers and keeps the language, Z⊥ disrupts the language and keeps answers.
 * - `partial`: Z changes answers more than Z⊥ does.
 * - `reversed`: Z⊥ changes answers more than Z does, a case for which the study has no name.
 * - `null`: no difference in answers that these cases can show.
 */
export type Verdict = "double dissociation" | "partial" | "reversed" | "null";

/** Rates and tests of a double dissociation. */
export interface Dissociation {
  readonly verdict: Verdict;
  /** Answers changed by Z against answers changed by Z⊥. */
  readonly answers: PairedProportions;
  /** Languages disrupted by Z⊥ against languages disrupted by Z. */
  readonly language: PairedProportions;
  /** The four rates, with Wilson's intervals. */
  readonly rates: {
    readonly zAnswerChange: Estimate;
    readonly complementAnswerChange: Estimate;
    readonly zLanguageKept: Estimate;
    readonly complementLanguageDisrupted: Estimate;
  };
}

/**
 * Compares patches of a subspace with patches of its complement on the same cases, by exact McNemar tests.
 *
 * A double dissociation needs both differences in the expected direction at `alpha`, and each patch to leave alone what it
 * should in more than half of the cases: a patch that destroys everything dissociates nothing.
 * @param z effects of the Z-patch. @param complement of the Z⊥-patch, same cases in the same order.
 */
export function dissociation(
  z: readonly PatchEffect[],
  complement: readonly PatchEffect[],
  options: { readonly alpha?: number } = {},
): Dissociation {
  checkOptions("dissociation", options, { alpha: number(0, 1) });
  const { alpha = 0.05 } = options;
  checkSame("dissociation", z.length, complement.length, "cases");
  const changed = (effects: readonly PatchEffect[]): boolean[] => effects.map((e) => e.answerChanged);
  const disrupted = (effects: readonly PatchEffect[]): boolean[] => effects.map((e) => !e.languageKept);
  const answers = pairedProportions(changed(z), changed(complement));
  const language = pairedProportions(disrupted(complement), disrupted(z));
  const rate = (flags: readonly boolean[]): Estimate => wilson(flags.filter(Boolean).length, flags.length);
  const rates = {
    zAnswerChange: rate(changed(z)),
    complementAnswerChange: rate(changed(complement)),
    zLanguageKept: rate(z.map((e) => e.languageKept)),
    complementLanguageDisrupted: rate(disrupted(complement)),
  };
  const answersDiffer = answers.p < alpha && answers.difference > 0;
  const languageDiffers = language.p < alpha && language.difference > 0;
  const each = rates.zLanguageKept.estimate > 0.5 && rates.complementAnswerChange.estimate < 0.5;
  const verdict = (): Verdict => {
    if (answers.p < alpha && answers.difference < 0) return "reversed";
    if (!answersDiffer) return "null";
    return languageDiffers && each ? "double dissociation" : "partial";
  };
  return { verdict: verdict(), answers, language, rates };
}

/** A case patched from a donor with another answer. */
export interface CrossPatch {
  /** Answer of the patched run; undefined when it gave no number. */
  readonly answer: number | undefined;
  /** Answer of the unpatched run. */
  readonly clean: number | undefined;
  /** The donor's answer. */
  readonly donor: number;
}

/** Result of {@link flipTest}. */
export interface FlipTest extends PermutationTest {
  /** Cases whose answer became the donor's, with Wilson's interval. */
  readonly flips: Estimate;
  /** Cases whose answer changed at all. */
  readonly changed: Estimate;
  /** The share of flips when donors are shuffled among the cases. */
  readonly chance: number;
}

/**
 * Tests whether answers flip *to the donor's*, beyond what changing at random gives: donors are shuffled among the cases.
 * An answer that did not change never counts as a flip.
 * @throws ModalscopeError without cases.
 */
export function flipTest(
  cases: readonly CrossPatch[],
  options: { readonly draws?: number; readonly seed?: number } = {},
): FlipTest {
  checkOptions("flipTest", options, { draws: integer(1), seed: integer() });
  if (cases.length === 0) throw new ModalscopeError("There are no patched cases to test.");
  const moved = cases.map(({ answer, clean }) => answer !== undefined && answer !== clean);
  const count = (order: readonly number[]): number =>
    cases.filter(({ answer }, i) => moved[i] && answer === cases[order[i]].donor).length;
  const test = shuffledPairingTest(cases.length, count, options);
  const changed = cases.filter(({ answer, clean }) => answer !== clean).length;
  return {
    ...test,
    flips: wilson(test.statistic, cases.length),
    changed: wilson(changed, cases.length),
    chance: test.null.reduce((sum, value) => sum + value, 0) / test.null.length / cases.length,
  };
}

/** A case patched from a donor, seen in the log-probabilities of some candidate answers. */
export interface ShiftCase {
  /** Change of each candidate's log-probability by the patch, nats. */
  readonly change: ArrayLike<number>;
  /** Index of the candidate that is the case's own answer. */
  readonly own: number;
  /** Index of the donor's. */
  readonly donor: number;
}

/** Result of {@link shiftTest}. */
export interface ShiftTest extends PermutationTest {
  /** Mean directed shift with its bootstrap interval, nats. */
  readonly shift: Estimate;
}

/**
 * Tests whether patches move answers *towards the donor's* rather than anywhere: the change of the donor's log-probability less
 * the mean change of the other candidates, the case's own left out, averaged over the cases. Damage that knows nothing of the
 * donor gives 0 on average, whatever it does to the probabilities. The null shuffles donors among the cases, so that an
 * answer that damage favours is favoured there too; one-sided.
 * @throws ModalscopeError without cases, or where a case has no candidate besides its own and its donor's.
 */
export function shiftTest(
  cases: readonly ShiftCase[],
  options: { readonly draws?: number; readonly seed?: number } = {},
): ShiftTest {
  checkOptions("shiftTest", options, { draws: integer(1), seed: integer() });
  const { draws, seed } = options;
  if (cases.length === 0) throw new ModalscopeError("There are no patched cases to test.");
  const shifts = cases.map((one) => directedShift(one, one.donor));
  const mean = (order: readonly number[]): number => {
    // A shuffled donor may have the case's own answer: such a case then says nothing.
    const usable = cases.filter((one, i) => cases[order[i]].donor !== one.own);
    const sum = cases.reduce((total, one, i) => {
      const { donor } = cases[order[i]];
      return donor === one.own ? total : total + directedShift(one, donor);
    }, 0);
    return sum / usable.length;
  };
  return {
    ...shuffledPairingTest(cases.length, mean, { draws, seed }),
    shift: bootstrapMean(shifts, { seed }),
  };
}

/**
 * Change of the donor's log-probability less the mean change of the candidates that are neither its nor the own, nats.
 * @throws ModalscopeError where there is no such candidate, or the donor is the own.
 */
export function directedShift({ change, own }: ShiftCase, donor: number): number {
  const others = Array.from(change, (_, c) => c).filter((c) => c !== own && c !== donor);
  if (own === donor || others.length === 0) {
    throw new ModalscopeError(
      "A directed shift needs the own answer, the donor's and at least one other.",
      `There are ${change.length} candidates; the own is number ${own}, the donor's number ${donor}.`,
    );
  }
  return change[donor] - others.reduce((sum, c) => sum + change[c], 0) / others.length;
}
