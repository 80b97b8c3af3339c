/**
 * The study of notebook 04: `import { PidFlow } from "modalscope/studies/pid-flow"`.
 * @packageDocumentation
 */
export { answerText, nullTable } from "./answer.js";
export {
  type DecomposeOptions,
  type Decomposition,
  decompose,
  type KnockoutDecomposition,
  type TaskDecomposition,
} from "./decompose.js";
export { pidEvidence } from "./evidence.js";
export {
  atomsFigure,
  fingerprintFigure,
  knockoutFigure,
  variantsFigure,
  type WindowEffect,
  windowEffects,
  windowsFigure,
} from "./figures.js";
export { madeByHand, sameSpectrumOf } from "./made-by-hand.js";
export {
  type Cost,
  costOf,
  costText,
  type MeasureOptions,
  measureOtherImages,
  measureTasks,
  measureWindows,
  statesKept,
  taskGate,
} from "./measure.js";
export type { Measurements, TaskMeasurement, TaskRun } from "./measurements.js";
export { type QuestionOptions, type Questions, questionSource } from "./questions.js";
export { PidFlow, type PidFlowOptions } from "./runs.js";
export { type Validation, validateCheckpoints, validateEstimators } from "./validation.js";
export { embeddedTwins, type VariantCorrelations, variantCorrelations } from "./variants.js";
