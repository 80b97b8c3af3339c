/**
 * The frame of a study: claims as data, their judge, gates, size-matched nulls, and claims × checkpoints:
 * `import { claimsMatrix } from "modalscope/studies"`.
 * @packageDocumentation
 */
export { acrossConfigurations, acrossSeeds } from "./agreement.js";
export type { Arms, Sides, Values } from "./arms.js";
export { oneWayClaims } from "./both-ways.js";
export { type ClaimRule, type ClaimRules, type Found, type TestOf, testsOf } from "./claim-tests.js";
export type {
  Against,
  Checkpoint,
  Claim,
  GateRule,
  Quantity,
  Rule,
  Study,
  Test,
  Verdict,
} from "./claims.js";
export {
  type Estimates,
  type Evidence,
  evidenceFrom,
  evidenceOf,
  type Untestable,
} from "./evidence.js";
export { type Gate, type GateRow, type GateSamples, gate, gateStops } from "./gate.js";
export { type Agreement, type ClaimEvidence, type Judgement, judge, type TestResult } from "./judge.js";
export { loadStudy } from "./load.js";
export {
  type Cell,
  type ClaimsMatrix,
  claimsMatrix,
  type Downgrade,
  type MatrixOptions,
  type Measured,
  modelCells,
} from "./matrix.js";
export { type UnsavedCheckpoint, withCheckpoint, withRandomTwin } from "./random-twin.js";
export { loadClaims, readStudy } from "./read.js";
export {
  answerLines,
  claimForest,
  claimRows,
  claimTable,
  gateFigure,
  matrixFigure,
  tallyText,
  verdictStyles,
  verdictText,
} from "./show.js";
export {
  type RandomSetOptions,
  type SplitSet,
  sizeMatchedSets,
  sizeMatchedSubspaces,
} from "./size-matched.js";
