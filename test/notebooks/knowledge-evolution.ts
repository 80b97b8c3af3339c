/** Runs of notebook 05 at sizes for tests. */
import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Notebook, Parameters } from "../../kernels/runner/index.js";
import { initialWeights, saveCheckpoint } from "../../lib/model/index.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { executed, shipped, shown } from "./executed.js";

export const path: string = shipped("05-knowledge-evolution");
const fixture = fileURLToPath(new URL("../../../test/fixtures/vision/llava-default", import.meta.url));
const folder = temporaryFolder();

/** Sizes at which every part of the study runs, in seconds. */
export const small: Parameters = {
  captionCount: 6,
  maxNewTokens: 40,
  answerCount: 8,
  perplexities: [4],
  tsneSteps: 60,
  nullCount: 4,
  rowsPerCall: 8,
  draws: 99,
};

/** A checkpoint of LLaVA's layout with random weights, deep enough for stages. */
export function untrained(): string {
  const model = join(folder, "untrained");
  cpSync(fixture, model, {
    recursive: true,
    filter: (file) => !/safetensors|golden|hub|nested/.test(file.slice(fixture.length)),
  });
  const config = JSON.parse(readFileSync(join(fixture, "config.json"), "utf8"));
  const deep = { ...config, text_config: { ...config.text_config, num_hidden_layers: 6 } };
  saveCheckpoint(model, deep, initialWeights(deep, 1));
  return model;
}

/** Runs the notebook at these sizes. */
export function run(name: string, parameters: Parameters): Promise<Notebook> {
  return executed(path, join(folder, `${name}.ipynb`), { ...small, ...parameters });
}

/** Decoding is greedy, and one pass over a text must give what decoding gave. */
export function checkInstruments(notebook: Notebook): void {
  const [, first, all] = shown(notebook, "exit-run").match(/Rank 1 at the last state: (\d+) of (\d+)/)!;
  assert.equal(first, all);
  const drift = Number(shown(notebook, "priors-run").match(/states to (\S+) of their/)![1]);
  assert.ok(drift < 1e-5, `drift ${drift}`);
}
