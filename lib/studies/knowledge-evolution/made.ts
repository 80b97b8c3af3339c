/**
 * Measurements made by hand, without a model: curves, states and captions as the document describes them, and the same the
 * other way round. The evidence's rules must tell them apart.
 */
import { type Candidate, type Matrix, mutations } from "../../analysis/index.js";
import { type Random, seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import type { AnswerGroup, EvolutionData, SkippedCaptions } from "./data.js";
import type { TokenKind } from "./mentions.js";
import type { EvolutionRules } from "./rules.js";

export type MadeKind = "likeDocument" | "opposite";

const CAPTIONS = 120;
const BLOCKS = 16;
const WIDTH = 24;
/** The tokens of one caption. */
const KINDS: readonly TokenKind[] = [
  ...Array<TokenKind>(5).fill("easy"),
  ...Array<TokenKind>(2).fill("content"),
  ...Array<TokenKind>(2).fill("true"),
  "hallucinated",
];
/** The block that mutates, and the one from which the third stage goes on. */
const MUTATES = 14;
const THIRD = 13;

/** Measurements as `observe` would give them, with a little noise of the seed. */
export function madeEvolution(kind: MadeKind, rules: EvolutionRules, seed = 0): EvolutionData {
  const random = seeded(seed);
  const as = kind === "likeDocument";
  const critical = Math.round(rules.critical * BLOCKS) - 1;
  const kinds = Array.from({ length: CAPTIONS }, () => KINDS).flat();
  const mutates = kinds.map((own) => random.uniform() < MUTATING[kind][own]);
  const change = changes(as, critical, mutates, random);
  const settings = { critical, prominence: rules.prominence, seed };
  const flat = matrix(BLOCKS, kinds.length, () => 0.1 * wobble(random));
  const language = as
    ? matrix(BLOCKS, kinds.length, () => 0.03 * wobble(random))
    : changes(
        true,
        critical,
        kinds.map(() => true),
        random,
      );
  const curves = kinds.map((own, t) => candidatesOf(as, own, t % 3 === 0));
  return {
    blocks: BLOCKS,
    critical,
    texts: Array.from({ length: CAPTIONS }, (_, c) => `made caption ${c}`),
    tokens: {
      pieces: kinds.map((own) => ` ${own}`),
      caption: kinds.map((_, t) => Math.floor(t / KINDS.length)),
      kind: kinds,
      mention: kinds.map((own, token) =>
        own === "true" || own === "hallucinated"
          ? { token, aspect: "object" as const, wrong: own === "hallucinated", rivals: ["other"] }
          : undefined,
      ),
      rivals: kinds.map((own) => (own === "true" || own === "hallucinated" ? 1 : 0)),
    },
    exit: {
      tokens: new Int32Array(kinds.length),
      probability: matrix(BLOCKS + 1, kinds.length, (s, t) => curves[t][0].probability[s]),
      rank: matrix(BLOCKS + 1, kinds.length, (s, t) => (s > settles(as, kinds[t]) ? 1 : 2)),
      entropy: matrix(BLOCKS + 1, kinds.length, () => 1),
      change,
      candidates: curves,
      distance: {
        "text alone": matrix(BLOCKS + 1, kinds.length, (s, t) =>
          mutates[t] && s > MUTATES === as ? 0.1 : 0.7,
        ),
        "another image": matrix(BLOCKS + 1, kinds.length, () => 0.7),
      },
    },
    mutations: mutations(change, settings),
    states: paths(as, kinds.length, random),
    twin: { change: flat, states: paths(!as, kinds.length, random) },
    language: { change: language, mutations: mutations(language, settings) },
    wrong: Array.from({ length: CAPTIONS }, () => 0.3 * wobble(random)),
    skips: ["skip.1", "skip.2", "skip.3"].map((name) => ({
      own: skippedAs(name, SKIPPED[kind][name], random),
      control: skippedAs(`${name} control`, { overlap: 0.6, wrong: 0.35 }, random),
    })),
    answers: [answersOf(as, random)],
    gate: [
      {
        kind: "objects",
        correct: Array<boolean>(CAPTIONS).fill(true),
        blind: Array<boolean>(CAPTIONS).fill(false),
      },
    ],
  };
}

/** Share of each kind of token that mutates. */
const MUTATING: Readonly<Record<MadeKind, Readonly<Record<TokenKind, number>>>> = {
  likeDocument: { easy: 0, content: 0.2, true: 0.3, hallucinated: 0.95 },
  opposite: { easy: 0.95, content: 0.2, true: 0.3, hallucinated: 0.02 },
};

const SKIPPED: Readonly<Record<MadeKind, Readonly<Record<string, { overlap: number; wrong: number }>>>> = {
  likeDocument: {
    "skip.1": { overlap: 0.95, wrong: 0.3 },
    "skip.2": { overlap: 0.92, wrong: 0.05 },
    "skip.3": { overlap: 0.6, wrong: 0.6 },
  },
  opposite: {
    "skip.1": { overlap: 0.3, wrong: 0.7 },
    "skip.2": { overlap: 0.3, wrong: 0.7 },
    "skip.3": { overlap: 0.6, wrong: 0.1 },
  },
};

/** Within 10% of 1. */
const wobble = (random: Random): number => 0.9 + 0.2 * random.uniform();

function matrix(rows: number, columns: number, value: (row: number, column: number) => number): Matrix {
  const data = Float64Array.from({ length: rows * columns }, (_, i) =>
    value(Math.floor(i / columns), i % columns),
  );
  return { data, shape: [rows, columns] };
}

/** Rapid, stable, mutating; or slow at first and rapid behind the critical block. */
function changes(as: boolean, critical: number, mutates: readonly boolean[], random: Random): Matrix {
  return matrix(BLOCKS, mutates.length, (b, t) => {
    if (b === MUTATES && mutates[t]) return 0.6 * wobble(random);
    if (!as) return (b <= critical ? 0.03 : 0.2) * wobble(random);
    return (b <= critical ? 0.3 : b < THIRD ? 0.03 : 0.1) * wobble(random);
  });
}

/** The block from which the token leads. */
function settles(as: boolean, kind: TokenKind): number {
  return (kind === "easy") === as ? 9 : 14;
}

/** The generated token, its rival, which leads some of them, and a runner-up. */
function candidatesOf(as: boolean, kind: TokenKind, third: boolean): Candidate[] {
  const curve = (value: (state: number) => number) =>
    Float64Array.from({ length: BLOCKS + 1 }, (_, s) => value(s));
  const late = kind === "hallucinated";
  const emerges = late ? MUTATES + 1 : 9;
  const own = as ? (s: number) => (s >= emerges ? 0.9 : 0.01) : (s: number) => (s > 0 ? 0.6 : 0.01);
  const crowded = (kind === "easy") !== as;
  const leads = (kind === "hallucinated" && (as || third)) || (kind === "true" && (!as || third));
  const first = (s: number): number =>
    s > 0 && s <= MUTATES ? (leads ? 0.8 : crowded ? 0.3 : 0.005) : 0.005;
  return [own, first, crowded ? first : () => 0.005].map((value, id) => ({ id, probability: curve(value) }));
}

/** Tokens that part on straight lines, some with one long step; or a walk that turns at every step and brings them together. */
function paths(as: boolean, tokens: number, random: Random): Tensor {
  const ways = Array.from({ length: tokens }, () => ({
    way: Array.from({ length: WIDTH }, () => random.normal() / Math.sqrt(WIDTH)),
    long: random.uniform() < 0.3,
  }));
  const depth = BLOCKS + 1;
  const data = new Float32Array(depth * tokens * WIDTH);
  for (let s = 0; s < depth; s++)
    ways.forEach(({ way, long }, t) => {
      const far = as ? 0.3 * (s + (long && s > 8 ? 6 : 0)) : 1 - s / depth;
      for (let j = 0; j < WIDTH; j++) {
        const shared = as ? Number(j === 0) : Number(j < s);
        data[(s * tokens + t) * WIDTH + j] = shared + far * way[j] * (as ? 1 : 0.3);
      }
    });
  return { data, shape: [depth, tokens, WIDTH] };
}

function skippedAs(
  name: string,
  { overlap, wrong }: { readonly overlap: number; readonly wrong: number },
  random: Random,
): SkippedCaptions {
  const around = (level: number): number[] => Array.from({ length: CAPTIONS }, () => level * wobble(random));
  return {
    plan: { name, skip: [MUTATES], saved: 1 / BLOCKS, says: "made by hand" },
    texts: Array<string>(CAPTIONS).fill("made"),
    overlap: around(overlap).map((value) => Math.min(1, value)),
    elsewhere: around(0.3),
    wrong: around(wrong),
  };
}

/** Four answers to one question: they part with depth and gather by answer at the end; or the other way round. */
function answersOf(as: boolean, random: Random): AnswerGroup {
  const count = 48;
  const { data, shape } = paths(as, count, random);
  const [depth] = shape;
  const answers = Array.from({ length: count }, (_, i) => ["red", "green", "blue", "pink"][i % 4]);
  for (let s = 1; s < depth; s++)
    answers.forEach((_, i) => {
      if ((s === depth - 1) === as) data[(s * count + i) * WIDTH + 8 + (i % 4)] += as ? 8 : 2;
    });
  return {
    question: "made by hand",
    answers,
    states: { data: data.subarray(count * WIDTH), shape: [depth - 1, count, WIDTH] },
  };
}
