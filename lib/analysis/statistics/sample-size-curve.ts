import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, listOf, numeric, type OptionChecks, required } from "../../options.js";
import { seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import type { AgainstShuffles } from "./shuffles.js";

/** Options of {@link sampleSizeCurve}. */
export interface SampleSizeOptions {
  /** Numbers of samples. */
  readonly sizes: readonly number[];
  /** Draws of so many samples (default 20). */
  readonly repeats?: number;
  /** Default 0. */
  readonly seed?: number;
}

const SAMPLE_SIZE_OPTIONS: OptionChecks<SampleSizeOptions> = {
  sizes: required(listOf(integer(1), 1), "a list of numbers of samples"),
  repeats: numeric,
  seed: integer(),
};

/** A measure at several numbers of samples. */
export interface SampleSizeCurve {
  readonly sizes: readonly number[];
  /** (sizes, repeats) */
  readonly values: Tensor<Float64Array>;
  /** (sizes, repeats): each draw's own floor. */
  readonly floors: Tensor<Float64Array>;
  /** (sizes): share of the draws that lie beyond their shuffles, p ≤ 0.05. */
  readonly power: Float64Array;
}

/**
 * Dependence of a measure on the number of samples: it is taken of random draws of so many, without replacement. At
 * the largest sizes draws share most of their samples, so that their spread says less than it seems to.
 * @param count samples that there are.
 * @param measure of the samples with these numbers.
 * @throws ModalscopeError for a size that is not from 1 to `count`.
 * @example
 * const cka = (some) => ckaAgainstShuffles(some.map((i) => visual[i]), some.map((i) => text[i]));
 * const { power } = sampleSizeCurve(visual.length, cka, { sizes: [10, 30, 100] });
 */
export function sampleSizeCurve(
  count: number,
  measure: (samples: readonly number[]) => AgainstShuffles,
  options: SampleSizeOptions,
): SampleSizeCurve {
  checkOptions("sampleSizeCurve", options, SAMPLE_SIZE_OPTIONS);
  const { sizes, repeats = 20, seed = 0 } = options;
  const bad = sizes.find((size) => !(Number.isInteger(size) && size >= 1 && size <= count));
  if (bad !== undefined) throw new ModalscopeError(`${bad} samples cannot be drawn from ${count}.`);
  const random = seeded(seed);
  const all = Array.from({ length: count }, (_, i) => i);
  const draws = sizes.map((size) =>
    Array.from({ length: repeats }, () => measure(random.shuffle(all).slice(0, size))),
  );
  const table = (of: (draw: AgainstShuffles) => number): Tensor<Float64Array> => ({
    data: Float64Array.from(draws.flatMap((own) => own.map(of))),
    shape: [sizes.length, repeats],
  });
  return {
    sizes,
    values: table(({ value }) => value),
    floors: table(({ floor }) => floor),
    power: Float64Array.from(draws, (own) => own.filter(({ p }) => p <= 0.05).length / repeats),
  };
}
