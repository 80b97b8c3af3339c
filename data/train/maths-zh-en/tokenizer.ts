import { ModalscopeError } from "../../../lib/errors.js";
import type { TokenizerFiles } from "../common/words.js";

const SPECIAL_TOKENS: readonly string[] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/** The layout of Qwen2's own chat template, without its default system prompt. */
const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/**
 * Rule that cuts text before any merge: Qwen2's own, because Python's AutoTokenizer puts it in place of
 * whatever a checkpoint of type "qwen2" says. It cuts numbers into digits, so those of two digits are added
 * tokens, which are found before it applies.
 */
const QWEN2_CUT =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Text that may become one token in training: a word with the space before it, or part of a Chinese run. */
const WORD = / ?[A-Za-z]+|[\u4e00-\u9fff]+| ?[^\sA-Za-z0-9\u4e00-\u9fff]|\s/gu;

/** Two-digit numbers: one token each, the same in both languages. */
const NUMBERS: readonly string[] = Array.from({ length: 90 }, (_, i) => String(i + 10));

/** Chinese words of our wordings are two characters long or one; a longer token would swallow whole phrases. */
const LONGEST_CHINESE_TOKEN = 2;

/**
 * Trains a byte-level BPE tokenizer on a corpus: numbers below 100 are tokens from the start and so is every
 * character; then the most frequent pairs merge until every word of the corpus is a token.
 * @throws ModalscopeError on an empty corpus.
 */
export function trainTokenizer(corpus: Iterable<string>): TokenizerFiles {
  const words = countWords(corpus);
  if (words.size === 0) {
    throw new ModalscopeError("The corpus has no text.", "", "Give at least one non-empty line.");
  }
  const merges = new Merges();
  for (const character of new Set([...words.keys()].join(""))) merges.join([...toByteSymbols(character)]);
  mergeByFrequency(merges, words);

  const vocabulary = [...new Set([...BYTE_SYMBOLS.values(), ...NUMBERS, ...merges.results()])];
  const ids = new Map([...vocabulary, ...SPECIAL_TOKENS].map((token, i) => [token, i]));
  const id = (token: string): number => {
    const known = ids.get(token);
    if (known === undefined) throw new TypeError(`The tokenizer has no token "${token}".`);
    return known;
  };
  return {
    tokenizer: tokenizerJson(vocabulary, merges.list, id),
    tokenizerConfig: {
      tokenizer_class: "Qwen2Tokenizer",
      eos_token: "<|endoftext|>",
      pad_token: "<|endoftext|>",
      bos_token: null,
      unk_token: null,
      add_bos_token: false,
      clean_up_tokenization_spaces: false,
      model_max_length: 128,
    },
    template: CHAT_TEMPLATE,
    vocabularySize: ids.size,
    id,
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

function countWords(corpus: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of corpus) {
    for (const [word] of line.matchAll(WORD)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/** Ordinary BPE from characters up; of equal counts the one met first wins. */
function mergeByFrequency(merges: Merges, counted: ReadonlyMap<string, number>): void {
  const words = [...counted].map(([word, count]) => ({ parts: [...word], count }));
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
  id: (token: string) => number,
): Record<string, unknown> {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      ...NUMBERS.map((number) => addedToken(number, id(number), false)),
      ...SPECIAL_TOKENS.map((token) => addedToken(token, id(token), true)),
    ],
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: QWEN2_CUT }, behavior: "Isolated", invert: false },
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

function addedToken(content: string, id: number, special: boolean): Record<string, unknown> {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}
