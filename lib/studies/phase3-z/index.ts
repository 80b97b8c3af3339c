/**
 * The study of notebook 03: `import { patchArms } from "modalscope/studies/phase3-z"`.
 * @packageDocumentation
 */
export { type Arm, type ArmRows, armEdit, armEdits, type Case, donorOf, type Part } from "./arms.js";
export {
  type PatchedArm,
  type PatchOptions,
  type PatchOutcome,
  patchArms,
  patchOutcomes,
} from "./patch.js";
export { allDonorShifts, type ShiftedArm, type ShiftOptions, shiftValues } from "./shift.js";
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
