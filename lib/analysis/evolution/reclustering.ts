import { checkOptions } from "../../options.js";
import { at0, type Tensor } from "../../tensor.js";
import { distances, knnLabelAgreement, silhouetteOf, silhouettesOf } from "../embedding/clusters.js";
import { checkSame } from "../linalg/matrix.js";
import {
  PERMUTATION_OPTIONS,
  type PermutationOptions,
  type PermutationTest,
  shuffledPairingTest,
} from "../statistics/permutation.js";
import { checkStates } from "./states.js";

/** Clustering of like answers by depth, with a test of whether the last block gathers them again. */
export interface Reclustering {
  /** `(states)`: mean silhouette by the answers. */
  readonly silhouette: Float64Array;
  /** `(states, items)`: each item's own silhouette. */
  readonly items: readonly Float64Array[];
  /** `(states)`: see {@link knnLabelAgreement}; needs no answers. */
  readonly labelAgreement: Float64Array;
  /** Rise of the silhouette through the last block; the null gives the answers to other images. */
  readonly rise: PermutationTest;
}

/**
 * The document's re-clustering at the final layer, in the original space.
 * @param states `(states, items, width)`: the answer's position, one item for each image.
 * @param answers `(items)`: the predicted answer, or its kind; two or more different ones.
 */
export function reclustering(
  states: Tensor,
  answers: ArrayLike<number | string>,
  options?: PermutationOptions,
): Reclustering {
  checkOptions("reclustering", options ?? {}, PERMUTATION_OPTIONS);
  const [depth, count] = checkStates(states);
  checkSame("reclustering", answers.length, count, "answers and items");
  const each = Array.from({ length: depth }, (_, s) => at0(states, s));
  const apart = each.map(distances);
  const [before, after] = apart.slice(-2);
  const items = apart.map((own) => silhouettesOf(own, answers));
  const rise = (order: readonly number[]): number => {
    const labels = order.map((i) => answers[i]);
    return silhouetteOf(after, labels) - silhouetteOf(before, labels);
  };
  return {
    silhouette: Float64Array.from(items, (own) => own.reduce((sum, value) => sum + value, 0) / count),
    items,
    labelAgreement: Float64Array.from(each, (x) => knnLabelAgreement(x)),
    rise: shuffledPairingTest(count, rise, options),
  };
}
