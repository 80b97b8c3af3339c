/** The files of a checkpoint, as transformers saves them. */
import { saveCheckpoint, type Weights } from "../../../lib/model/training/index.js";
import type { Recipe } from "./recipe.js";
import type { TokenizerFiles } from "./words.js";

/** Writes weights with their config.json, the tokenizer and the processor. */
export function writeCheckpoint(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  weights: Weights,
  { tokenizer, tokenizerConfig, template }: TokenizerFiles,
  processor: Recipe["files"] = {},
): void {
  const text = (config.text_config ?? config) as Readonly<Record<string, unknown>>;
  const ids = ["bos_token_id", "eos_token_id", "pad_token_id"].map((name) => [name, text[name]]);
  const files = {
    "tokenizer.json": tokenizer,
    "tokenizer_config.json": tokenizerConfig,
    "generation_config.json": Object.fromEntries(ids),
    ...processor,
  };
  const written = Object.entries(files).map(([name, content]) => [name, asJson(content)]);
  saveCheckpoint(folder, config, weights, {
    ...Object.fromEntries(written),
    "chat_template.jinja": template,
  });
}

export function asJson(content: unknown): string {
  return `${JSON.stringify(content, null, 1)}\n`;
}
