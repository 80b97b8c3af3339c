/** Linear probes: what can be read off representations, beside what a probe finds in shuffled labels. */

import { mean } from "simple-statistics";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, groupKeys, integer, numeric, type OptionChecks } from "../../options.js";
import { seeded } from "../../random.js";
import { asMatrix, checkSame, type Matrix, type MatrixLike, takeRows, zeros } from "../linalg/matrix.js";
import { rateInterval } from "../statistics/clustered.js";
import type { Estimate } from "../statistics/intervals.js";
import { argmax } from "../statistics/places.js";
import { stratifiedFolds } from "./folds.js";
import { ridgeScores } from "./ridge.js";

/** Samples below which a probe's accuracy says little. */
export const LEAST_PROBE_SAMPLES = 100;

export interface ProbeOptions {
  /** Default 5. */
  readonly folds?: number;
  /** Ridge penalty as a share of the samples' mean squared norm. Default 0.01. */
  readonly penalty?: number;
  /** Labellings at random that the control is the mean of. Default 20. */
  readonly shuffles?: number;
  /** Cluster of each sample, `(n)`, such as its image: clusters stay together in a fold, and the interval is over them. */
  readonly clusters?: ArrayLike<number | string>;
  /** Samples below which the probe is refused. Default 100. */
  readonly least?: number;
  /** Default 0. */
  readonly seed?: number;
}

const PROBE_OPTIONS: OptionChecks<ProbeOptions> = {
  folds: numeric,
  penalty: numeric,
  shuffles: numeric,
  clusters: groupKeys,
  least: numeric,
  seed: integer(),
};

export interface Probe {
  /** Share of the samples that are classified right by a probe that did not see them. */
  readonly accuracy: Estimate;
  /** `(n)`: 1 where right, in the samples' order, so that probes of two layers can be compared sample by sample. */
  readonly correct: Uint8Array;
  /** `(n)`: how often each sample is right with shuffled labels, 0–1. */
  readonly control: Float64Array;
  /** The accuracy of each labelling at random, `(shuffles)`, and its mean. */
  readonly shuffled: Float64Array;
  readonly chance: number;
  /** `(1 + #{shuffled ≥ accuracy}) / (1 + shuffles)`. */
  readonly p: number;
  /** The labels, as `predicted` numbers them, and the class that each sample was put into, `(n)`. */
  readonly classes: readonly (number | string)[];
  readonly predicted: Int32Array;
}

/**
 * Cross-validated linear probe (Alain & Bengio 2016) with a control on shuffled labels (after Hewitt & Liang 2019): a ridge
 * classifier on features that are standardised within each fold's training part. The folds are the same for all layers
 * of equal labels and seed.
 * @param features `(n, d)`. @param labels `(n)`: classes, by number or name.
 * @throws ModalscopeError for fewer samples than `least`, for one class alone, and where a class has fewer samples than
 * there are folds.
 */
export function linearProbe(
  features: MatrixLike,
  labels: ArrayLike<number | string>,
  options: ProbeOptions = {},
): Probe {
  checkOptions("linearProbe", options, PROBE_OPTIONS);
  const {
    folds = 5,
    penalty = 0.01,
    shuffles = 20,
    clusters,
    least = LEAST_PROBE_SAMPLES,
    seed = 0,
  } = options;
  const x = asMatrix(features, "The features");
  const n = x.shape[0];
  checkSame("linearProbe", labels.length, n, "labels and samples");
  checkSizes(n, { folds, penalty, shuffles, least });
  const classes = [...new Set(Array.from(labels))].sort();
  if (classes.length < 2)
    throw new ModalscopeError("All samples have the same label.", "There is nothing to tell apart.");
  const own = Int32Array.from(labels, (label: number | string) => classes.indexOf(label));
  const random = seeded(seed);
  const labellings = [own, ...Array.from({ length: shuffles }, () => shuffledLabels(own, random.shuffle))];
  const fold = stratifiedFolds(own, folds, { clusters, seed });
  const predicted = crossValidated({ x, fold, folds, penalty }, labellings, classes.length);
  const right = labellings.map((truth, l) => predicted[l].map((guess, i) => (guess === truth[i] ? 1 : 0)));
  const shuffled = Float64Array.from(right.slice(1), (flags) => mean(Array.from(flags)));
  const accuracy = rateInterval(right[0], { clusters });
  const reached = shuffled.filter((value) => value >= accuracy.estimate - 1e-12).length;
  return {
    accuracy,
    correct: Uint8Array.from(right[0]),
    control: Float64Array.from({ length: n }, (_, i) => mean(right.slice(1).map((flags) => flags[i]))),
    shuffled,
    chance: mean(Array.from(shuffled)),
    p: (1 + reached) / (1 + shuffles),
    classes,
    predicted: predicted[0],
  };
}

interface Split {
  readonly x: Matrix;
  /** Fold of each sample. */
  readonly fold: Int32Array;
  readonly folds: number;
  readonly penalty: number;
}

/** The class that each sample is put into under each labelling: one factorisation a fold serves them all. */
function crossValidated(
  { x, fold, folds, penalty }: Split,
  labellings: readonly Int32Array[],
  classes: number,
): Int32Array[] {
  const predicted = labellings.map(() => new Int32Array(x.shape[0]));
  for (let f = 0; f < folds; f++) {
    const all = Array.from(fold.keys());
    const [held, train] = [all.filter((i) => fold[i] === f), all.filter((i) => fold[i] !== f)];
    const targets = zeros(train.length, labellings.length * classes);
    const width = targets.shape[1];
    train.forEach((i, r) => {
      labellings.forEach((truth, l) => {
        targets.data[r * width + l * classes + truth[i]] = 1;
      });
    });
    const scores = ridgeScores(takeRows(x, train), targets, takeRows(x, held), penalty);
    held.forEach((i, r) => {
      predicted.forEach((guesses, l) => {
        const from = r * width + l * classes;
        guesses[i] = argmax(scores.data.subarray(from, from + classes));
      });
    });
  }
  return predicted;
}

function shuffledLabels(labels: Int32Array, shuffle: (items: readonly number[]) => number[]): Int32Array {
  return Int32Array.from(shuffle(Array.from(labels)));
}

function checkSizes(
  n: number,
  {
    folds,
    penalty,
    shuffles,
    least,
  }: Required<Pick<ProbeOptions, "folds" | "penalty" | "shuffles" | "least">>,
): void {
  if (n < least)
    throw new ModalscopeError(
      `The probe got ${n} samples, and ${least} are asked for.`,
      "With few samples its accuracy says little, and many features fit anything.",
      "Take more samples.",
    );
  if (!(Number.isInteger(folds) && folds >= 2 && shuffles >= 1 && penalty > 0))
    throw new ModalscopeError(
      `The probe got ${folds} folds, ${shuffles} shuffles and the penalty ${penalty}.`,
      "It needs two folds or more, a shuffle or more, and a penalty above 0.",
    );
}
