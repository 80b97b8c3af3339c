export {
  CHINESE_AT_LEAST,
  cjkShare,
  ENGLISH_AT_MOST,
  extractAnswer,
  type Grading,
  grade,
  languageOf,
  type TextLanguage,
} from "./answers.js";
export {
  BRIEFLY,
  type ChatMessage,
  chatPrompt,
  checkMaths,
  loadMaths,
  MATHS_SETS,
  type MathsProblem,
  type PromptFrame,
  plainPrompt,
} from "./maths.js";
export { type PlantedMaths, type PlantedMechanism, plantedMaths } from "./maths-planted.js";
export { drawProblem, drawProblems, type Split, type SyntheticProblem, splitOf } from "./maths-synthetic.js";
export { type Language, MATHS_CATEGORIES, type MathsCategory } from "./maths-wordings.js";
export { COLOUR_NAMES, COLOURS, type ColourName } from "./raster/colours.js";
export { encodePng } from "./raster/png.js";
export { loadStudy } from "./studies.js";
export * from "./synthetic/index.js";
export type { Grade, Raster, ScoringRule, TaskImage, VisualTask } from "./visual.js";
