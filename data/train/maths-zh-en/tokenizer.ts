import { ModalscopeError } from "../../../lib/errors.js";

/** The three files of a tokenizer as Hugging Face saves them, ready for JSON. */
export interface TokenizerFiles {
  readonly tokenizer: Record<string, unknown>;
  readonly tokenizerConfig: Record<string, unknown>;
  readonly vocabularySize: number;
  readonly ids: Readonly<Record<SpecialToken, number>>;
}

export const SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const;
export type SpecialToken = (typeof SPECIAL_TOKENS)[number];

/** The layout of Qwen2's own chat template, without its default system prompt. */
export const CHAT_TEMPLATE: string =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/**
 * What a piece is before any merge: a number of at most two digits, a word with the space before it, a run of
 * Chinese characters, one sign, one blank. A space before a number stays a piece of its own, as in Qwen2, so that a number is
 * the same token in both languages.
 */
const PIECE = "[0-9]{1,2}| ?[A-Za-z]+|[\\u4e00-\\u9fff]+| ?[^\\sA-Za-z0-9\\u4e00-\\u9fff]|\\s";

/** Chinese words of our wordings are two characters long or one; a longer token would swallow whole phrases. */
const LONGEST_CHINESE_TOKEN = 2;

/**
 * Trains a byte-level BPE tokenizer on a corpus: first every number below 100 and every character becomes one
 * token, then the most frequent pairs merge until every word of the corpus is a token.
 * @throws ModalscopeError on an empty corpus.
 */
export function trainTokenizer(corpus: Iterable<string>): TokenizerFiles {
  const pieces = countPieces(corpus);
  if (pieces.size === 0) {
    throw new ModalscopeError("The corpus has no text.", "", "Give at least one non-empty line.");
  }
  const merges = new Merges();
  for (let n = 10; n < 100; n++) merges.add(String(n)[0], String(n)[1]);
  for (const character of new Set([...pieces.keys()].join(""))) merges.join([...toByteSymbols(character)]);
  mergeByFrequency(merges, pieces);

  const vocabulary = [...new Set([...byteSymbols().values(), ...merges.results()])];
  const ids = Object.fromEntries(SPECIAL_TOKENS.map((token, i) => [token, vocabulary.length + i])) as Record<
    SpecialToken,
    number
  >;
  return {
    tokenizer: tokenizerJson(vocabulary, merges.list, ids),
    tokenizerConfig: {
      tokenizer_class: "PreTrainedTokenizerFast",
      eos_token: "<|endoftext|>",
      pad_token: "<|endoftext|>",
      bos_token: null,
      unk_token: null,
      add_bos_token: false,
      clean_up_tokenization_spaces: false,
      model_max_length: 128,
      chat_template: CHAT_TEMPLATE,
    },
    vocabularySize: vocabulary.length + SPECIAL_TOKENS.length,
    ids,
  };
}

/** Merge rules in their order, each once. */
class Merges {
  readonly list: [string, string][] = [];
  private readonly known = new Set<string>();

  add(left: string, right: string): void {
    const rule = `${left} ${right}`;
    if (this.known.has(rule)) return;
    this.known.add(rule);
    this.list.push([left, right]);
  }

  /** Merges symbols from the left into one. */
  join(symbols: readonly string[]): void {
    symbols.reduce((left, right) => {
      this.add(left, right);
      return left + right;
    });
  }

  results(): string[] {
    return this.list.map(([left, right]) => left + right);
  }
}

function countPieces(corpus: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of corpus) {
    for (const [piece] of line.matchAll(new RegExp(PIECE, "gu")))
      counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
  return counts;
}

/** Ordinary BPE from characters up; of equal counts the one met first wins. */
function mergeByFrequency(merges: Merges, pieces: ReadonlyMap<string, number>): void {
  const words = [...pieces]
    .filter(([piece]) => !/^[0-9]+$/.test(piece))
    .map(([piece, count]) => ({ parts: [...piece], count }));
  for (;;) {
    const counts = new Map<string, number>();
    for (const { parts, count } of words) {
      for (let i = 0; i + 1 < parts.length; i++) {
        if (!allowed(parts[i] + parts[i + 1])) continue;
        const pair = `${parts[i]}\n${parts[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + count);
      }
    }
    let best: string | undefined;
    for (const [pair, count] of counts) if (best === undefined || count > counts.get(best)!) best = pair;
    if (best === undefined) return;
    const [left, right] = best.split("\n");
    merges.add(toByteSymbols(left), toByteSymbols(right));
    for (const { parts } of words) {
      for (let i = 0; i + 1 < parts.length; i++) {
        if (parts[i] === left && parts[i + 1] === right) parts.splice(i, 2, left + right);
      }
    }
  }
}

function allowed(merged: string): boolean {
  return !/[\u4e00-\u9fff]/.test(merged) || [...merged].length <= LONGEST_CHINESE_TOKEN;
}

/** GPT-2's printable stand-in for each byte: itself where printable, else the next free one from U+0100. */
function byteSymbols(): Map<number, string> {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  const symbols = new Map<number, string>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    symbols.set(byte, String.fromCodePoint(printable(byte) ? byte : next++));
  }
  return symbols;
}

const BYTE_SYMBOLS = byteSymbols();

function toByteSymbols(text: string): string {
  return [...new TextEncoder().encode(text)].map((byte) => BYTE_SYMBOLS.get(byte)!).join("");
}

function tokenizerJson(
  vocabulary: readonly string[],
  merges: readonly [string, string][],
  specials: Readonly<Record<string, number>>,
): Record<string, unknown> {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: Object.entries(specials).map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: PIECE }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges: merges.map(([left, right]) => [left, right]),
    },
  };
}
