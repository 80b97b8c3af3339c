import { ModalscopeError } from "../../errors.js";
import { warn } from "../../warnings.js";
import type { Checkpoint } from "../checkpoint/index.js";

/** Token ids that end a text, as the checkpoint's generation config and config name them. */
export function endTokenIds({ config, generationConfig }: Checkpoint): number[] {
  const given = generationConfig?.eos_token_id ?? config.eos_token_id ?? [];
  const ids: unknown[] = Array.isArray(given) ? given : [given];
  if (ids.every((id) => Number.isInteger(id))) return ids as number[];
  throw new ModalscopeError(
    `The checkpoint's "eos_token_id" is ${JSON.stringify(given).slice(0, 200)}.`,
    "It must be a token's id, or a list of them.",
    "Correct it in generation_config.json or config.json.",
  );
}

/** Fields with which transformers' `generate` makes other texts, and the values with which it does not. */
const NEUTRAL: Readonly<Record<string, unknown>> = {
  do_sample: false,
  num_beams: 1,
  repetition_penalty: 1,
  no_repeat_ngram_size: 0,
  min_length: 0,
  min_new_tokens: 0,
  penalty_alpha: 0,
  bad_words_ids: null,
  sequence_bias: null,
  forced_bos_token_id: null,
  forced_eos_token_id: null,
  suppress_tokens: null,
  begin_suppress_tokens: null,
};

const told = new WeakSet<Checkpoint>();

/** Says once of a checkpoint which fields of its generation config `generate` does not use. */
export function warnOfUnusedFields(checkpoint: Checkpoint): void {
  const { path, generationConfig = {} } = checkpoint;
  const unused = Object.entries(NEUTRAL).flatMap(([name, neutral]) => {
    const value = generationConfig[name] ?? neutral;
    return value === neutral ? [] : [`${name} ${JSON.stringify(value).slice(0, 100)}`];
  });
  if (unused.length === 0 || told.has(checkpoint)) return;
  told.add(checkpoint);
  warn(
    `generation_config.json of ${path} asks for ${unused.join(", ")}.`,
    "generate does not use that: it takes the likeliest token, or samples as its own options say.",
    "transformers gives the same text with these fields removed.",
  );
}
