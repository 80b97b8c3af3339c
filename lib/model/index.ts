export { type Attribution, directLogitAttribution } from "./attribution.js";
export { type Batch, type PadOptions, type Positions, padTokens } from "./batch.js";
export { Cache } from "./cache.js";
export type { CaptureRequest } from "./capture.js";
export { continued } from "./continued.js";
export {
  add,
  apply,
  at,
  during,
  type Edit,
  type Edits,
  type EditValue,
  fill,
  hide,
  keep,
  mean,
  noise,
  onHeads,
  onRows,
  remove,
  resample,
  scale,
  showEdit,
  type Where,
  zero,
} from "./edits.js";
export type { TextConfig } from "./families/index.js";
export type { Generated, GenerateOptions } from "./generate.js";
export { type FrozenHook, type GradientOptions, type Gradients, gradients } from "./gradients.js";
export { EMBEDDED_MODELS, embeddedModels, type LoadOptions, loadModel } from "./load.js";
export { anonymousBytes, parseBytes, showBytes } from "./memory.js";
export { logit, logitDifference, logProb, logSumExp, type Metric, type Tokens } from "./metrics.js";
export type { Model, RunOptions, RunResult } from "./model.js";
export {
  activationPatching,
  attributionPatching,
  type Contrast,
  type Patching,
  type PatchingOptions,
  type Path,
  patch,
  pathPatching,
  type SteeringOptions,
  steeringVectors,
} from "./patching.js";
export type { Message, PicturePrompt, PrepareOptions, Prompt, PromptPart } from "./prompts.js";
export type { CaptureSpec } from "./reductions.js";
export {
  type CellRange,
  type PictureRegion,
  patches,
  projected,
  type RegionOf,
  seen,
  visual,
} from "./regions.js";
export { type Device, offeredDevices } from "./runtime/session.js";
export {
  type Grid,
  type GridPoint,
  type SweepEstimate,
  type SweepOptions,
  type SweepResult,
  sweep,
} from "./sweep.js";
export {
  type AdamState,
  freshState,
  initialWeights,
  saveCheckpoint,
  Trainer,
  type TrainerOptions,
  type TrainingBatch,
  type TrainOptions,
  train,
  type WeightGradients,
  type Weights,
} from "./train.js";
export { unembedding } from "./unembedding.js";
export {
  type Checkpoint,
  openCheckpoint,
  readSafetensors,
  type WeightInfo,
  writeSafetensors,
} from "./weights/index.js";
