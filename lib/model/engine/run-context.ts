import type { TaskOptions } from "../../progress.js";
import type { CaptureRecorder } from "../captures/index.js";
import type { Plan } from "../edits/index.js";
import type { Engine } from "./engine.js";

/** Everything that goes along with a pass through the model: edits, captures and callbacks. */
export interface RunContext extends TaskOptions {
  readonly engine: Engine;
  readonly plan: Plan;
  readonly recorder: CaptureRecorder;
  /** Which of each block's rotated keys and values come back: those of all positions so far, or of the pass's own. */
  readonly keyValues?: "all" | "new";
}
