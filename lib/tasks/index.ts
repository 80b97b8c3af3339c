/**
 * Data sets with their scoring rules, and synthetic tasks: `import { loadGqa } from "modalscope/tasks"`.
 * @packageDocumentation
 */
export { loadAmber, loadAmberWords } from "./datasets/amber.js";
export { type ChartQaAnnotation, gradeChartQa, loadChartQa } from "./datasets/chartqa.js";
export { type DocVqaAnnotation, gradeDocVqa, loadDocVqa } from "./datasets/docvqa.js";
export { type EasyVqaAnnotation, easyVqaAnswers, loadEasyVqa } from "./datasets/easy-vqa.js";
export type { DatasetOptions } from "./datasets/files.js";
export { GQA_TASK_TYPES, type GqaAnnotation, type GqaOptions, loadGqa } from "./datasets/gqa.js";
export { gradeTextVqa, loadTextVqa, type TextVqaAnnotation } from "./datasets/textvqa.js";
export {
  CHINESE_AT_LEAST,
  cjkShare,
  ENGLISH_AT_MOST,
  extractAnswer,
  type Grading,
  grade,
  languageOf,
  type TextLanguage,
} from "./maths/answers.js";
export { heldOutProblems } from "./maths/held-out.js";
export {
  BRIEF_INSTRUCTION,
  type ChatMessage,
  chatPrompt,
  checkMaths,
  loadMaths,
  MATHS_SETS,
  type MathsProblem,
  type PromptFrame,
  plainPrompt,
} from "./maths/maths.js";
export {
  drawProblem,
  drawProblems,
  type OperandRange,
  type Split,
  type SyntheticProblem,
  splitOf,
} from "./maths/synthetic.js";
export { type Language, MATHS_CATEGORIES, type MathsCategory } from "./maths/wordings.js";
export {
  PLANTED_CAPTION_KINDS,
  type PlantedCaptionKind,
  type PlantedCaptions,
  plantedCaptions,
} from "./planted/captions/checkpoint.js";
export { type PlantedCircuit, type PlantedCircuitKind, plantedCircuit } from "./planted/circuit.js";
export { type PlantedMaths, type PlantedMechanism, plantedMaths } from "./planted/maths.js";
export { type PlantedPrior, type PlantedPriorKind, plantedPrior } from "./planted/prior.js";
export {
  PLANTED_SOURCES_KINDS,
  type PlantedSources,
  plantedSources,
} from "./planted/sources/checkpoint.js";
export type { PlantedAtoms, PlantedSourcesKind } from "./planted/sources/kinds.js";
export type { PlantedStatement } from "./planted/sources/questions.js";
export { PLANTED_COLOUR_NAMES, type PlantedColour } from "./planted/vision/axes.js";
export {
  PLANTED_VISION_KINDS,
  type PlantedVision,
  type PlantedVisionOptions,
  plantedTasks,
  plantedVision,
} from "./planted/vision/checkpoint.js";
export type { PlantedVisionKind } from "./planted/vision/mechanisms/index.js";
export { type PlantedScene, plantedInWords } from "./planted/vision/questions.js";
export { COLOUR_NAMES, COLOURS, type ColourName } from "./raster/colours.js";
export { encodePng } from "./raster/png.js";
export {
  type AmberAnnotation,
  type AmberCounts,
  type AmberScore,
  type AmberScores,
  type AmberWords,
  amberCounts,
  amberParts,
  amberScores,
} from "./scoring/amber.js";
export { anls } from "./scoring/anls.js";
export { relaxedMatch } from "./scoring/relaxed.js";
export { exactMatch, scoreAnswer } from "./scoring/score.js";
export { normaliseVqaAnswer, vqaAccuracy } from "./scoring/vqa.js";
export * from "./synthetic/index.js";
export {
  asMessage,
  type BoxAnnotation,
  type Grade,
  type Hop,
  type Raster,
  type ScoringRule,
  type TaskImage,
  type TaskMessage,
  type VisualTask,
} from "./visual-task.js";
