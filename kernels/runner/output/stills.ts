/**
 * Stills of figures: the images that show where plotly does not run. A thread draws them beside the cells, which would
 * wait a second for the first figure, when plotly is loaded, and a fifth of one for every other.
 */
import { Worker } from "node:worker_threads";
import { PLOTLY_MIME, STILL_TO_COME } from "../../../lib/display.js";
import { escapeHtml } from "../../../lib/escape.js";
import type { Cell, CellOutput } from "../../../lib/notebook/index.js";
import type { Figure } from "../../../lib/plot/index.js";

export interface StillRequest {
  readonly id: number;
  readonly figure: Figure;
}

export interface Still {
  readonly id: number;
  readonly html: string;
}

export type DisplayedOutput = Extract<CellOutput, { output_type: "display_data" }>;

/** Takes a still of a cell's output. */
export type OnStill = (cell: Cell, shown: DisplayedOutput, html: string) => void;

export interface Stills {
  /** Loads what drawing takes. */
  prepare(): void;
  /** Draws the figures of a cell whose stills are to come. */
  draw(cell: Cell): void;
  /** Waits for what is being drawn, and ends the thread. */
  finish(): Promise<void>;
}

export function openStills(onStill: OnStill): Stills {
  const asked = new WeakSet<DisplayedOutput>();
  const waiting = new Map<number, (html: string) => void>();
  const drawn: Promise<void>[] = [];
  let thread: Worker | undefined;

  function start(): Worker {
    const started = new Worker(new URL("./still-drawer.js", import.meta.url));
    started.on("message", ({ id, html }: Still) => {
      waiting.get(id)?.(html);
      waiting.delete(id);
    });
    started.on("error", (error) => {
      thread = undefined;
      for (const take of waiting.values()) take(undrawn(error));
      waiting.clear();
    });
    // A run that ends by an error does not wait for it.
    started.unref();
    return started;
  }

  function ask(shown: DisplayedOutput): Promise<string> {
    thread ??= start();
    const id = drawn.length;
    thread.postMessage({ id, figure: shown.data[PLOTLY_MIME] as unknown as Figure } satisfies StillRequest);
    return new Promise((resolve) => waiting.set(id, resolve));
  }

  return {
    prepare() {
      thread ??= start();
    },
    draw(cell) {
      for (const output of cell.outputs ?? []) {
        if (output.output_type !== "display_data" || asked.has(output)) continue;
        if (output.data["text/html"] !== STILL_TO_COME) continue;
        asked.add(output);
        drawn.push(ask(output).then((html) => onStill(cell, output, html)));
      }
    },
    async finish() {
      thread?.ref();
      await Promise.all(drawn);
      await thread?.terminate();
    },
  };
}

/** In the place of a still: its cell has ended, so no error in it can say why there is none. */
export function undrawn(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return `<p>This figure could not be drawn without a browser. ${escapeHtml(reason)}</p>`;
}
