/**
 * The study of notebook 01: `import { openGapStudy } from "modalscope/studies/gap-phase1"`.
 * @packageDocumentation
 */
export { claimRows } from "../index.js";
export {
  attentionOverlay,
  depthTable,
  leakTable,
  pruningTable,
  silencingTable,
  type TracingBeside,
  tracingBeside,
  windowedKnockoutFigure,
} from "./beside.js";
export { type Cost, type CostSettings, gapCost } from "./cost.js";
export { gapEvidence, partOf } from "./evidence.js";
export {
  flowFigure,
  geometryFigure,
  probesAndRoutingFigure,
  tracingFigure,
  truncationFigure,
  twinsAndPruningFigure,
} from "./figures.js";
export { type GeometryOptions, geometryOf, type States } from "./geometry.js";
export { answer } from "./hypotheses.js";
export { gapMadeByHand, type MadeByHand } from "./made-by-hand.js";
export {
  measurePruning,
  measureTracing,
  measureTruncation,
  type TracingCorruption,
} from "./measure-answers.js";
export type * from "./parts.js";
export { publishedQuestions, type QuestionSource, syntheticQuestions } from "./questions.js";
export { costTable, gapSizes, gapStore, questionsFor } from "./settings.js";
export { parseShare } from "./shares.js";
export { folderStore, type Share, type Store } from "./store.js";
export { type GapOptions, type GapSizes, type GapStudy, openGapStudy } from "./study.js";
