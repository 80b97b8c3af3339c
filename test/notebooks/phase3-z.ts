/** Runs of notebook 03 on planted checkpoints, at sizes for tests. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Notebook, Parameters } from "../../kernels/runner/index.js";
import { saveCheckpoint } from "../../lib/model/index.js";
import { type PlantedMechanism, plantedMaths } from "../../lib/tasks/planted/maths.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { executed, shipped } from "./executed.js";

export const path: string = shipped("03-phase3-z");
const folder = temporaryFolder();

/** Sizes at which every part of the study runs, in seconds. */
export const small: Parameters = {
  promptFormat: "bare",
  perCategory: 26,
  seeds: [0],
  shiftCount: 8,
  ardCount: 8,
  layers: [3, 4],
  size: 13,
  documentFits: false,
  otherConfigurations: false,
  checkpoints: ["model"],
  maxNewTokens: 4,
};

/** Runs the notebook on a planted checkpoint and its riddles. */
export function run(mechanism: PlantedMechanism, parameters: Parameters = {}): Promise<Notebook> {
  const made = plantedMaths(mechanism);
  const model = join(folder, mechanism);
  mkdirSync(model, { recursive: true });
  saveCheckpoint(model, made.config, made.weights);
  writeFileSync(join(model, "tokenizer.json"), JSON.stringify(made.tokenizer));
  writeFileSync(join(model, "tokenizer_config.json"), JSON.stringify(made.tokenizerConfig));
  const data = join(folder, "riddles.json");
  writeFileSync(data, JSON.stringify({ problems: made.problems }));
  return executed(path, join(folder, `${mechanism}.ipynb`), { ...small, model, data, ...parameters });
}
