import type { RunStatus } from "./run.js";

/** Exit code of `modalscope run` for each end of a run. */
export const exitCodes: Readonly<Record<RunStatus, number>> = {
  completed: 0,
  exited: 0,
  failed: 1,
  timeout: 1,
  interrupted: 130,
  died: 138,
};
