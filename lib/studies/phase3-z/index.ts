/**
 * The study of notebook 03: `import { Phase3Study } from "modalscope/studies/phase3-z"`.
 * @packageDocumentation
 */
export { type Arm, type ArmRows, armEdit, armEdits, type Case, donorOf, type Part } from "./arms.js";
export type { Asked, AskPlan } from "./checkpoint.js";
export { phase3Evidence } from "./evidence.js";
export {
  bridgeFigure,
  lengthscalesFigure,
  partFigure,
  patchFigure,
  shiftFigure,
  updatesFigure,
  weightsFigure,
} from "./figures.js";
export { type MadeByHand, phase3MadeByHand } from "./made-by-hand.js";
export type {
  BehaviourPart,
  BesideRandom,
  BridgePart,
  ContrastRow,
  LengthscalesPart,
  Measurements,
  PartName,
  Parts,
  PatchedSides,
  PatchesPart,
  SeparationPart,
  ShiftsPart,
  UpdatesPart,
  WeightsPart,
} from "./parts.js";
export {
  type PatchedArm,
  type PatchOptions,
  type PatchOutcome,
  patchArms,
  patchOutcomes,
} from "./patch.js";
export { bestFormat, type Problems, type PromptFormat, problemSource, riddles } from "./problems.js";
export { matchedArms, type PatchPlan } from "./readings.js";
export { type Phase3Rules, phase3Document, type Sizes, scaledLayers, scaledSizes } from "./rules.js";
export { allDonorShifts, type ShiftedArm, type ShiftOptions, shiftValues, wordsBefore } from "./shift.js";
export type { PooledStates, States } from "./states.js";
export { type Phase3Found, type Phase3Settings, Phase3Study } from "./study.js";
export {
  attentionOf,
  observeStreams,
  pooledStreams,
  residPre,
  type Streams,
  type Subject,
  type SubjectOptions,
  subjectOf,
  tokensFrom,
} from "./subject.js";
export { bridgeTable, doneTable, metricTable, patchTable, settingTable } from "./tables.js";
export { readWeights, type WeightOptions, type WeightSource, weightsOf } from "./weights.js";
