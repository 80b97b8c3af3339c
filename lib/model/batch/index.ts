/** Inputs of a model: prompts, padding, position ids, and slices of a batch that pass through it. */

export { appendTokens } from "./append-tokens.js";
export {
  type Batch,
  type BatchImage,
  PAD_OPTIONS,
  type PadOptions,
  type Positions,
  padTokens,
  resolvePositions,
} from "./batch.js";
export { checkPrompt } from "./check-prompt.js";
export { KeyCache } from "./key-cache.js";
export {
  AttentionInputs,
  fillPadding,
  type KeyValues,
  keepRows,
  keyCount,
  MASKED_SCORE,
  maskKeys,
  type Pass,
  promptPass,
  rowsPass,
  subPass,
} from "./pass.js";
export { isPrompt, promptList } from "./prompt-list.js";
export {
  encode,
  fillTemplate,
  type ImagePrompt,
  type Message,
  type PrepareOptions,
  type Prompt,
  type PromptPart,
  processorOf,
  readPrompts,
} from "./prompts.js";
export { addTensors, concatBatch, concatTime, sliceBatch, sliceTime } from "./slices.js";
