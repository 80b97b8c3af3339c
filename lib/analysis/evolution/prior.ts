import { checkOptions, integer, required } from "../../options.js";
import { asMatrix, checkSame, type Matrix, type MatrixLike, zeros } from "../linalg/matrix.js";
import { type LabelTest, type LabelTestOptions, labelTest } from "../statistics/labels.js";
import { PERMUTATION_OPTIONS } from "../statistics/permutation.js";

/** Movement of each token's distribution by each block, with respect to a reference. */
export interface MovementToward {
  /** `(blocks, tokens)`, bits: how much nearer the block brings it, `JS(p_before, q) − JS(p_after, q)`. */
  readonly bits: Matrix;
  /**
   * `(blocks, tokens)`, −1 to 1: the same as a share of the way moved, `(√JS(p_before,q) − √JS(p_after,q)) /
   * √JS(p_before, p_after)`. √JS is a metric (Endres & Schindelin 2003), so 1 is straight towards the reference and −1
   * straight away; 0 where nothing moved. A large change does not count for more than a small one.
   */
  readonly directness: Matrix;
}

/**
 * Movement towards a reference distribution, block by block.
 * @param distance `(states, tokens)`, JS from the reference in bits. @param change `(blocks, tokens)`; both see EarlyExit.
 */
export function movementToward(distance: MatrixLike, change: MatrixLike): MovementToward {
  const d = asMatrix(distance, "The distances");
  const moved = asMatrix(change, "The changes");
  const [blocks, count] = moved.shape;
  checkSame("movementToward", d.shape[0], blocks + 1, "states and blocks + 1");
  checkSame("movementToward", d.shape[1], count, "tokens");
  const bits = zeros(blocks, count);
  const directness = zeros(blocks, count);
  for (let i = 0; i < blocks * count; i++) {
    const [before, after] = [d.data[i], d.data[i + count]];
    bits.data[i] = before - after;
    // Rounding in a tiny change can push the ratio past its bounds.
    const share = moved.data[i] > 0 ? (Math.sqrt(before) - Math.sqrt(after)) / Math.sqrt(moved.data[i]) : 0;
    directness.data[i] = Math.min(1, Math.max(-1, share));
  }
  return { bits, directness };
}

/**
 * Do mutation layers move towards the reference more than the other blocks after the critical one? The null lets
 * mutations happen at other such blocks of the same token.
 * @param movement `(blocks, tokens)`: `bits` or `directness` of {@link movementToward}; or the difference of two approaches,
 * to the prior less to a control (another image's prior): a mutation may bring a text nearer to any likely text.
 * @param mutated `(blocks, tokens)`, see Mutations.
 */
export function movementTowardTest(
  movement: MatrixLike,
  mutated: MatrixLike,
  options: Omit<LabelTestOptions, "groups" | "arrangement"> & { readonly critical: number },
): LabelTest {
  checkOptions("movementTowardTest", options, {
    ...PERMUTATION_OPTIONS,
    critical: required(integer(), "a block"),
  });
  const { critical, ...test } = options;
  const x = asMatrix(movement, "The movement");
  const marks = asMatrix(mutated, "The mutations");
  checkSame("movementTowardTest", marks.data.length, x.data.length, "mutations and movements");
  const count = x.shape[1];
  const start = (critical + 1) * count;
  const labels = marks.data.subarray(start);
  const tokens = Int32Array.from(labels, (_, i) => i % count);
  return labelTest(x.data.subarray(start), labels, { ...test, groups: tokens });
}
