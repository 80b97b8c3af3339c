export { type Device, offeredDevices } from "../runtime/index.js";
export { continued } from "./batch/append-tokens.js";
export { type Batch, type PadOptions, type Positions, padTokens } from "./batch/batch.js";
export type { Message, PicturePrompt, PrepareOptions, Prompt, PromptPart } from "./batch/prompts.js";
export { Cache } from "./captures/activation-cache.js";
export type { CaptureSpec } from "./captures/reductions.js";
export type { CaptureRequest } from "./captures/sink.js";
export {
  type Checkpoint,
  openCheckpoint,
  readSafetensors,
  type WeightInfo,
  writeSafetensors,
} from "./checkpoint/index.js";
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
} from "./edits/edits.js";
export { anonymousBytes } from "./engine/memory.js";
export type { TextConfig } from "./families/index.js";
export type { Generated, GenerateOptions } from "./forward/generate.js";
export { EMBEDDED_MODELS, embeddedModels, type LoadOptions, loadModel } from "./load.js";
export { type Attribution, directLogitAttribution } from "./methods/attribution.js";
export { type FrozenHook, type GradientOptions, type Gradients, gradients } from "./methods/gradients.js";
export { logit, logitDifference, logProb, logSumExp, type Metric, type Tokens } from "./methods/metrics.js";
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
export type { Model, RunOptions, RunResult } from "./model.js";
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
} from "./training/index.js";
export {
  type CellRange,
  type PictureRegion,
  patches,
  projected,
  type RegionOf,
  seen,
  visual,
} from "./vision/regions.js";
