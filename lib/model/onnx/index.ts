export type { Edit as OnnxEdit, Operand as OnnxOperand } from "./edits.js";
export type { KnownShape, OnnxInput, OnnxTensor, OnnxValue } from "./listing.js";
export {
  type OnnxArray,
  type OnnxModel,
  type OnnxOptions,
  type OnnxRequest,
  type OnnxResult,
  openOnnx,
} from "./open.js";
export type { NamePattern } from "./pattern.js";
