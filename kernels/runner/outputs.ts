import type { Output } from "../protocol/outputs.js";
import { type Cell, type CellOutput, joined, type Notebook } from "./notebook/notebook.js";

/** Puts a cell's outputs where a client would show them; its state is one notebook's run. */
export interface OutputKeeper {
  add(cell: Cell, output: Output): void;
}

export function outputKeeper(notebook: Notebook): OutputKeeper {
  const clearNext = new Set<Cell>();
  const displays = new Map<CellOutput, string>();

  function append(cell: Cell, output: CellOutput): void {
    if (clearNext.delete(cell)) cell.outputs = [];
    cell.outputs?.push(output);
  }

  return {
    add(cell, { type, content }) {
      if (type === "clear_output") {
        if (content.wait) clearNext.add(cell);
        else cell.outputs = [];
      } else if (type === "stream") {
        if (clearNext.delete(cell)) cell.outputs = [];
        const last = cell.outputs?.at(-1);
        if (last?.output_type === "stream" && last.name === content.name) {
          last.text = joined(last.text as string) + content.text;
        } else append(cell, { output_type: "stream", ...content });
      } else if (type === "update_display_data") {
        const id = content.transient?.display_id;
        for (const { outputs = [] } of notebook.cells) {
          for (const output of outputs) {
            if (displays.get(output) === id)
              Object.assign(output, { data: content.data, metadata: content.metadata });
          }
        }
      } else if (type === "display_data") {
        const { transient, ...kept } = content;
        const output: CellOutput = { output_type: type, ...kept };
        if (transient?.display_id !== undefined) displays.set(output, transient.display_id);
        append(cell, output);
      } else append(cell, { output_type: type, ...content });
    },
  };
}
