import { loadStudy } from "../load.js";

/** Sizes of the subspace on one model: the document's, in proportion to the rank of the kernels. */
export interface Sizes {
  readonly main: number;
  readonly small: number;
  /** The size at which the document's effect is gone. */
  readonly vanishing: number;
}

export interface Phase3Rules {
  readonly mainK: number;
  readonly smallK: number;
  readonly vanishingK: number;
  /** Random subspaces beside every Z. */
  readonly randomSets: number;
  /** Most steps of a fit of lengthscales, which stops at its plateau. */
  readonly ardCap: number;
  /** Token pairs of each problem that a fit sees. */
  readonly ardComparisons: number;
}

interface Phase3Document {
  readonly model: {
    readonly layers: number;
    readonly hiddenSize: number;
    readonly keyValueHeads: number;
    readonly headSize: number;
  };
  readonly chosen: { readonly layers: readonly number[] };
  readonly rules: Phase3Rules;
  readonly patching: { readonly leastProblems: number };
  /** Lists of what is done, of growing ambition. */
  readonly done: Readonly<Record<"minimum" | "strong" | "gold", readonly string[]>>;
  readonly ard: {
    readonly lambdas: readonly number[];
    readonly learningRate: number;
    readonly layers: readonly number[];
  };
}

/** The study's rules and the document's settings, from `data/studies/phase3-z.json`. */
export function phase3Document(): Phase3Document {
  return loadStudy<Phase3Document>("phase3-z");
}

/** The document's sizes of Z for kernels of this rank; at most half of it, see `zMask`. */
export function scaledSizes(rank: number): Sizes {
  const { model, rules } = phase3Document();
  const scaled = (k: number): number => {
    const own = Math.round((k / (model.keyValueHeads * model.headSize)) * rank);
    return Math.min(Math.floor(rank / 2), Math.max(2, own));
  };
  return { main: scaled(rules.mainK), small: scaled(rules.smallK), vanishing: scaled(rules.vanishingK) };
}

/** The document's ten layers at the same depths of a model of so many. */
export function scaledLayers(layers: number): number[] {
  const { model, ard } = phase3Document();
  const scaled = ard.layers.map((l) => Math.min(layers - 1, Math.round((l / model.layers) * layers)));
  return [...new Set(scaled)].sort((a, b) => a - b);
}
