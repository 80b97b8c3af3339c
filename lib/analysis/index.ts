export { type Alignment, alignSource, sameNormPatch } from "./alignment.js";
export {
  type ArdFit,
  type ArdOptions,
  type ArdPoint,
  type ArdTask,
  absoluteThreshold,
  fitLengthscales,
  survivingDimensions,
  warmStart,
} from "./ard.js";
export type { ComparisonOptions } from "./ardData.js";
export {
  type Bridge,
  type BridgeNull,
  type BridgeOptions,
  bridgePermutationTest,
  fitBridge,
} from "./bridge.js";
export {
  type CrossPatch,
  type Dissociation,
  dissociation,
  type FlipTest,
  flipTest,
  type PatchEffect,
  type ShiftCase,
  type ShiftTest,
  shiftTest,
  type Verdict,
} from "./dissociation.js";
export { entropy, jsDivergence, klDivergence, softmax, unexplainedVariance } from "./divergence.js";
export { type Affinities, affinities } from "./embedding/affinities.js";
export { nearness, silhouette } from "./embedding/clusters.js";
export { trustworthiness } from "./embedding/trust.js";
export { type Embedding, principalCoordinates, type TsneOptions, tsne } from "./embedding/tsne.js";
export {
  bareHead,
  type Candidate,
  type EarlyExit,
  type EarlyExitOptions,
  earlyExit,
} from "./evolution/earlyExit.js";
export {
  type MutationOptions,
  type Mutations,
  type MutationTest,
  mutations,
  mutationTest,
} from "./evolution/mutations.js";
export { type PathShape, pathShapes, type Spread, spread } from "./evolution/paths.js";
export { type Approach, approach, approachTest } from "./evolution/prior.js";
export { type Reclustering, reclustering } from "./evolution/reclustering.js";
export { controlPlan, type SkipOptions, type SkipPlan, skipPlans } from "./evolution/skipPlans.js";
export {
  type CriticalBlock,
  criticalBlock,
  type EvolutionStages,
  emergence,
  evolutionStages,
  medianChange,
  settling,
} from "./evolution/stages.js";
export { joinTokens, stackStates, statesOfSteps } from "./evolution/states.js";
export { type WordOfToken, wordsOfTokens } from "./evolution/words.js";
export { type IntraclassCorrelation, intraclassCorrelation } from "./icc.js";
export { type BackendName, describeBackend, type LearningBackend } from "./learn/backend.js";
export { type SymmetricEigen, symmetricEigen, symmetricEigenvalues } from "./linalg/eigen.js";
export {
  asFloat32,
  asMatrix,
  centreRows,
  columnMeans,
  type Matrix,
  type MatrixLike,
  type NumericTensor,
  stack,
  takeRows,
  transpose,
} from "./linalg/matrix.js";
export { gram, multiply, multiplyTransposed } from "./linalg/products.js";
export {
  coordinates,
  orthonormalRows,
  principalAngles,
  principalCosines,
  projectOnto,
  projectOut,
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
} from "./linalg/topEigen.js";
export {
  ardKernel,
  type HeldOutSplit,
  holdOut,
  type MmdTest,
  mmdPermutationTest,
  mmdSquared,
  type SamplePair,
} from "./mmd.js";
export { type ResidualRatios, residualRatios } from "./residual.js";
export { biasedHsic, linearCka, unbiasedHsic } from "./similarity.js";
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
} from "./spectrum.js";
export { normalQuantile } from "./statistics/distributions.js";
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
} from "./statistics/permutation.js";
export {
  detectableMean,
  detectablePairedDifference,
  detectableProportion,
  type PowerOptions,
} from "./statistics/power.js";
export { type Segmentation, type SegmentOptions, segment } from "./statistics/segmentation.js";
export { trend } from "./statistics/trend.js";
export {
  barycentricMap,
  exactTransport,
  type SinkhornOptions,
  sinkhorn,
  squaredDistanceCost,
  type TransportPlan,
  uniformWeights,
} from "./transport.js";
export {
  type AttentionWeights,
  axisEnergy,
  type KernelSide,
  largestRankShare,
  type ZMask,
  type ZMaskOptions,
  zMask,
} from "./zmask.js";
