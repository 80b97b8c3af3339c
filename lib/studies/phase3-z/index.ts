/** The study of `03-phase3-z`: what is patched, by which arms, and what the patches did. */
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
