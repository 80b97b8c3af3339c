/** What the study will cost on this machine, from a few prompts that are run. */

import { formatBytes } from "../../bytes.js";
import { encodeFeatures } from "../../circuits/index.js";
import { asMessage, planets } from "../../tasks/index.js";
import { drawFor, type Subject } from "./subject.js";

export interface Cost {
  /** Prompts of one data seed, each with one edit or none. */
  readonly prompts: number;
  readonly secondsEach: number;
  /** Nodes of one image prompt's graph, and bytes of its edges. */
  readonly nodes: number;
  readonly graphBytes: number;
}

/** Prompts that features are chosen on, and runs of each measured image with all arms together. */
const CHOSEN_ON = 1500;
const RUNS_EACH = 45;

/** Runs a few prompts twice, and reckons from the second time. */
export async function circuitCost(subject: Subject): Promise<Cost> {
  const { model, set, rowsPerCall, samples } = subject;
  const tasks = drawFor(subject, planets, {
    types: ["name"],
    count: Math.min(rowsPerCall, 8),
    split: "train",
  });
  const batch = await model.prepare(tasks.map((task) => [asMessage(task)]));
  let [secondsEach, active] = [0, 0];
  for (let round = 0; round < 2; round++) {
    const from = performance.now();
    const { layers } = await encodeFeatures(model, batch, set);
    secondsEach = (performance.now() - from) / 1000 / tasks.length;
    active = layers.reduce((sum, { ids }) => sum + ids.length, 0) / tasks.length;
  }
  const nodes = Math.round(active + (model.layers.length + 1) * batch.tokenPositions[0].length);
  return { prompts: CHOSEN_ON + RUNS_EACH * samples, secondsEach, nodes, graphBytes: 4 * active * nodes };
}

/** "6000 prompts a data seed at 4 ms: about 24 s each; a graph of 3100 nodes holds 33 MB." */
export function circuitCostText({ prompts, secondsEach, nodes, graphBytes }: Cost, draws: number): string {
  const seconds = prompts * secondsEach;
  const time = seconds < 120 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
  return (
    `${prompts} prompts a draw at ${(1000 * secondsEach).toFixed(0)} ms: about ${time}, ${draws} times; ` +
    `a graph of about ${nodes} nodes holds ${formatBytes(graphBytes)}.`
  );
}
