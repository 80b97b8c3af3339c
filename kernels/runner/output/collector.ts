import { formatBytes } from "../../../lib/bytes.js";
import type { Cell, CellOutput } from "../../../lib/notebook/index.js";
import type { ErrorContent, Output } from "../../protocol/index.js";
import { clipText, fileSize } from "./size.js";
import type { DisplayedOutput } from "./stills.js";

/** Bytes of one cell's outputs in the file, when nothing else is said. */
export const defaultMaxOutput = 100e6;

/** Bytes of all outputs in the file: what is larger could not be read back, as a string has an end. */
const defaultMaxNotebookOutput = 400e6;

/** Bytes that every cell may put out even so: a result is not lost to what other cells have printed. */
const cellReserve = 100e3;

/** Characters of an error's message and of its traceback; an error is kept whatever else its cell has put out. */
const maxErrorLength = 1e6;

/** Characters up to which printed text is added to the last piece of a stream. */
const pieceLength = 1 << 16;

/**
 * Puts the outputs of one run where a client would show them. What passes the limit of a cell, or that of all
 * cells together, is left out, and a line in the cell says so.
 */
export class OutputCollector {
  readonly #maxOutput: number;
  readonly #maxNotebookOutput: number;
  readonly #clearNext = new Set<Cell>();
  readonly #displays = new Map<DisplayedOutput, { id: string; cell: Cell }>();
  readonly #sizes = new Map<CellOutput, number>();
  readonly #cellSizes = new Map<Cell, number>();
  readonly #cut = new Set<Cell>();
  #total = 0;

  /**
   * @param maxOutput bytes of one cell's outputs in the file
   * @param maxNotebookOutput bytes of all of them
   */
  constructor(maxOutput: number = defaultMaxOutput, maxNotebookOutput: number = defaultMaxNotebookOutput) {
    this.#maxOutput = maxOutput;
    this.#maxNotebookOutput = maxNotebookOutput;
  }

  add(cell: Cell, { type, content }: Output): void {
    if (type === "clear_output") {
      if (content.wait) this.#clearNext.add(cell);
      else this.#clear(cell);
      return;
    }
    if (type === "update_display_data") {
      const { data, metadata, transient } = content;
      this.#update(transient?.display_id, { data, metadata });
      return;
    }
    if (this.#clearNext.delete(cell)) this.#clear(cell);
    if (type === "error") this.#append(cell, { output_type: type, ...clipError(content) });
    else if (this.#cut.has(cell)) return;
    else if (type === "stream") this.#print(cell, content.name, content.text);
    else if (type === "execute_result") this.#show(cell, { output_type: type, ...content });
    else {
      const { data, metadata, transient } = content;
      const shown: DisplayedOutput = { output_type: type, data, metadata };
      const id = transient?.display_id;
      if (this.#show(cell, shown) && id !== undefined) this.#displays.set(shown, { id, cell });
    }
  }

  /** Bytes that the cell may still put out, and the limit that they end at. */
  #room(cell: Cell): { free: number; limit: string } {
    const used = this.#cellSizes.get(cell) ?? 0;
    const ofCell = this.#maxOutput - used;
    const ofAll = Math.max(this.#maxNotebookOutput - this.#total, cellReserve - used);
    return ofCell <= ofAll
      ? { free: ofCell, limit: `${formatBytes(this.#maxOutput)} for one cell (--max-output)` }
      : { free: ofAll, limit: `${formatBytes(this.#maxNotebookOutput)} for all cells of a notebook` };
  }

  #print(cell: Cell, name: string, text: string): void {
    const { free, limit } = this.#room(cell);
    const size = fileSize(text);
    if (size <= free) {
      this.#write(cell, name, text, size);
      return;
    }
    const part = clipText(text, Math.floor((text.length * Math.max(0, free)) / size));
    if (part !== "") this.#write(cell, name, part, free);
    this.#stop(cell, limit);
  }

  /** Text of any length is kept in pieces: one string has an end, at half a billion characters. */
  #write(cell: Cell, name: string, text: string, size: number): void {
    const last = cell.outputs?.at(-1);
    if (last?.output_type !== "stream" || last.name !== name || !Array.isArray(last.text)) {
      this.#append(cell, { output_type: "stream", name, text: [text] }, size);
      return;
    }
    const end = last.text.length - 1;
    if (last.text[end].length + text.length <= pieceLength) last.text[end] += text;
    else last.text.push(text);
    this.#count(cell, last, size);
  }

  /** Whether the output had room. */
  #show(cell: Cell, output: CellOutput): boolean {
    const { free, limit } = this.#room(cell);
    const size = fileSize(output);
    if (size <= free) this.#append(cell, output, size);
    else this.#stop(cell, limit);
    return size <= free;
  }

  #stop(cell: Cell, limit: string): void {
    this.#cut.add(cell);
    const line = `\n[The output is cut here: it passes the limit of ${limit}.]\n`;
    this.#write(cell, "stderr", line, fileSize(line));
  }

  #append(cell: Cell, output: CellOutput, size = fileSize(output)): void {
    cell.outputs?.push(output);
    this.#count(cell, output, size);
  }

  #count(cell: Cell, output: CellOutput, size: number): void {
    this.#sizes.set(output, (this.#sizes.get(output) ?? 0) + size);
    this.#cellSizes.set(cell, (this.#cellSizes.get(cell) ?? 0) + size);
    this.#total += size;
  }

  /** An update that has no room leaves what is shown. */
  #update(id: string | undefined, content: Pick<DisplayedOutput, "data" | "metadata">): void {
    for (const [shown, place] of this.#displays)
      if (place.id === id) this.#replace(place.cell, shown, content);
  }

  #replace(cell: Cell, shown: DisplayedOutput, content: Partial<DisplayedOutput>): void {
    const growth = fileSize({ ...shown, ...content }) - (this.#sizes.get(shown) ?? 0);
    if (growth > this.#room(cell).free) return;
    Object.assign(shown, content);
    this.#count(cell, shown, growth);
  }

  /** Adds a figure's still, if the figure is still there, and there is room. */
  addStill(cell: Cell, shown: DisplayedOutput, html: string): void {
    if (!cell.outputs?.includes(shown)) return;
    this.#replace(cell, shown, { data: { ...shown.data, "text/html": html } });
  }

  #clear(cell: Cell): void {
    for (const output of cell.outputs ?? []) {
      this.#sizes.delete(output);
      if (output.output_type === "display_data") this.#displays.delete(output);
    }
    this.#total -= this.#cellSizes.get(cell) ?? 0;
    this.#cellSizes.delete(cell);
    this.#cut.delete(cell);
    cell.outputs = [];
  }
}

function clipError({ ename, evalue, traceback }: ErrorContent): ErrorContent {
  const length = traceback.reduce((sum, part) => sum + part.length, 0);
  const parts = length <= maxErrorLength ? traceback : [traceback.join("\n")];
  return { ename: clipped(ename), evalue: clipped(evalue), traceback: parts.map(clipped) };
}

function clipped(text: string): string {
  return text.length <= maxErrorLength ? text : `${clipText(text, maxErrorLength)} […]`;
}
