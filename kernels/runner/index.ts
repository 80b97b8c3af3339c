/**
 * Runs notebooks without a client: `import { runNotebook } from "modalscope/runner"`.
 * @packageDocumentation
 */

export type {
  Cell,
  CellMetadata,
  CellOutput,
  Kernelspec,
  Notebook,
  NotebookMetadata,
} from "../../lib/notebook/index.js";
export { readNotebook } from "../../lib/notebook/index.js";
export type { ErrorContent, MimeBundle, Output } from "../protocol/index.js";
export type { OnEvent, RunEvent } from "./events.js";
export { readGrid } from "./grid/combinations.js";
export { gatherGrid } from "./grid/gather.js";
export type { GridPlan, GridPlanOptions } from "./grid/plan.js";
export { type GridEvent, type GridOptions, type GridResult, runGrid } from "./grid/run.js";
export type { GridError } from "./grid/start.js";
export type { GridRow } from "./grid/summary.js";
export type { CellStatus, NotebookRecord, RecordedStatus } from "./notebook/record.js";
export { type InspectedParameter, inspectNotebook } from "./parameters/help.js";
export { notebookParameters } from "./parameters/inject.js";
export type { DeclaredParameter } from "./parameters/translator.js";
export type { Parameters, ParameterValue } from "./parameters/values.js";
export { type RunOptions, type RunResult, type RunStatus, runNotebook } from "./run.js";
export { runSlurmGrid, type SlurmEvent, type SlurmOptions, type SlurmResult } from "./slurm/engine.js";
export type { SlurmResources } from "./slurm/resources.js";
