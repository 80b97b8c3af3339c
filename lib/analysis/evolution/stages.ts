import { medianSorted } from "simple-statistics";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, numeric } from "../../options.js";
import { asMatrix, type MatrixLike, row, transpose } from "../linalg/matrix.js";
import { type Segmentation, segment } from "../statistics/segmentation.js";

/** The block at which rapid evolution ends. */
export interface CriticalBlock {
  /** Last block of the rapid stage: after it the changes are small. Undefined where they never fall so. */
  readonly block: number | undefined;
  /** Mean of the median change in the two stages, bits. */
  readonly before: number;
  readonly after: number;
  /** Share of the curve's variance that the two levels explain, 0–1. */
  readonly explained: number;
}

/**
 * Stages begin here. Block 0's change is left out, as in the document: before it stands the embedding, off which the
 * head mostly reads the token itself, so that any first block seems to change everything.
 */
const FIRST = 1;

/**
 * The critical layer by distributions: the curve of each block's median change (over the tokens), from block 1 on, is
 * cut in two at least squared error; the first part's last block is critical, provided the first mean is at least `fall`
 * times the second.
 * @param change `(blocks, tokens)`, see EarlyExit; three blocks or more.
 * @param fall how many times larger the changes of the rapid stage must be. Default 2.
 */
export function criticalBlock(change: MatrixLike, options: { readonly fall?: number } = {}): CriticalBlock {
  checkOptions("criticalBlock", options, { fall: numeric });
  const { fall = 2 } = options;
  const curve = medianChange(change).subarray(FIRST);
  const whole = segment(curve, { segments: 1 });
  const { starts, means, cost } = segment(curve, { segments: 2 });
  const [before, after] = means.data;
  return {
    block: before >= fall * after && before > after ? FIRST + starts[1] - 1 : undefined,
    before,
    after,
    explained: whole.cost === 0 ? 0 : 1 - cost / whole.cost,
  };
}

/** `(blocks)`: each block's median change over the tokens, bits. A few tokens that mutate do not move it. */
export function medianChange(change: MatrixLike): Float64Array {
  const x = asMatrix(change, "The changes");
  return Float64Array.from({ length: x.shape[0] }, (_, b) => median(row(x, b)));
}

/** Median; of an even number the mean of the middle two. */
export function median(values: Float64Array): number {
  return medianSorted(Array.from(values).sort((a, b) => a - b));
}

/**
 * The critical layer by probability, for each token: the first block after which the generated token has at least
 * `share` of the largest probability that any block gives it, `(tokens)`.
 * @param probability `(states, tokens)`, see EarlyExit; state 0, the embedding, does not count.
 */
export function emergence(probability: MatrixLike, options: { readonly share?: number } = {}): Int32Array {
  checkOptions("emergence", options, { share: numeric });
  const { share = 0.5 } = options;
  const byToken = transpose(asMatrix(probability, "The probabilities"));
  return Int32Array.from({ length: byToken.shape[0] }, (_, t) => {
    const after = row(byToken, t).subarray(1);
    const most = after.reduce((top, value) => Math.max(top, value), 0);
    return after.findIndex((value) => value >= share * most);
  });
}

/**
 * For each token the first block after which the generated token is the likeliest and stays so, `(tokens)`; the number
 * of blocks where it is not even at the end (sampled text, or another run's).
 * @param rank `(states, tokens)`, see EarlyExit.
 */
export function firstStableLayer(rank: MatrixLike): Int32Array {
  const byToken = transpose(asMatrix(rank, "The ranks"));
  return Int32Array.from(
    { length: byToken.shape[0] },
    (_, t) =>
      row(byToken, t)
        .subarray(1)
        .findLastIndex((value) => value > 1) + 1,
  );
}

/** The curve of median changes in three parts, and whether they are the document's. `starts` are blocks; the first is 1. */
export interface EvolutionStages extends Segmentation {
  /** Means fall from the first to the second: rapid evolution, then stabilisation. */
  readonly calms: boolean;
  /** Means rise again from the second to the third: mutation. */
  readonly risesAgain: boolean;
  /** By number of segments, 1 … at most 6: the least squared error, to see what a third one brings. */
  readonly costs: readonly number[];
}

/**
 * Three stages of evolution: the exact three-part segmentation of the curve from block 1 on.
 * @param curve `(blocks)`, bits: see medianChange; or one token's, or a mean.
 */
export function evolutionStages(curve: ArrayLike<number>): EvolutionStages {
  const blocks = Array.from(curve).slice(FIRST);
  if (blocks.length < 3) {
    throw new ModalscopeError(`Three stages need three blocks after the first; there are ${blocks.length}.`);
  }
  const found = segment(blocks, { segments: 3 });
  const [first, second, third] = found.means.data;
  const costs = Array.from(
    { length: Math.min(6, blocks.length) },
    (_, k) => segment(blocks, { segments: k + 1 }).cost,
  );
  return {
    ...found,
    starts: found.starts.map((start) => FIRST + start),
    calms: second < first,
    risesAgain: third > second,
    costs,
  };
}
