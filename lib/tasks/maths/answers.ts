import type { Language } from "./wordings.js";

/** Language of a generated text; `none` when it has no letters at all. */
export type TextLanguage = Language | "mixed" | "none";

/** Up to this share of Chinese characters a text counts as English. */
export const ENGLISH_AT_MOST = 0.1;
/** From this share on it counts as Chinese; between the two it is mixed. */
export const CHINESE_AT_LEAST = 0.6;

/**
 * The share of Chinese characters among a text's letters (Chinese characters and Latin letters; digits, signs
 * and LaTeX commands count as neither). NaN when it has no letters.
 */
export function cjkShare(text: string): number {
  const letters = text.replace(/\\[A-Za-z]+/g, "");
  const chinese = letters.match(/\p{Script=Han}/gu)?.length ?? 0;
  const latin = letters.match(/\p{Script=Latin}/gu)?.length ?? 0;
  return chinese / (chinese + latin);
}

/** The language of a text by its share of Chinese characters. */
export function languageOf(text: string): TextLanguage {
  const share = cjkShare(text);
  if (Number.isNaN(share)) return "none";
  if (share <= ENGLISH_AT_MOST) return "en";
  return share >= CHINESE_AT_LEAST ? "zh" : "mixed";
}

/**
 * The number that a text gives as its answer, `undefined` when it gives none. In this order: the last
 * `\boxed{…}`; what follows the last "answer is", "答案是" and their like; the last sentence with a number. Within
 * a sentence the number after the last "=" counts, else the first one after the marker, or the last one where
 * there is no marker. Reads full-width digits, thousands separators, decimals, signs and simple fractions;
 * Chinese numerals only straight after a word such as 是 or 等于, as 一 alone is most often no number.
 */
export function extractAnswer(text: string): number | undefined {
  const plain = normalise(text);
  const boxed = [...plain.matchAll(/\\boxed\s*\{([^{}]*)\}/g)].at(-1);
  if (boxed) {
    const number = numberIn(boxed[1], "last");
    if (number !== undefined) return number;
  }
  const marker = [...plain.matchAll(ANSWER_MARKER)].at(-1);
  if (marker) {
    const number = numberIn(sentences(plain.slice(marker.index + marker[0].length))[0] ?? "", "first");
    if (number !== undefined) return number;
  }
  for (const sentence of sentences(plain).reverse()) {
    const number = numberIn(sentence, "last");
    if (number !== undefined) return number;
  }
  return chineseAnswer(plain);
}

/** Grade of a generated text, against the known answer. */
export interface Grading {
  readonly text: string;
  /** The number it gives, if any. */
  readonly answer: number | undefined;
  readonly correct: boolean;
  readonly language: TextLanguage;
}

/** Grades a generated text against an integer answer. */
export function grade(text: string, answer: number): Grading {
  const given = extractAnswer(text);
  return {
    text,
    answer: given,
    correct: given !== undefined && Math.abs(given - answer) < 1e-9,
    language: languageOf(text),
  };
}

const ANSWER_MARKER =
  /\b(?:answer|result)\b(?:\s+is|\s+was|\s*[:=])|答案(?:应该)?(?:是|为|[:=])?|结果(?:是|为|[:=])/gi;

/** A number, its sign and thousands included, that is no exponent and no part of a name such as `x2`. */
const NUMBER = /(?<![A-Za-z0-9_^.])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s*\/\s*\d+(?!\d|\.\d))?/g;

/** Full-width forms to ASCII, the several minus signs to one, LaTeX fractions and spacing to plain text. */
function normalise(text: string): string {
  return text
    .replace(/[\uff05\uff0b\uff0d-\uff1a\uff1d]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0))
    .replace(/[−–—]/g, "-")
    .replace(/\\d?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, "$1/$2")
    .replace(/\{,\}/g, ",");
}

/** Split at sentence ends; a point inside a number is none. */
function sentences(text: string): string[] {
  return text.split(/[。!?\uff01\uff1f\n]|\.(?!\d)/).filter((sentence) => sentence.trim() !== "");
}

function numberIn(sentence: string, which: "first" | "last"): number | undefined {
  const afterEquals = sentence.slice(sentence.lastIndexOf("=") + 1);
  if (afterEquals !== sentence) {
    const number = numbersOf(afterEquals)[0];
    if (number !== undefined) return number;
  }
  return numbersOf(sentence).at(which === "first" ? 0 : -1);
}

function numbersOf(text: string): number[] {
  return [...text.matchAll(NUMBER)].map((match) => {
    const before = text.slice(0, match.index);
    // A minus is a sign unless it stands between two values: "10 - 5" against "is -5".
    const negative = /(?:^|[^\d)\]}A-Za-z\s])\s*-\s?$|[A-Za-z]\s+-$|^\s*-\s?$|负\s*$/.test(before);
    const [numerator, denominator] = match[0].replace(/[,\s]/g, "").split("/").map(Number);
    const value = denominator ? numerator / denominator : numerator;
    return negative ? -value : value;
  });
}

const CHINESE_DIGITS = "零一二三四五六七八九";

function chineseAnswer(text: string): number | undefined {
  const match = [
    ...text.matchAll(/(?:答案|等于|结果|得到|是|为|有|剩|得):?(负?)([零一二两三四五六七八九十百千]+)/g),
  ].at(-1);
  if (!match) return undefined;
  const value = chineseNumber(match[2]);
  return match[1] ? -value : value;
}

/** 一百零五 → 105, 十二 → 12; below ten thousand. */
function chineseNumber(numeral: string): number {
  let total = 0;
  let digit: number | undefined;
  for (const character of numeral) {
    const unit = { 十: 10, 百: 100, 千: 1000 }[character];
    if (unit === undefined) {
      digit = character === "两" ? 2 : CHINESE_DIGITS.indexOf(character);
    } else {
      total += (digit ?? 1) * unit;
      digit = undefined;
    }
  }
  return total + (digit ?? 0);
}
