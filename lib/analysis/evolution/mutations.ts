import { ModalscopeError } from "../../errors.js";
import { asMatrix, type Matrix, type MatrixLike, zeros } from "../linalg/matrix.js";
import { type LabelTest, type LabelTestOptions, labelTest } from "../statistics/labels.js";
import { median } from "./stages.js";

/** Options of {@link mutations}. */
export interface MutationOptions {
  /** The last block of the rapid stage; only later blocks can mutate. */
  readonly critical: number;
  /** Deviations above the median from which on a change counts. Default 5. */
  readonly deviations?: number;
  /** Changes below this are none, bits. Default 0.05. */
  readonly least?: number;
  /**
   * Changes that a change is compared with. "stage" (default): all changes after the critical block, so that a block that
   * rewrites every token mutates for every token. "block": the changes that this block makes to other tokens.
   */
  readonly against?: "stage" | "block";
  /** A block is a mutation layer of the run when at least this share of the tokens mutates there. Default 0.1. */
  readonly share?: number;
  /** Blocks at the end that are never counted. Default 0. */
  readonly spare?: number;
}

/** Mutations by block and token. */
export interface Mutations {
  /** `(blocks, tokens)`: 1 where a block mutates a token. */
  readonly mutated: Matrix;
  /** `(blocks)`, bits: the change above which a mutation is counted; Infinity where none can be. */
  readonly threshold: Float64Array;
  /** `(blocks)`: share of the tokens that mutate. */
  readonly shares: Float64Array;
  /** `(tokens)`: whether any block mutates the token. */
  readonly tokens: readonly boolean[];
  /** Mutation layers of the run, ascending. */
  readonly layers: readonly number[];
}

/**
 * Mutation layers: changes after the critical block above `median + deviations · 1.4826 · MAD` (MAD the median absolute
 * deviation, which 1.4826 makes a standard deviation for normal noise), and not below `least`.
 * @param change `(blocks, tokens)`, see EarlyExit.
 */
export function mutations(change: MatrixLike, options: MutationOptions): Mutations {
  const x = asMatrix(change, "The changes");
  const [blocks, count] = x.shape;
  const { critical, deviations = 5, least = 0.05, against = "stage", share = 0.1, spare = 0 } = options;
  const [start, end] = [critical + 1, blocks - spare];
  if (!(critical >= 0 && start < end)) {
    throw new ModalscopeError(
      `No block can mutate after block ${critical} of ${blocks}, with ${spare} spared at the end.`,
    );
  }
  const calm = x.data.subarray(start * count, end * count);
  const threshold = new Float64Array(blocks).fill(Number.POSITIVE_INFINITY);
  for (let b = start; b < end; b++) {
    const baseline = against === "stage" ? calm : x.data.subarray(b * count, (b + 1) * count);
    threshold[b] = Math.max(least, outlying(baseline, deviations));
  }
  const mutated = zeros(blocks, count);
  for (let i = 0; i < blocks * count; i++) {
    if (x.data[i] > threshold[Math.floor(i / count)]) mutated.data[i] = 1;
  }
  const shares = Float64Array.from(
    { length: blocks },
    (_, b) => mutated.data.subarray(b * count, (b + 1) * count).reduce((sum, mark) => sum + mark, 0) / count,
  );
  const layers = [...shares.keys()].filter((b) => shares[b] > 0 && shares[b] >= share);
  const tokens = Array.from({ length: count }, (_, t) =>
    threshold.some((_, b) => mutated.data[b * count + t] === 1),
  );
  return { mutated, threshold, shares, tokens, layers };
}

function outlying(values: Float64Array, deviations: number): number {
  const middle = median(values);
  return middle + deviations * 1.4826 * median(values.map((value) => Math.abs(value - middle)));
}

/** Result of a test whether mutations fall on some tokens more than on others. */
export interface MutationTest {
  /** Share of tokens that mutate, labelled against others. */
  readonly share: LabelTest;
  /** Largest change after the critical block, bits: the same question without a threshold. */
  readonly size: LabelTest;
}

/**
 * Do mutations fall on entities (or on hallucinated tokens)? The null gives the labels to other tokens; pass the
 * captions as `groups` when there are several.
 * @param labels `(tokens)`: which tokens are entities.
 */
export function mutationTest(
  change: MatrixLike,
  { tokens }: Pick<Mutations, "tokens">,
  labels: ArrayLike<boolean | number>,
  { critical, spare = 0, ...options }: LabelTestOptions & Pick<MutationOptions, "critical" | "spare">,
): MutationTest {
  const x = asMatrix(change, "The changes");
  const [blocks, count] = x.shape;
  const largest = new Float64Array(count);
  for (let b = critical + 1; b < blocks - spare; b++)
    for (let t = 0; t < count; t++) largest[t] = Math.max(largest[t], x.data[b * count + t]);
  return { share: labelTest(tokens.map(Number), labels, options), size: labelTest(largest, labels, options) };
}
