/** The package's face: the engine, the analysis, the tasks and the plots under one name. */

// The plots take anything that has rows too, under the same name.
export type { Matrix } from "./analysis/index.js";
export * from "./analysis/index.js";
export {
  logitLens,
  type TunedLens,
  type TunedLensOptions,
  tunedLens,
  type Unembedding,
} from "./analysis/lens.js";
export { ModalscopeError } from "./errors.js";
export * from "./model/index.js";
export * from "./onnx/index.js";
export * from "./plot/index.js";
export type { LongCall, Progress } from "./progress.js";
export { type ProvenanceRow, provenance, type RunFacts } from "./provenance.js";
export { type Random, seeded } from "./random.js";
export * from "./tasks/index.js";
export { type Tensor, tensor } from "./tensor.js";
