/**
 * Partial information decomposition of what two sources tell about a target, for Gaussian and for discrete variables:
 * estimates with certificates, intervals and nulls, and the tests that say where they hold.
 */
export {
  channelInformation,
  channelsFromCovariance,
  type GaussianChannels,
  type PidDimensions,
  type PidInformation,
} from "./channels.js";
export { type CoupledFlows, type CouplingFlowOptions, couplingFlow } from "./coupling-flow.js";
export { type DiscretePid, discretePid } from "./discrete-pid.js";
export {
  estimatePid,
  type NullRange,
  type PidEstimate,
  type PidEstimateOptions,
  type PidFigure,
} from "./estimate.js";
export {
  atomShares,
  type GaussianPid,
  gaussianPid,
  mmiAtoms,
  type PidAtoms,
  unionAtoms,
} from "./gaussian-pid.js";
export {
  type Gaussianised,
  type GaussianiseOptions,
  type GaussianiseStep,
  gaussianise,
} from "./gaussianise.js";
export {
  type CrossMomentOptions,
  type CrossMomentTest,
  henzeZirkler,
  type JointNormality,
  jointNormality,
  type NormalityOptions,
  type NormalityTest,
  thirdCrossMoments,
} from "./joint-normality.js";
export {
  entropyBias,
  gaussianInformation,
  type InformationOptions,
  informationBias,
} from "./mutual-information.js";
export {
  joinPidBootstraps,
  type PidBootstrap,
  type PidBootstrapOptions,
  type PidIntervalOptions,
  type PidReading,
  pidBootstrap,
  pidInterval,
  sameSpectrumDraws,
  sameSpectrumSamples,
} from "./pid-bootstrap.js";
export { type PidAtSize, pidBySampleSize, type SampleSizeOptions } from "./sample-size.js";
export { type PidSamples, type SamplePid, samplePid, type Variables } from "./samples.js";
export { type UnionInformation, type UnionOptions, unionInformation } from "./union-information.js";
