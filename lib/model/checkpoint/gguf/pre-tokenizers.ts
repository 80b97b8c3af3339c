import { didYouMean, ModalscopeError } from "../../../errors.js";

type Json = Record<string, unknown>;

/** Settings of a byte-level tokenizer: how it cuts text into words before it merges, and others. */
export interface Splitter {
  readonly normalizer: Json | null;
  readonly preTokenizer: Json;
  /** Whether a word that is a token is taken whole, without merging. */
  readonly wholeWordsFirst: boolean;
  /** Whether texts begin with the begin mark where the file does not say. */
  readonly beginsTexts: boolean;
}

const llama3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Llama 3's, with digits one by one. */
const qwen2 = llama3.replace("\\p{N}{1,3}", "\\p{N}");

const tekken =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const bytes = (use_regex: boolean): Json => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
});

const sequence = (...pretokenizers: Json[]): Json => ({ type: "Sequence", pretokenizers });

const splitBy = (Regex: string): Json =>
  sequence({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false }, bytes(false));

const plain = { normalizer: null, wholeWordsFirst: false, beginsTexts: false };
const gpt2: Splitter = { ...plain, preTokenizer: bytes(true) };
const likeLlama3: Splitter = {
  ...plain,
  preTokenizer: splitBy(llama3),
  wholeWordsFirst: true,
  beginsTexts: true,
};

/** By `tokenizer.ggml.pre`: those that models of the supported architectures use. */
const splitters: Readonly<Record<string, Splitter>> = {
  default: gpt2,
  "gpt-2": gpt2,
  "phi-2": gpt2,
  mpt: gpt2,
  olmo: gpt2,
  smollm: { ...plain, preTokenizer: sequence({ type: "Digits", individual_digits: true }, bytes(true)) },
  llama3: likeLlama3,
  "llama-v3": likeLlama3,
  "llama-bpe": likeLlama3,
  falcon3: likeLlama3,
  pixtral: likeLlama3,
  "smaug-bpe": likeLlama3,
  tekken: { ...plain, preTokenizer: splitBy(tekken), wholeWordsFirst: true },
  // Qwen's own tokenizer composes characters first; the file does not say so, and transformers' GGUF reader
  // leaves it out. It only shows on decomposed text.
  qwen2: { ...plain, preTokenizer: splitBy(qwen2), normalizer: { type: "NFC" } },
  "deepseek-r1-qwen": { ...plain, preTokenizer: splitBy(qwen2) },
};

/**
 * The splitter that a file names; without a name, GPT-2's.
 * @throws ModalscopeError for a name that is not known: with another one, texts would be cut wrongly unseen
 */
export function splitterFor(name: string | undefined, path: string): Splitter {
  const known = name ?? "default";
  if (Object.hasOwn(splitters, known)) return splitters[known];
  throw new ModalscopeError(
    `${path} cuts words as "${known}" (tokenizer.ggml.pre),`,
    `and supported are ${Object.keys(splitters).join(", ")}.`,
    didYouMean(known, Object.keys(splitters)) || "Use the Hugging Face folder of this model.",
  );
}
