/**
 * Methods of the literature, as functions over a model: `import { truncation } from "modalscope/methods"`.
 * @packageDocumentation
 */
export { type Attribution, directLogitAttribution } from "./attribution.js";
export {
  type Corruption,
  type CorruptionEdits,
  type CorruptionOptions,
  corruptionEdits,
  type Injections,
  type TokensOf,
} from "./corruptions.js";
export { type Cost, type CostOptions, estimateCost, type PlannedWork, type WorkCost } from "./cost.js";
export type { FrozenHook } from "./differentiable.js";
export {
  type ChoiceOptions,
  type Expert,
  type ExpertChoices,
  expertChoices,
  expertChoicesByGroup,
  expertSilencing,
  type SilencingOptions,
  silenceExperts,
} from "./experts.js";
export { type AttentionFlow, attentionFlow, type FlowOptions } from "./flow.js";
export { type FreezeOptions, type FrozenRun, freeze } from "./freeze.js";
export { type GradientOptions, type Gradients, gradients } from "./gradients.js";
export { type AttentionRoute, type RouteEnds, routeEnds, type TokenGroup } from "./groups.js";
export { type ImageAttentionOptions, imageAttention } from "./image-attention.js";
export {
  attentionKnockouts,
  blockAsMany,
  blockRoute,
  FLOW_ROUTES,
  type KnockoutOptions,
  type Knockouts,
  relativeChange,
  windowAround,
} from "./knockouts.js";
export { logitTargets } from "./logit-targets.js";
export { type MeanOptions, meanOf } from "./means.js";
export {
  firstTokenRight,
  logit,
  logitDifference,
  logProb,
  logSumExp,
  type Metric,
  type Tokens,
} from "./metrics.js";
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
  type BatchEdits,
  type PooledCondition,
  type PooledConditionsOptions,
  type PooledOptions,
  type PooledStates,
  pooledConditions,
  pooledStates,
} from "./pooled.js";
export { type PruningOptions, type PruningPlan, pruningPlans } from "./pruning.js";
export { pullBack } from "./pull-back.js";
export type { Pulled, PullOptions, PullPoint, PullTarget, SkipConnection } from "./pull-options.js";
export {
  type Grid,
  type GridPoint,
  type Part,
  type SweepEstimate,
  type SweepOptions,
  type SweepResult,
  sweep,
} from "./sweep.js";
export { mergeSweeps, readSweep, saveSweep } from "./sweep-merge.js";
export { type TokenLogProbs, type TokenLogProbsOptions, tokenLogProbs } from "./token-log-probs.js";
export type { TokenRule } from "./token-rules.js";
export {
  type LayerCurves,
  restoration,
  type TracingOptions,
  type TruncatedAnswersOptions,
  truncatedAnswers,
  truncation,
} from "./truncation.js";
export { unembedding } from "./unembedding.js";
