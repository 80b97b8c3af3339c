/** Methods of the literature, as functions over a model. */
export { type Attribution, directLogitAttribution } from "./attribution.js";
export type { FrozenHook } from "./differentiable.js";
export { type GradientOptions, type Gradients, gradients } from "./gradients.js";
export { type MeanOptions, meanOf } from "./means.js";
export { logit, logitDifference, logProb, logSumExp, type Metric, type Tokens } from "./metrics.js";
export {
  activationPatching,
  attributionPatching,
  type Contrast,
  type Patching,
  type PatchingOptions,
  type Path,
  pathPatching,
  type SteeringOptions,
  steeringVectors,
} from "./patching.js";
export {
  type Grid,
  type GridPoint,
  type SweepEstimate,
  type SweepOptions,
  type SweepResult,
  sweep,
} from "./sweep.js";
export { unembedding } from "./unembedding.js";
