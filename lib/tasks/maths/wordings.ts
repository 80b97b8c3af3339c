import type { Random } from "../../random.js";

/** The ten kinds of problem, the same in the natural and in the synthetic set. */
export const MATHS_CATEGORIES = [
  "addition",
  "subtraction",
  "multiplication",
  "division",
  "word problem",
  "fraction",
  "algebra",
  "geometry",
  "sequence",
  "comparison",
] as const;

/** Kind of a word problem. */
export type MathsCategory = (typeof MATHS_CATEGORIES)[number];

/** The two languages of the study, by their ISO 639-1 codes. */
export type Language = "en" | "zh";

/** The same problem and its answering sentence in one language; `{a}` … are operands, `{n}` is the answer. */
export interface Wording {
  readonly question: string;
  readonly sentence: string;
}

/**
 * A family of problems that share their arithmetic. Its wordings are paired: the English and the Chinese one of
 * an index say the same thing.
 */
export interface ProblemKind {
  readonly category: MathsCategory;
  /** Names the arithmetic; part of what the train/held-out split is keyed on. */
  readonly name: string;
  /** The bare arithmetic up to its answer, in no language: what a drill shows. */
  readonly fact: string;
  /** True when the first two operands may change places without making it another problem. */
  readonly commutes?: boolean;
  readonly draw: (random: Random) => number[];
  /**
   * Operands from a wider range, which training uses: with more problems than can be remembered one by one, the
   * arithmetic itself is learnt, and holds for the operands that are held out. As `draw` where left out.
   */
  readonly drawWide?: (random: Random) => number[];
  /** The answer as arithmetic that a script can check. */
  readonly expression: string;
  readonly answer: (operands: readonly number[]) => number;
  readonly wordings: readonly Readonly<Record<Language, Wording>>[];
}

/** Inclusive on both ends. */
const between = (random: Random, low: number, high: number): number => low + random.int(high - low + 1);

const pair =
  (low: number, high: number) =>
  (random: Random): number[] => [between(random, low, high), between(random, low, high)];

const wording = (
  enQuestion: string,
  zhQuestion: string,
  enSentence = "The answer is {n}.",
  zhSentence = "答案是{n}。",
): Record<Language, Wording> => ({
  en: { question: enQuestion, sentence: enSentence },
  zh: { question: zhQuestion, sentence: zhSentence },
});

/** People and things of word problems; one index is one meaning in both languages. */
export const PEOPLE: readonly Readonly<Record<Language, string>>[] = [
  { en: "Tom", zh: "小明" },
  { en: "Amy", zh: "小红" },
  { en: "Ben", zh: "小刚" },
  { en: "Lily", zh: "小丽" },
];

/** Things that are counted, with the Chinese measure word in front. */
export const THINGS: readonly Readonly<Record<Language, string>>[] = [
  { en: "apples", zh: "个苹果" },
  { en: "books", zh: "本书" },
  { en: "pens", zh: "支笔" },
  { en: "flowers", zh: "朵花" },
];

export const PROBLEM_KINDS: readonly ProblemKind[] = [
  {
    category: "addition",
    name: "a+b",
    fact: "{a}+{b}=",
    commutes: true,
    draw: pair(1, 20),
    drawWide: pair(1, 40),
    expression: "{a}+{b}",
    answer: ([a, b]) => a + b,
    wordings: [
      wording("What is {a}+{b}?", "{a}+{b}等于多少？"),
      wording("What is {a} plus {b}?", "{a}加{b}等于几？"),
      wording("Find the sum of {a} and {b}.", "求{a}与{b}的和。", "The sum is {n}.", "和是{n}。"),
    ],
  },
  {
    category: "subtraction",
    name: "a-b",
    fact: "{a}-{b}=",
    draw: (random) => {
      const b = between(random, 1, 20);
      return [b + between(random, 1, 20), b];
    },
    drawWide: (random) => {
      const b = between(random, 1, 40);
      return [b + between(random, 1, 40), b];
    },
    expression: "{a}-{b}",
    answer: ([a, b]) => a - b,
    wordings: [
      wording("What is {a}-{b}?", "{a}-{b}等于多少？"),
      wording("What is {a} minus {b}?", "{a}减{b}等于几？"),
      wording(
        "Take {b} away from {a}. What is left?",
        "从{a}里减去{b}，还剩多少？",
        "{n} is left.",
        "还剩{n}。",
      ),
    ],
  },
  {
    category: "multiplication",
    name: "a*b",
    fact: "{a}×{b}=",
    commutes: true,
    draw: pair(2, 9),
    drawWide: (random) => [between(random, 2, 12), between(random, 2, 8)],
    expression: "{a}*{b}",
    answer: ([a, b]) => a * b,
    wordings: [
      wording("What is {a}×{b}?", "{a}×{b}等于多少？"),
      wording("What is {a} times {b}?", "{a}乘{b}等于几？"),
      wording("Find the product of {a} and {b}.", "求{a}与{b}的积。", "The product is {n}.", "积是{n}。"),
    ],
  },
  {
    category: "division",
    name: "a/b",
    fact: "{a}÷{b}=",
    draw: (random) => {
      const b = between(random, 2, 9);
      return [b * between(random, 2, 9), b];
    },
    drawWide: (random) => {
      const b = between(random, 2, 9);
      return [b * between(random, 2, 11), b];
    },
    expression: "{a}/{b}",
    answer: ([a, b]) => a / b,
    wordings: [
      wording("What is {a}÷{b}?", "{a}÷{b}等于多少？"),
      wording("What is {a} divided by {b}?", "{a}除以{b}等于几？"),
      wording(
        "Share {a} sweets among {b} children. How many does each get?",
        "把{a}颗糖分给{b}个孩子，每人几颗？",
        "Each gets {n}.",
        "每人{n}颗。",
      ),
    ],
  },
  {
    category: "word problem",
    name: "a+b-c",
    fact: "{a}+{b}-{c}=",
    draw: (random) => [between(random, 5, 15), between(random, 2, 9), between(random, 2, 6)],
    drawWide: (random) => [between(random, 5, 40), between(random, 2, 20), between(random, 1, 6)],
    expression: "{a}+{b}-{c}",
    answer: ([a, b, c]) => a + b - c,
    wordings: [
      wording(
        "{who} has {a} {what}, buys {b} and gives away {c}. How many are left?",
        "{who}有{a}{what}，买了{b}，送出{c}。还剩多少？",
        "{who} has {n} {what}.",
        "{who}有{n}{what}。",
      ),
      wording(
        "There are {a} {what}. {who} adds {b} and takes {c}. How many now?",
        "原有{a}{what}。{who}放入{b}，拿走{c}。现在有多少？",
        "Now there are {n} {what}.",
        "现在有{n}{what}。",
      ),
    ],
  },
  {
    category: "fraction",
    name: "a/b of",
    fact: "1/{b}×{a}=",
    draw: (random) => {
      const b = between(random, 2, 5);
      return [b * between(random, 2, 10), b];
    },
    drawWide: (random) => {
      const b = between(random, 2, 7);
      return [b * between(random, 2, 14), b];
    },
    expression: "{a}/{b}",
    answer: ([a, b]) => a / b,
    wordings: [
      wording("What is 1/{b} of {a}?", "{a}的1/{b}是多少？"),
      wording(
        "{who} takes 1/{b} of {a} {what}. How many is that?",
        "{who}拿走{a}{what}的1/{b}，拿走多少？",
        "That is {n} {what}.",
        "拿走{n}{what}。",
      ),
    ],
  },
  {
    category: "algebra",
    name: "x+a=b",
    fact: "x+{a}={b},x=",
    draw: (random) => {
      const a = between(random, 2, 20);
      return [a, a + between(random, 1, 20)];
    },
    drawWide: (random) => {
      const a = between(random, 2, 40);
      return [a, a + between(random, 1, 40)];
    },
    expression: "{b}-{a}",
    answer: ([a, b]) => b - a,
    wordings: [wording("If x+{a}={b}, what is x?", "若x+{a}={b}，x是多少？", "So x is {n}.", "所以x是{n}。")],
  },
  {
    category: "algebra",
    name: "ax=b",
    fact: "{a}×x={b},x=",
    draw: (random) => {
      const a = between(random, 2, 9);
      return [a, a * between(random, 2, 9)];
    },
    drawWide: (random) => {
      const a = between(random, 2, 9);
      return [a, a * between(random, 2, 11)];
    },
    expression: "{b}/{a}",
    answer: ([a, b]) => b / a,
    wordings: [wording("Solve {a}×x={b}.", "解方程{a}×x={b}。", "So x is {n}.", "所以x是{n}。")],
  },
  {
    category: "geometry",
    name: "area",
    fact: "area({a},{b})=",
    commutes: true,
    draw: pair(2, 9),
    drawWide: (random) => [between(random, 2, 12), between(random, 2, 8)],
    expression: "{a}*{b}",
    answer: ([a, b]) => a * b,
    wordings: [
      wording(
        "A rectangle is {a} long and {b} wide. What is its area?",
        "长方形长{a}，宽{b}。面积是多少？",
        "The area is {n}.",
        "面积是{n}。",
      ),
    ],
  },
  {
    category: "geometry",
    name: "perimeter",
    fact: "2×({a}+{b})=",
    commutes: true,
    draw: pair(2, 9),
    drawWide: pair(2, 24),
    expression: "2*({a}+{b})",
    answer: ([a, b]) => 2 * (a + b),
    wordings: [
      wording(
        "A rectangle is {a} long and {b} wide. What is its perimeter?",
        "长方形长{a}，宽{b}。周长是多少？",
        "The perimeter is {n}.",
        "周长是{n}。",
      ),
    ],
  },
  {
    category: "sequence",
    name: "a,a+d,…",
    fact: "{a},{a+d},{a+2d},",
    draw: (random) => [between(random, 1, 20), between(random, 1, 6)],
    drawWide: (random) => [between(random, 1, 40), between(random, 1, 15)],
    expression: "{a}+3*{b}",
    answer: ([a, d]) => a + 3 * d,
    wordings: [
      wording(
        "What is next: {a}, {a+d}, {a+2d}?",
        "{a}，{a+d}，{a+2d}，下一个数是几？",
        "Next is {n}.",
        "下一个是{n}。",
      ),
      wording(
        "Find x: {a}, {a+d}, {a+2d}, x.",
        "数列{a}、{a+d}、{a+2d}、x中，x是多少？",
        "So x is {n}.",
        "所以x是{n}。",
      ),
    ],
  },
  {
    category: "comparison",
    name: "largest",
    fact: "max({a},{b},{c})=",
    draw: (random) => threeDifferent(random),
    expression: "max({a},{b},{c})",
    answer: (operands) => Math.max(...operands),
    wordings: [
      wording(
        "Which is largest: {a}, {b} or {c}?",
        "{a}、{b}、{c}中哪个最大？",
        "{n} is largest.",
        "最大的是{n}。",
      ),
    ],
  },
  {
    category: "comparison",
    name: "smallest",
    fact: "min({a},{b},{c})=",
    draw: (random) => threeDifferent(random),
    expression: "min({a},{b},{c})",
    answer: (operands) => Math.min(...operands),
    wordings: [
      wording(
        "Which is smallest: {a}, {b} or {c}?",
        "{a}、{b}、{c}中哪个最小？",
        "{n} is smallest.",
        "最小的是{n}。",
      ),
    ],
  },
];

function threeDifferent(random: Random): number[] {
  const out = new Set<number>();
  while (out.size < 3) out.add(between(random, 1, 40));
  return [...out];
}
