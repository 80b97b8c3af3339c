/**
 * The names of a first session: checkpoints, runs, edits, the methods over them, and the figures that show
 * their results. The rest has subpaths: `modalscope/methods`, `/analysis`, `/circuits`, `/tasks`, `/studies`, `/plot`, `/onnx`,
 * `/runner` and `/tfjs`.
 * @packageDocumentation
 */
export { ModalscopeError } from "./errors.js";
export * from "./model/index.js";
export {
  type BarsOptions,
  bars,
  type Figure,
  type HeatmapOptions,
  type HistogramOptions,
  heatmap,
  histogram,
  html,
  image,
  type LinesOptions,
  lines,
  markdown,
  progressBar,
  type ScatterOptions,
  save,
  scatter,
  show,
  type TableOptions,
  table,
} from "./plot/index.js";
export type { Progress, TaskOptions } from "./progress.js";
export { type ProvenanceRow, provenance, type RunFacts } from "./provenance.js";
export { type Random, seeded } from "./random.js";
export { type LocalCopyOptions, localCopy, upload } from "./storage/index.js";
export { type Tensor, tensor } from "./tensor.js";
