/**
 * The study of notebook 02: `import { openCircuits } from "modalscope/studies/circuit-tracing"`.
 * @packageDocumentation
 */
export { type Cost, circuitCost, circuitCostText } from "./cost.js";
export { circuitEvidence } from "./evidence.js";
export {
  coverageRows,
  dashboardsOf,
  exampleCorpus,
  type Traced,
  topFeatures,
  tracedView,
  traceTask,
  verifyTraced,
} from "./example.js";
export {
  arithmeticFigure,
  comparisonRows,
  convergenceFigure,
  cutFigure,
  fidelityRows,
  purityFigure,
  turnedFigure,
  unexplainedFigure,
  unitRows,
} from "./figures.js";
export { circuitsMadeByHand, type MadeByHand } from "./made-by-hand.js";
export type * from "./measurements.js";
export { type Examples, exampleTasks, type OpenedStudy, type OpenOptions, openCircuits } from "./open.js";
export { patchOverlay } from "./overlay.js";
export { measurePlanted } from "./planted.js";
export { measurePlantedCounting } from "./planted-counting.js";
export { steeringRows } from "./steering.js";
export { CircuitStudy, type CircuitStudyOptions } from "./study.js";
export type { Settings, Subject } from "./subject.js";
