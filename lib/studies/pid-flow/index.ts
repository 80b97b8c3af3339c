/**
 * The study of notebook 04: `import { pidEvidence } from "modalscope/studies/pid-flow"`.
 * @packageDocumentation
 */
export { type DecomposeOptions, type Decomposition, decompose } from "./decompose.js";
export { pidEvidence } from "./evidence.js";
export { madeByHand, sameSpectrumOf } from "./made-by-hand.js";
export type { Measurements, TaskMeasurement, TaskRun } from "./measurements.js";
