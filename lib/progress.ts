/** What every long call takes: where to report to, and how to be stopped. */
export interface TaskOptions {
  /** Called as work goes on; `done` of `total` steps, `label` says of what. */
  readonly onProgress?: Progress;
  /** Stops the call between two steps; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export type Progress = (done: number, total: number, label: string) => void;
