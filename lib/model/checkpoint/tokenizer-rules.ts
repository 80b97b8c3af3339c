/**
 * Parts of tokenizer.json whose implementation in JavaScript differs from the one in Rust, by parts of which both do the same:
 * rules that cut a text are regular expressions, which are translated with Rust's classes of letters and spaces.
 */
import { isObject } from "./files.js";

type Json = Readonly<Record<string, unknown>>;

/** In a class: ASCII's punctuation and symbols, and Unicode's punctuation. */
const PUNCTUATION = "\\p{P}!-/:-@\\[-`{-~";

/** In a class: what this rule takes for letters of words, joiners among them. */
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\u200c\u200d";

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\\-&~#/]/g, "\\$&");

/** Cuts out what a regular expression finds; between it, the rest stands. */
const isolated = (Regex: string): Json => ({
  type: "Split",
  pattern: { Regex },
  behavior: "Isolated",
  invert: false,
});

/** Keeps what a regular expression finds, and nothing else. */
const kept = (Regex: string): Json => ({
  type: "Split",
  pattern: { Regex },
  behavior: "Removed",
  invert: true,
});

const removed = (Regex: string): Json => ({ ...kept(Regex), invert: false });

const inOrder = (...pretokenizers: readonly unknown[]): Json => ({ type: "Sequence", pretokenizers });

/**
 * A pre-tokenizer by what both libraries read alike.
 * @throws Error for a split of a kind that is not supported
 */
export function splitRule(rule: unknown): unknown {
  if (!isObject(rule)) return rule ?? null;
  switch (rule.type) {
    case "Sequence":
      return {
        ...rule,
        pretokenizers: Array.isArray(rule.pretokenizers) ? rule.pretokenizers.map(splitRule) : [],
      };
    case "Whitespace":
      return kept(`[${WORD}]+|[^${WORD}\\s]+`);
    case "WhitespaceSplit":
      return kept("\\S+");
    case "BertPreTokenizer":
      return kept(`[${PUNCTUATION}]|[^\\s${PUNCTUATION}]+`);
    case "Punctuation":
      return split(`[${PUNCTUATION}]`, rule.behavior ?? "Isolated", false);
    case "Digits":
      return isolated(rule.individual_digits === true ? "\\p{N}" : "\\p{N}+");
    case "CharDelimiterSplit":
      return removed(escaped(String(rule.delimiter)));
    case "FixedLength":
      return isolated(`[\\s\\S]{1,${Number(rule.length)}}`);
    case "ByteLevel":
      // The space before a text comes before it is cut.
      if (rule.use_regex === false || rule.add_prefix_space === true) return rule;
      return inOrder(isolated(GPT2), { ...rule, use_regex: false });
    case "Metaspace":
      if (rule.split === false) return rule;
      return inOrder(rule, isolated(`${escaped(spaceOf(rule))}[^${escaped(spaceOf(rule))}]*`));
    case "Split":
      return split(patternOf(rule.pattern), rule.behavior, rule.invert === true);
    default:
      return rule;
  }
}

const spaceOf = ({ replacement }: Json): string => (typeof replacement === "string" ? replacement : "▁");

function patternOf(pattern: unknown): string {
  if (isObject(pattern) && typeof pattern.Regex === "string") return pattern.Regex;
  if (isObject(pattern) && typeof pattern.String === "string") return escaped(pattern.String);
  throw new Error(`its pre-tokenizer splits by ${JSON.stringify(pattern)}, which is no pattern`);
}

function split(regex: string, behavior: unknown, invert: boolean): Json {
  // Inverted, what is found and what lies between change places: where both are kept, that is the same.
  if (behavior === "Isolated" || (behavior === "Contiguous" && invert)) return isolated(regex);
  if (behavior === "Removed") return invert ? kept(regex) : removed(regex);
  if (behavior === "Contiguous") return isolated(`(?:${regex})+`);
  const other = `(?:(?!${regex})[\\s\\S])*`;
  if (behavior === "MergedWithNext" && !invert) return isolated(`(?:${regex})${other}`);
  if (behavior === "MergedWithPrevious" && !invert) return isolated(`${other}(?:${regex})`);
  throw new Error(
    `its pre-tokenizer splits with the behaviour ${JSON.stringify(behavior)}${invert ? ", inverted" : ""}, which is not supported`,
  );
}

/** A normalizer: letters are lowered one by one, whatever stands beside them, and `$` in a replacement is a letter. */
export function normalizerRule(rule: unknown): unknown {
  if (!isObject(rule)) return rule ?? null;
  if (rule.type === "Sequence" && Array.isArray(rule.normalizers))
    return { ...rule, normalizers: rule.normalizers.map(normalizerRule) };
  // JavaScript writes a sigma at a word's end otherwise.
  const sigma = { type: "Replace", pattern: { String: "Σ" }, content: "σ" };
  if (rule.type === "Lowercase" || (rule.type === "BertNormalizer" && rule.lowercase !== false))
    return { type: "Sequence", normalizers: [sigma, rule] };
  return literal(rule);
}

export function decoderRule(rule: unknown): unknown {
  if (!isObject(rule)) return rule ?? null;
  if (rule.type === "Sequence" && Array.isArray(rule.decoders))
    return { ...rule, decoders: rule.decoders.map(decoderRule) };
  return literal(rule);
}

function literal(rule: Json): Json {
  const { type, content } = rule;
  return type === "Replace" && typeof content === "string"
    ? { ...rule, content: content.replaceAll("$", "$$$$") }
    : rule;
}
