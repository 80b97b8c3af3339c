import { ModalscopeError } from "../../errors.js";
import { checkOptions, groupKeys, integer, type OptionChecks, oneOf } from "../../options.js";
import { seeded } from "../../random.js";
import { checkSame } from "../linalg/matrix.js";
import type { PermutationOptions, PermutationTest } from "./permutation.js";

/** Options of {@link labelTest}. */
export interface LabelTestOptions extends PermutationOptions {
  /** Labels change places only within a group (a caption, a token), `(n)`. Default: one group. */
  readonly groups?: ArrayLike<number | string>;
  /**
   * Null arrangements of the labels. "shuffle" (default): any order. "shift": rotated by a random number of places within
   * the group, in the order given, which keeps runs of labels together.
   */
  readonly arrangement?: "shuffle" | "shift";
}

const LABEL_TEST_OPTIONS: OptionChecks<LabelTestOptions> = {
  groups: groupKeys,
  arrangement: oneOf("shuffle", "shift"),
  draws: integer(1),
  seed: integer(),
};

/** Result of {@link labelTest}. */
export interface LabelTest extends PermutationTest {
  /** Mean value with and without the label, and how many of each. */
  readonly labelled: { readonly mean: number; readonly n: number };
  readonly others: { readonly mean: number; readonly n: number };
}

/**
 * Do labelled items have larger values than the others? `statistic` is the difference of means, large values extreme;
 * the null gives the labels to other items of the same group.
 * @param values `(n)`; 0 or 1 compares shares. @param labels `(n)`.
 * @throws ModalscopeError when all items are labelled, or none.
 */
export function labelTest(
  values: ArrayLike<number>,
  labels: ArrayLike<boolean | number>,
  options: LabelTestOptions = {},
): LabelTest {
  checkOptions("labelTest", options, LABEL_TEST_OPTIONS);
  const { groups, arrangement = "shuffle", draws = 9999, seed = 0 } = options;
  const n = values.length;
  checkSame("labelTest", labels.length, n, "labels and values");
  if (groups) checkSame("labelTest", groups.length, n, "groups and values");
  const marked = Uint8Array.from({ length: n }, (_, i) => (labels[i] ? 1 : 0));
  const count = marked.reduce((sum, mark) => sum + mark, 0);
  if (count === 0 || count === n) {
    throw new ModalscopeError(
      `${count} of ${n} items are labelled.`,
      "There is nothing to compare them with.",
    );
  }
  let total = 0;
  for (let i = 0; i < n; i++) total += values[i];
  const difference = (marks: Uint8Array): number => {
    let sum = 0;
    for (let i = 0; i < n; i++) if (marks[i] === 1) sum += values[i];
    return sum / count - (total - sum) / (n - count);
  };
  const members = new Map<number | string, number[]>();
  for (let i = 0; i < n; i++) {
    const group = groups?.[i] ?? 0;
    const own = members.get(group);
    if (own) own.push(i);
    else members.set(group, [i]);
  }
  const random = seeded(seed);
  const rearranged = (own: readonly number[]): readonly number[] => {
    if (arrangement === "shuffle") return random.shuffle(own);
    const by = random.int(own.length);
    return [...own.slice(by), ...own.slice(0, by)];
  };
  const statistic = difference(marked);
  const marks = new Uint8Array(n);
  const nulls = Float64Array.from({ length: draws }, () => {
    for (const own of members.values()) {
      rearranged(own).forEach((source, k) => {
        marks[own[k]] = marked[source];
      });
    }
    return difference(marks);
  });
  // Arrangements that equal the observed one up to rounding are as extreme as it is.
  const limit = statistic - 1e-12 * Math.abs(statistic);
  const extreme = nulls.reduce((found, value) => found + (value >= limit ? 1 : 0), 0);
  let sum = 0;
  for (let i = 0; i < n; i++) if (marked[i] === 1) sum += values[i];
  return {
    statistic,
    p: (1 + extreme) / (1 + draws),
    null: nulls,
    labelled: { mean: sum / count, n: count },
    others: { mean: (total - sum) / (n - count), n: n - count },
  };
}
