/** The thread that draws figures as still images (stills.ts). */
import { parentPort } from "node:worker_threads";
import { bundleOf, type Figure } from "../../../lib/plot/index.js";
import { type Still, type StillRequest, undrawn } from "./stills.js";

const port = parentPort;
if (port === null) throw new Error("output/still-drawer.js runs as a worker thread only.");

port.on("message", ({ id, figure }: StillRequest) => {
  port.postMessage({ id, html: htmlOf(figure) } satisfies Still);
});

// Plotly is loaded for the first figure: this one comes before anybody waits for one.
htmlOf({ data: [], layout: {} });

function htmlOf(figure: Figure): string {
  try {
    return String(bundleOf(figure)["text/html"]);
  } catch (error) {
    return undrawn(error);
  }
}
