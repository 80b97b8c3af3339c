/** Runs of notebook 03 on planted checkpoints, at sizes for tests. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Notebook, Parameters } from "../../kernels/runner/index.js";
import { initialWeights, saveCheckpoint, type Weights } from "../../lib/model/index.js";
import { type PlantedMechanism, plantedMaths } from "../../lib/tasks/planted/maths.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { executed, shipped } from "./executed.js";

export const path: string = shipped("03-phase3-z");
const folder = temporaryFolder();

/** Sizes at which every part of the study runs, in seconds. */
export const small: Parameters = {
  problemCount: 16,
  pairCount: 26,
  maxNewTokens: 4,
  layers: [3, 4],
  ks: [13, 5],
  ardSteps: 30,
  ardComparisons: 12,
  nullCount: 8,
  draws: 199,
  frame: "bare",
};

/** Writes a planted checkpoint, or its like with random weights, and the riddles; gives the notebook's parameters. */
function write(mechanism: PlantedMechanism, random = false): { model: string; data: string } {
  const made = plantedMaths(mechanism);
  const model = join(folder, random ? "random" : mechanism);
  mkdirSync(model, { recursive: true });
  const weights: Weights = random
    ? initialWeights({ ...made.config, initializer_range: 0.2 }, 3)
    : made.weights;
  saveCheckpoint(model, made.config, weights);
  writeFileSync(join(model, "tokenizer.json"), JSON.stringify(made.tokenizer));
  writeFileSync(join(model, "tokenizer_config.json"), JSON.stringify(made.tokenizerConfig));
  const data = join(folder, "riddles.json");
  writeFileSync(data, JSON.stringify({ problems: made.problems }));
  return { model, data };
}

/** Runs the notebook on a planted checkpoint, or its like with random weights. */
export function run(mechanism: PlantedMechanism, random = false): Promise<Notebook> {
  const output = join(folder, `${random ? "random" : mechanism}.ipynb`);
  return executed(path, output, { ...small, ...write(mechanism, random) });
}
