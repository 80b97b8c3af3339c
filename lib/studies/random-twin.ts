import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { initialWeights, loadModel, type Model, saveCheckpoint } from "../model/index.js";

/** Files of a checkpoint's folder that say how it is asked. */
const TEXTS = [
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "preprocessor_config.json",
  "processor_config.json",
  "generation_config.json",
] as const;

/** Opens a checkpoint of the model's architecture with random weights, and closes it after `use`. */
export async function withRandomTwin<T>(
  model: Model,
  seed: number,
  use: (twin: Model) => Promise<T>,
): Promise<T> {
  const { config } = model.checkpoint;
  const files = Object.fromEntries(
    TEXTS.map((name) => [name, join(model.path, name)] as const)
      .filter(([, path]) => existsSync(path))
      .map(([name, path]) => [name, readFileSync(path, "utf8")]),
  );
  return withCheckpoint({ config, weights: initialWeights(config, seed), files }, use, basename(model.path));
}

/** A checkpoint that is not on the disk: built by hand, or drawn. */
export interface UnsavedCheckpoint {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Parameters<typeof saveCheckpoint>[2];
  readonly files?: Readonly<Record<string, string>>;
}

/** Saves a checkpoint in a temporary folder, opens it, and removes it after `use`. */
export async function withCheckpoint<T>(
  { config, weights, files }: UnsavedCheckpoint,
  use: (model: Model) => Promise<T>,
  name = "checkpoint",
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), `modalscope-${name}-`));
  try {
    saveCheckpoint(folder, config, weights, files);
    const model = await loadModel(folder);
    try {
      return await use(model);
    } finally {
      await model.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
