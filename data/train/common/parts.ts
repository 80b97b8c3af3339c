/** The models inside a checkpoint that a stage may train alone. */
import { LABEL_WEIGHTS, type Weights } from "../../../lib/model/training/index.js";
import type { Stage } from "./recipe.js";

type Config = Readonly<Record<string, unknown>>;

/** config.json of what a stage trains. */
export function partConfig(part: Stage["part"], raw: Config): Config {
  return part === "language" ? languageConfig(raw) : raw;
}

/** The language model inside, with a config.json of its own. */
export function languageConfig(raw: Config): Config {
  return raw.text_config as Config;
}

export function languageWeights(weights: Weights): Weights {
  return new Map([...weights].filter(([name]) => /^(model|lm_head)\./.test(name)));
}

/** Weights of the tower and of what reads it, with those of its labels. */
export function visionWeights(weights: Weights): Weights {
  return new Map([...weights].filter(([name]) => !/^(model|lm_head)\./.test(name)));
}

const labelling: ReadonlySet<string> = new Set(Object.values(LABEL_WEIGHTS));

/** Weights of the checkpoint itself, without those that only the labels' loss reads. */
export function checkpointWeights(weights: Weights): Weights {
  return new Map([...weights].filter(([name]) => !labelling.has(name)));
}
