/**
 * Captures and edits inside any ONNX file: `import { openOnnx } from "modalscope/onnx"`.
 * @packageDocumentation
 */
export type { Edit as OnnxEdit, Operand as OnnxOperand } from "./edits.js";
export type { KnownShape, OnnxInput, OnnxTensor, OnnxValue } from "./listing.js";
export { type OnnxModel, type OnnxOptions, openOnnx } from "./open.js";
export type { NamePattern } from "./pattern.js";
export type { OnnxArray, OnnxRequest, OnnxResult } from "./request.js";
