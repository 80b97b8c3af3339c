/**
 * Pure functions on arrays, which know no model: `import { wilson } from "modalscope/analysis"`.
 * @packageDocumentation
 */
export { entropy, jsDivergence, klDivergence, softmax, unexplainedVariance } from "./distance/divergence.js";
export {
  ardKernel,
  type HeldOutSplit,
  holdOut,
  type MmdTest,
  mmdPermutationTest,
  mmdSquared,
  type SamplePair,
} from "./distance/mmd.js";
export {
  barycentricMap,
  exactTransport,
  type SinkhornOptions,
  sinkhorn,
  squaredDistanceCost,
  type TransportPlan,
  uniformWeights,
} from "./distance/optimal-transport.js";
export { type Affinities, affinities } from "./embedding/affinities.js";
export { knnLabelAgreement, silhouette } from "./embedding/clusters.js";
export { trustworthiness } from "./embedding/trust.js";
export { type Embedding, principalCoordinates, type TsneOptions, tsne } from "./embedding/tsne.js";
export {
  bareHead,
  type Candidate,
  type EarlyExit,
  type EarlyExitOptions,
  earlyExit,
} from "./evolution/early-exit.js";
export {
  type MutationOptions,
  type Mutations,
  mutations,
} from "./evolution/mutations.js";
export {
  type Dispersion,
  dispersion,
  type PathShape,
  type PathSteps,
  pathShapes,
  pathSteps,
} from "./evolution/paths.js";
export { type MovementToward, movementToward, movementTowardTest } from "./evolution/prior.js";
export { type Reclustering, reclustering } from "./evolution/reclustering.js";
export { controlPlan, type SkipOptions, type SkipPlan, skipPlans } from "./evolution/skip-plans.js";
export {
  type CriticalBlock,
  criticalBlock,
  type EvolutionStages,
  emergence,
  evolutionStages,
  firstStableLayer,
  medianChange,
} from "./evolution/stages.js";
export { joinTokens, stackStates, statesOfSteps } from "./evolution/states.js";
export { type WordOfToken, wordsOfTokens } from "./evolution/words.js";
export { biasedHsic, linearCka, unbiasedHsic } from "./geometry/cka.js";
export {
  type CrossModalGeometry,
  crossModalGeometry,
  imageIcc,
  type LayerTokens,
  meanTokens,
  type RankCurve,
  type RankCurveOptions,
  rankCurve,
  tokensAt,
} from "./geometry/cross-modal.js";
export {
  type EnergyShare,
  effectiveRank,
  effectiveRankOf,
  energyInSubspace,
  headKernelSpectra,
  neighbourOverlaps,
  type PairedSeparation,
  pairedSeparation,
  type SharpestDrop,
  sharpestDrop,
} from "./geometry/effective-rank.js";
export {
  ckaAgainstShuffles,
  type FloorOptions,
  iccAgainstShuffles,
  type RankFloorOptions,
  rankAgainstShuffles,
} from "./geometry/floors.js";
export { type IntraclassCorrelation, intraclassCorrelation, resampledIcc } from "./geometry/icc.js";
export * from "./information/index.js";
export { type Alignment, alignSource, sameNormPatch } from "./language-subspace/alignment.js";
export {
  type ArdFit,
  type ArdOptions,
  type ArdPoint,
  type ArdTask,
  absoluteThreshold,
  fitLengthscales,
  survivingDimensions,
  warmStart,
} from "./language-subspace/ard.js";
export type { ComparisonOptions } from "./language-subspace/ard-data.js";
export {
  type Bridge,
  type BridgeNull,
  type BridgeOptions,
  bridgeOrthogonality,
  bridgePermutationTest,
  fitBridge,
} from "./language-subspace/bridge.js";
export {
  type CrossPatch,
  type Dissociation,
  directedShift,
  dissociation,
  type FlipTest,
  flipTest,
  type PatchEffect,
  type ShiftCase,
  type ShiftTest,
  shiftTest,
  type Verdict,
} from "./language-subspace/dissociation.js";
export { type ResidualRatios, residualRatios } from "./language-subspace/residual-ratio.js";
export {
  type AttentionWeights,
  axisEnergy,
  type KernelSide,
  largestRankShare,
  type ZMask,
  type ZMaskOptions,
  zMask,
} from "./language-subspace/z-mask.js";
export { type BackendName, describeBackend, type LearningBackend } from "./learn/tfjs.js";
export {
  logitLens,
  type TunedLens,
  type TunedLensOptions,
  tunedLens,
  type Unembedding,
} from "./lens.js";
export { type SymmetricEigen, symmetricEigen, symmetricEigenvalues } from "./linalg/eigen.js";
export {
  asFloat32,
  asMatrix,
  centreRows,
  columnMeans,
  type Matrix,
  type MatrixLike,
  type NumericTensor,
  squaredDistances,
  stack,
  takeRows,
  transpose,
} from "./linalg/matrix.js";
export { type PrincipalComponents, principalComponents } from "./linalg/pca.js";
export { gram, multiply, multiplyTransposed } from "./linalg/products.js";
export {
  ablate,
  coordinates,
  orthonormalRows,
  principalAngles,
  principalCosines,
  projectOnto,
  randomSubspace,
  type SubspaceOverlap,
  subspaceOverlap,
} from "./linalg/subspace.js";
export { singularValues, type ThinSvd, thinSvd } from "./linalg/svd.js";
export {
  type RightSingular,
  type SymmetricOperator,
  type TopEigen,
  type TopEigenOptions,
  topEigen,
  topRightSingular,
} from "./linalg/top-eigen.js";
export { LEAST_PROBE_SAMPLES, linearProbe, type Probe, type ProbeOptions } from "./probing/probe.js";
export {
  expertLoads,
  jaccard,
  mostUsed,
  type OverlapOptions,
  type RoutingOverlap,
  routerEntropy,
  routingOverlap,
} from "./routing/overlap.js";
export {
  beyondNulls,
  type ClusterOptions,
  type DetectableRateOptions,
  detectableFromInterval,
  detectableRate,
  detectableRateDifference,
  type Group,
  groupDifferenceInterval,
  meanInterval,
  rateDifferenceInterval,
  rateInterval,
  ratioInterval,
} from "./statistics/clustered.js";
export {
  bootstrapDepth,
  type DepthOptions,
  effectiveVisualDepth,
  largestRebound,
  type Rebound,
  remainingDepth,
} from "./statistics/curves.js";
export { normalQuantile, studentQuantile } from "./statistics/distributions.js";
export {
  type BootstrapOptions,
  bootstrap,
  bootstrapMean,
  bootstrapRatio,
  clusteredMean,
  type Estimate,
  proportion,
  wilson,
} from "./statistics/intervals.js";
export { type LabelTest, type LabelTestOptions, labelTest } from "./statistics/labels.js";
export {
  groupDifferenceTest,
  mcnemar,
  type PairedProportions,
  type PermutationOptions,
  type PermutationTest,
  pairedProportions,
  shuffledPairingTest,
  signFlipTest,
  subsetOverlap,
  trend,
} from "./statistics/permutation.js";
export {
  argmax,
  bootstrapPlace,
  type PlaceOptions,
  steepestRise,
} from "./statistics/places.js";
export {
  detectableMean,
  detectablePairedDifference,
  detectableProportion,
  type PowerOptions,
} from "./statistics/power.js";
export {
  type SampleSizeCurve,
  type SampleSizeOptions,
  sampleSizeCurve,
} from "./statistics/sample-size-curve.js";
export {
  type PiecewiseLine,
  piecewiseLine,
  type Segmentation,
  type SegmentOptions,
  segment,
} from "./statistics/segmentation.js";
export type { AgainstShuffles } from "./statistics/shuffles.js";
