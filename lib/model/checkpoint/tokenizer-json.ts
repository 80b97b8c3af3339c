/**
 * tokenizer.json as `tokenizers`, Hugging Face's library in Rust, reads it: the one in JavaScript checks nothing, takes ids of added
 * tokens as they are written, and gets by without the ids of a post-processor.
 */
import { warn } from "../../warnings.js";
import { isObject } from "./files.js";
import { decoderRule, normalizerRule, splitRule } from "./tokenizer-rules.js";

type Json = Readonly<Record<string, unknown>>;

/** A model's vocabulary. */
interface Vocabulary {
  readonly size: number;
  readonly idOf: (token: string) => number | undefined;
}

const MODELS: readonly unknown[] = ["BPE", "Unigram", "WordPiece", "WordLevel", undefined];

/**
 * @param json tokenizer.json
 * @param path of the checkpoint, for a warning
 * @throws Error saying what of it cannot be read
 */
export function tokenizerJson(json: Json, path: string): Record<string, unknown> {
  const { model } = json;
  if (!isObject(model)) throw new Error("tokenizer.json has no model");
  if (!MODELS.includes(model.type))
    throw new Error(`its model is of the type ${shown(model.type)}, which is unknown`);
  const vocabulary = vocabularyOf(model);
  if (model.type === "BPE" && !Array.isArray(model.merges)) throw new Error("its merges are missing");
  if (model.type === "BPE" && model.continuing_subword_prefix)
    throw new Error("its BPE has a continuing_subword_prefix, which is not supported");
  const added = addedTokens(json.added_tokens ?? [], vocabulary, path);
  const idOf = (token: string): number | undefined =>
    added.find(({ content }) => content === token)?.id ?? vocabulary.idOf(token);
  for (const [token, ids] of markedIds(json.post_processor)) {
    if (ids.length === 1 && ids[0] === idOf(token)) continue;
    throw new Error(
      `its post-processor adds ${shown(token)} as ${shown(ids)}, and the vocabulary has ${idOf(token) === undefined ? "no such token" : `it as ${idOf(token)}`}`,
    );
  }
  return {
    ...json,
    added_tokens: added,
    normalizer: normalizerRule(json.normalizer),
    pre_tokenizer: splitRule(json.pre_tokenizer),
    post_processor: json.post_processor ?? null,
    decoder: decoderRule(json.decoder),
  };
}

/** What the library takes from tokenizer_config.json too: only what transformers' fast tokenizers take. */
export function tokenizerConfig(config: Json, { model }: Json): Record<string, unknown> {
  const { remove_space, do_lowercase_and_remove_accent, target_lang, ...rest } = config;
  const unknown = isObject(model) && model.type === "WordLevel" ? model.unk_token : undefined;
  return typeof unknown === "string" ? { ...rest, unk_token: unknown } : rest;
}

const shown = (value: unknown): string => JSON.stringify(value)?.slice(0, 80) ?? "none";

const isId = (id: unknown): id is number =>
  Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 32;

function vocabularyOf({ vocab, unk_id }: Json): Vocabulary {
  if (Array.isArray(vocab)) {
    const bad = vocab.find(
      (entry) => !(Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "number"),
    );
    if (bad !== undefined)
      throw new Error(`its vocabulary has the entry ${shown(bad)}, not a token with its score`);
    if (vocab.length === 0) throw new Error("its vocabulary is empty");
    if (unk_id !== undefined && unk_id !== null && !(isId(unk_id) && unk_id < vocab.length))
      throw new Error(`its unk_id is ${shown(unk_id)}, and the vocabulary has ${vocab.length} tokens`);
    const ids = new Map(vocab.map(([token], id) => [token as string, id]));
    return { size: vocab.length, idOf: (token) => ids.get(token) };
  }
  if (!isObject(vocab)) throw new Error("its model has no vocabulary");
  const size = Object.keys(vocab).length;
  if (size === 0) throw new Error("its vocabulary is empty");
  const idOf = (token: string): number | undefined =>
    Object.hasOwn(vocab, token) ? (vocab[token] as number) : undefined;
  return { size, idOf };
}

/** Merges that are looked at: one in so many. A file that was cut or mixed up has many, and all take half as long as the rest. */
const STRIDE = 16;

/**
 * Sees that ids are ids, and that merges are of tokens of the vocabulary: others belong to another one, or a part of it is missing.
 * @param ids of all tokens
 * @throws Error naming the first
 */
export function checkVocabulary({ model }: Json, ids: ReadonlyMap<string, number>): void {
  for (const [token, id] of ids)
    if (!isId(id)) throw new Error(`its vocabulary gives ${shown(token)} the id ${shown(id)}`);
  if (!isObject(model) || !Array.isArray(model.merges)) return;
  const { merges } = model;
  for (let i = merges.length - 1; i >= 0; i -= STRIDE) {
    const parts: unknown = typeof merges[i] === "string" ? merges[i].split(" ") : merges[i];
    if (!(Array.isArray(parts) && parts.length === 2 && parts.every((part) => typeof part === "string")))
      throw new Error(`${shown(merges[i])} among its merges is no pair of tokens`);
    const lacking = [parts[0], parts[1], parts[0] + parts[1]].find((part) => !ids.has(part));
    if (lacking === undefined) continue;
    throw new Error(
      `its merges need the token ${shown(lacking)}, which the vocabulary lacks: they belong to another one`,
    );
  }
}

/** Added tokens with the ids that they get: that of the vocabulary where it has the token, else the next free one. */
function addedTokens(
  list: unknown,
  { size, idOf }: Vocabulary,
  path: string,
): { content: string; id: number }[] {
  if (!Array.isArray(list)) throw new Error(`its added_tokens are ${shown(list)}, not a list`);
  const added = new Map<string, { content: string; id: number }>();
  const moved: string[] = [];
  let most = -1;
  for (const token of list) {
    if (!(isObject(token) && typeof token.content === "string" && isId(token.id)))
      throw new Error(`${shown(token)} is no added token with an id`);
    const { content } = token;
    if (token.single_word === true)
      throw new Error(
        `its added token ${shown(content)} stands for whole words only (single_word), which is not supported`,
      );
    if (content === "" || added.has(content)) continue;
    const id = idOf(content) ?? Math.max(most + 1, size);
    if (id !== token.id) moved.push(`${shown(content)} ${id}, not ${token.id}`);
    most = Math.max(most, id);
    added.set(content, { ...token, content, id });
  }
  if (moved.length > 0)
    warn(
      `tokenizer.json of ${path} gives added tokens other ids than its vocabulary leaves for them.`,
      `As in transformers, they have these: ${moved.slice(0, 5).join("; ")}${moved.length > 5 ? " …" : ""}.`,
      "Save the tokenizer again, with transformers, to silence this.",
    );
  return [...added.values()];
}

/** Tokens that a post-processor adds, with the ids that it gives them itself. */
function* markedIds(processor: unknown): Generator<[token: string, ids: readonly unknown[]]> {
  if (!isObject(processor)) return;
  const { type, processors, special_tokens, single, cls, sep } = processor;
  if (Array.isArray(processors)) for (const one of processors) yield* markedIds(one);
  // Templates that are made here for begin and end marks have no ids of their own.
  if (type === "TemplateProcessing" && isObject(special_tokens) && Array.isArray(single))
    for (const step of single) {
      const name = isObject(step) && isObject(step.SpecialToken) ? step.SpecialToken.id : undefined;
      if (typeof name !== "string") continue;
      const own = Object.hasOwn(special_tokens, name) ? special_tokens[name] : undefined;
      yield [name, isObject(own) && Array.isArray(own.ids) ? own.ids : []];
    }
  for (const mark of [cls, sep])
    if (Array.isArray(mark) && typeof mark[0] === "string") yield [mark[0], [mark[1]]];
}
