/** Outputs of the Jupyter protocol, shared by the kernel and the runner. */
import type { MimeBundle } from "../../lib/notebook/index.js";

export type { MimeBundle };

/** An output as Jupyter shows it: the message type and its content, with no header yet. */
export type Output =
  | { type: "stream"; content: { name: "stdout" | "stderr"; text: string } }
  | { type: "display_data" | "update_display_data"; content: DisplayContent }
  | {
      type: "execute_result";
      content: { data: MimeBundle; metadata: Record<string, unknown>; execution_count: number };
    }
  | { type: "clear_output"; content: { wait: boolean } }
  | { type: "error"; content: ErrorContent };

export interface DisplayContent {
  data: MimeBundle;
  metadata: Record<string, unknown>;
  transient?: { display_id?: string };
}

export interface ErrorContent {
  ename: string;
  evalue: string;
  traceback: string[];
}
