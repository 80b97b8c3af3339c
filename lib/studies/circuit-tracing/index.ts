/**
 * The study of notebook 02: `import { CircuitStudy } from "modalscope/studies/circuit-tracing"`.
 * @packageDocumentation
 */
export { circuitEvidence } from "./evidence.js";
export { circuitsMadeByHand, type MadeByHand } from "./made-by-hand.js";
export type * from "./measurements.js";
export { measurePlanted } from "./planted.js";
export { CircuitStudy, type CircuitStudyOptions } from "./study.js";
export { checkSubject, type Settings, type Subject } from "./subject.js";
