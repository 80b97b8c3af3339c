export { availableDevices, type Device } from "../runtime/index.js";
export { appendTokens } from "./batch/append-tokens.js";
export { type Batch, type PadOptions, type Positions, padTokens } from "./batch/batch.js";
export type {
  ImagePrompt,
  Message,
  PrepareOptions,
  Prompt,
  PromptPart,
} from "./batch/prompts.js";
export { ActivationCache } from "./captures/activation-cache.js";
export type { CaptureRequest } from "./captures/recorder.js";
export type { CaptureSpec } from "./captures/reductions.js";
export {
  type Checkpoint,
  openCheckpoint,
  readSafetensors,
  type WeightInfo,
  writeSafetensors,
} from "./checkpoint/index.js";
export type { Edit, Edits, EditValue, Knockout, Placement } from "./edits/edit.js";
export * as edit from "./edits/edit.js";
export { anonymousBytes } from "./engine/memory.js";
export type { TextConfig } from "./families/index.js";
export type { Generated, GenerateOptions } from "./forward/generate-options.js";
export type { RunOptions, RunResult } from "./forward/run.js";
export { EMBEDDED_MODELS, embeddedModels, type LoadOptions, loadModel } from "./load.js";
export { type Attribution, directLogitAttribution } from "./methods/attribution.js";
export { type FrozenHook, type GradientOptions, type Gradients, gradients } from "./methods/gradients.js";
export { type MeanOptions, meanOf } from "./methods/means.js";
export { logit, logitDifference, logProb, logSumExp, type Metric, type Tokens } from "./methods/metrics.js";
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
} from "./methods/patching.js";
export {
  type Grid,
  type GridPoint,
  type SweepEstimate,
  type SweepOptions,
  type SweepResult,
  sweep,
} from "./methods/sweep.js";
export { unembedding } from "./methods/unembedding.js";
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
} from "./vision/regions.js";
