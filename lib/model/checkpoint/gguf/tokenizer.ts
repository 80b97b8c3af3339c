/** Rebuilding tokenizer.json from the vocabulary in a GGUF file, as transformers does in Python. */
import { ModalscopeError } from "../../../errors.js";
import type { TokenizerFiles } from "../tokenizer-files.js";
import { markTemplate } from "../tokenizer-files.js";
import { byteAlphabet, spellBytes } from "./byte-alphabet.js";
import { type Fields, fieldsOf } from "./fields.js";
import type { GgufHeader } from "./header.js";
import { mergesOf } from "./merges.js";
import { splitterFor } from "./pre-tokenizers.js";

type Json = Record<string, unknown>;

/** The vocabulary of a GGUF file. */
interface Vocabulary {
  readonly path: string;
  readonly tokens: readonly string[];
  /** By token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  readonly types?: readonly number[];
  readonly scores?: readonly number[];
  /** "left right", best first. */
  readonly merges?: readonly string[];
  readonly fields: Fields;
}

const CONTROL = 3;
const USER_DEFINED = 4;

/** @throws ModalscopeError when there is no tokenizer, it is not sound, or of a kind that is not supported. */
export function tokenizerOfGguf(path: string, header: GgufHeader): TokenizerFiles {
  const fields = fieldsOf(path, header);
  const kind = fields.optionalText("tokenizer.ggml.model");
  if (kind === undefined) {
    throw new ModalscopeError(
      `${path} has no tokenizer.`,
      "",
      "Use a file that holds one, or the Hugging Face folder.",
    );
  }
  const vocabulary = vocabularyOf(path, fields);
  const isGemma = /^gemma/.test(fields.optionalText("general.architecture") ?? "");
  if (kind === "gpt2") return finished(vocabulary, byteLevel(vocabulary));
  if (kind === "llama") return finished(vocabulary, isGemma ? gemma(vocabulary) : sentencePiece(vocabulary));
  throw new ModalscopeError(
    `${path} has a tokenizer of the kind "${kind}",`,
    "and supported are gpt2 (byte-level pairs) and llama (SentencePiece).",
    "Use the Hugging Face folder of this model.",
  );
}

function vocabularyOf(path: string, fields: Fields): Vocabulary {
  const list = <T>(key: string, type: string): readonly T[] | undefined => {
    const values = fields.optionalList(`tokenizer.ggml.${key}`);
    if (values?.every((value) => typeof value === type)) return values as readonly T[];
    if (values === undefined) return undefined;
    throw unsound(path, `"tokenizer.ggml.${key}" does not hold a ${type} for each entry.`);
  };
  const tokens = list<string>("tokens", "string");
  if (!tokens || tokens.length === 0) throw unsound(path, "it has no tokens.");
  const types = list<number>("token_type", "number");
  const scores = list<number>("scores", "number");
  for (const each of [types, scores]) {
    if (each && each.length !== tokens.length) {
      throw unsound(path, `${tokens.length} tokens come with ${each.length} types or scores.`);
    }
  }
  return { path, tokens, types, scores, merges: list<string>("merges", "string"), fields };
}

function unsound(path: string, why: string): ModalscopeError {
  return new ModalscopeError(
    `The tokenizer in ${path} is not sound:`,
    why,
    "Download or convert the file again.",
  );
}

/** Byte-level pairs, as in GPT-2, Llama 3 and Qwen. */
function byteLevel(v: Vocabulary): Json {
  const { fields, path } = v;
  const splitter = splitterFor(fields.optionalText("tokenizer.ggml.pre"), path);
  // A normal token is spelled in the alphabet of bytes; some files have it as plain text.
  const spelled = v.tokens.map((token, id) =>
    isAdded(v, id) || [...token].every((char) => byteAlphabet.has(char)) ? token : spellBytes(token),
  );
  return {
    normalizer: splitter.normalizer,
    pre_tokenizer: splitter.preTokenizer,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: bpe(spelled, givenMerges(v) ?? [], { ignore_merges: splitter.wholeWordsFirst }),
    added_tokens: addedTokens(v),
    post_processor: marks(v, splitter.beginsTexts),
  };
}

/** SentencePiece, as in Llama 2 and the first Mistral: spaces are "▁", unknown characters become bytes. */
function sentencePiece(v: Vocabulary): Json {
  const prefix = v.fields.optionalFlag("tokenizer.ggml.add_space_prefix") ?? true;
  const scores = v.scores ?? v.tokens.map((_, id) => -id);
  return {
    normalizer: null,
    pre_tokenizer: {
      type: "Metaspace",
      replacement: "▁",
      prepend_scheme: prefix ? "first" : "never",
      split: false,
    },
    decoder: sentencePieceDecoder(prefix),
    model: bpe(v.tokens, givenMerges(v) ?? mergesOf(v.tokens, scores), sentencePieceModel(v)),
    added_tokens: addedTokens(v),
    post_processor: marks(v, true),
  };
}

/**
 * Gemma's SentencePiece: no space before the text. Runs of spaces are stored as spaces and looked up as "▁"; the
 * order in which tokens stand, not their scores, is that of the merges.
 */
function gemma(v: Vocabulary): Json {
  const tokens = v.tokens.map((token) => (isSpaces(token) ? "▁".repeat(token.length) : token));
  const ranks = tokens.map((_, id) => -id);
  return {
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    pre_tokenizer: null,
    decoder: sentencePieceDecoder(false),
    model: bpe(tokens, givenMerges(v) ?? mergesOf(tokens, ranks), sentencePieceModel(v)),
    added_tokens: addedTokens(v).filter(({ content }) => !isSpaces(content)),
    post_processor: marks(v, true),
  };
}

function sentencePieceModel(v: Vocabulary): Json {
  return { byte_fallback: true, fuse_unk: true, unk_token: namedToken(v, "unknown") };
}

function sentencePieceDecoder(stripFirst: boolean): Json {
  const strip = stripFirst ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [];
  return {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "▁" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
      ...strip,
    ],
  };
}

function bpe(tokens: readonly string[], merges: readonly (readonly string[])[], options: Json): Json {
  const vocab: Record<string, number> = Object.create(null); // a token may be "__proto__"
  tokens.forEach((token, id) => {
    vocab[token] = id;
  });
  return { type: "BPE", vocab, merges, continuing_subword_prefix: "", end_of_word_suffix: "", ...options };
}

function givenMerges(v: Vocabulary): string[][] | undefined {
  return v.merges?.map((merge) => {
    // A token never holds a space: it is spelled "Ġ" or "▁".
    const pair = merge.split(" ");
    if (pair.length !== 2) throw unsound(v.path, `the merge ${JSON.stringify(merge)} is not a pair.`);
    return pair;
  });
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly normalized: false;
}

/** Tokens that are found whole in any text: control tokens (special) and user-defined ones. */
function addedTokens(v: Vocabulary): AddedToken[] {
  const named = new Set(nameKeys.map((name) => v.fields.optionalId(`tokenizer.ggml.${name}_token_id`)));
  const added: AddedToken[] = [];
  v.tokens.forEach((content, id) => {
    const special = named.has(id) || v.types?.[id] === CONTROL;
    if (content !== "" && (special || isAdded(v, id)))
      added.push({ id, content, special, normalized: false });
  });
  return added;
}

function isAdded(v: Vocabulary, id: number): boolean {
  return v.types?.[id] === CONTROL || v.types?.[id] === USER_DEFINED;
}

function isSpaces(token: string): boolean {
  return /^ +$/.test(token);
}

const nameKeys = ["bos", "eos", "unknown", "padding"] as const;

/** The token that the metadata name for a purpose, or null. */
function namedToken(v: Vocabulary, name: (typeof nameKeys)[number]): string | null {
  const id = v.fields.optionalId(`tokenizer.ggml.${name}_token_id`);
  if (id === undefined) return null;
  if (id < v.tokens.length) return v.tokens[id];
  throw unsound(v.path, `its ${name} token is number ${id} of ${v.tokens.length}.`);
}

/** Begin and end marks: as the file says, else the kind's habit. */
function marks(v: Vocabulary, beginsTexts: boolean): Json {
  const begin = v.fields.optionalFlag("tokenizer.ggml.add_bos_token") ?? beginsTexts;
  const end = v.fields.optionalFlag("tokenizer.ggml.add_eos_token") ?? false;
  return markTemplate(
    (begin ? namedToken(v, "bos") : null) ?? undefined,
    (end ? namedToken(v, "eos") : null) ?? undefined,
  );
}

function finished(v: Vocabulary, json: Json): TokenizerFiles {
  return {
    json,
    config: {
      tokenizer_class: "PreTrainedTokenizer",
      bos_token: namedToken(v, "bos"),
      eos_token: namedToken(v, "eos"),
      unk_token: namedToken(v, "unknown"),
      pad_token: namedToken(v, "padding"),
      chat_template: v.fields.optionalText("tokenizer.chat_template"),
      clean_up_tokenization_spaces: false,
    },
  };
}
