/** The models inside a checkpoint that a stage may train alone. */
import type { Stage } from "./recipe.js";

type Config = Readonly<Record<string, unknown>>;

/** Of the language model through which a tower alone learns: as many as DeepStack writes into. */
export const READER_BLOCKS = 3;

/** config.json of what a stage trains. */
export function partConfig(part: Stage["part"], raw: Config): Config {
  if (part === "language") return languageConfig(raw);
  if (part === "whole") return raw;
  const language = languageConfig(raw);
  const num_hidden_layers = Math.min(READER_BLOCKS, language.num_hidden_layers as number);
  const types = language.layer_types as readonly string[] | undefined;
  const layer_types = types && { layer_types: types.slice(0, num_hidden_layers) };
  return { ...raw, text_config: { ...language, num_hidden_layers, ...layer_types } };
}

/** The language model inside, with a config.json of its own. */
export function languageConfig(raw: Config): Config {
  return raw.text_config as Config;
}
