export { availableDevices, type Device } from "../runtime/index.js";
export {
  appendTokens,
  type Batch,
  type ImagePrompt,
  type Message,
  type PadOptions,
  type Positions,
  type PrepareOptions,
  type Prompt,
  type PromptPart,
  padTokens,
} from "./batch/index.js";
export { ActivationCache, type CaptureRequest, type CaptureSpec } from "./captures/index.js";
export {
  type Checkpoint,
  openCheckpoint,
  readSafetensors,
  type WeightInfo,
  writeSafetensors,
} from "./checkpoint/index.js";
export {
  type Edit,
  type Edits,
  type EditValue,
  edit,
  type FeatureChange,
  type FeatureSource,
  type Knockout,
  type Placement,
} from "./edits/index.js";
export { anonymousBytes } from "./engine/index.js";
export type { TextConfig } from "./families/index.js";
export type { Generated, GenerateOptions, RunOptions, RunResult } from "./forward/index.js";
export {
  EMBEDDED_MODELS,
  embeddedModels,
  type LoadCost,
  type LoadOptions,
  loadCost,
  loadModel,
} from "./load.js";
export {
  type Attribution,
  activationPatching,
  attributionPatching,
  type Contrast,
  directLogitAttribution,
  type FrozenHook,
  type GradientOptions,
  type Gradients,
  type Grid,
  type GridPoint,
  gradients,
  logit,
  logitDifference,
  logProb,
  logSumExp,
  type MeanOptions,
  type Metric,
  meanOf,
  type Patching,
  type PatchingOptions,
  type Path,
  pathPatching,
  type SteeringOptions,
  type SweepEstimate,
  type SweepOptions,
  type SweepResult,
  steeringVectors,
  sweep,
  type Tokens,
  unembedding,
} from "./methods/index.js";
export type { Model } from "./model.js";
export {
  type AdamState,
  createAdamState,
  initialWeights,
  saveCheckpoint,
  Trainer,
  type TrainerOptions,
  type TrainingBatch,
  type TrainOptions,
  train,
  type WeightGradients,
  type Weights,
} from "./training/index.js";
export {
  type CellRange,
  type ImageRegion,
  patchPositions,
  projectorPositions,
  type RegionSpec,
  visualEdits,
  visualPositions,
} from "./vision/index.js";
