/** Options of every long call: where to report progress, and a signal to stop it. */
export interface TaskOptions {
  /** Called as work goes on; `done` of `total` steps, `label` says of what. */
  readonly onProgress?: Progress;
  /** Stops the call between two steps; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A listener for progress: `done` of `total` steps, a fraction within one; `label` names the current step. */
export type Progress = (done: number, total: number, label: string) => void;
