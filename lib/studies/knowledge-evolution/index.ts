/**
 * The study of notebook 05: `import { EvolutionStudy } from "modalscope/studies/knowledge-evolution"`.
 * @packageDocumentation
 */
export {
  type Caption,
  type DescribeOptions,
  describe,
  forcedReading,
  stateHooks,
} from "./captions.js";
export type { AnswerGroup, EvolutionData, SkippedCaptions, Tokens } from "./data.js";
export { evolutionEvidence } from "./evidence.js";
export {
  changeFigure,
  encodingFigure,
  mutationFigure,
  mutationSensitivity,
  probabilityFigure,
  skipFigure,
} from "./figures.js";
export { type MadeKind, madeEvolution } from "./made.js";
export { type EvolutionSettings, EvolutionStudy, type MeasuredEvolution } from "./measure.js";
export {
  type CaptionTask,
  type CaptionTruth,
  kindsOf,
  type Mention,
  mentionsOf,
  sceneTruth,
  type TokenKind,
  wordOverlap,
  wrongShare,
} from "./mentions.js";
export { type EvolutionRules, evolutionRules } from "./rules.js";
export { captionCurves, rivalLeads } from "./summaries.js";
export { type CaptionSource, captionTasks, questionGroups } from "./tasks.js";
