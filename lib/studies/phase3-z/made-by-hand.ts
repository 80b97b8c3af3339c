/**
 * Measurements made by hand, without a model: as the document reports or hopes for them, and the other way round. What the
 * study's rules say of them is known.
 */
import {
  type Matrix,
  orthonormalRows,
  projectOnto,
  randomSubspace,
  type SamplePair,
} from "../../analysis/index.js";
import { type Random, seeded } from "../../random.js";
import type { Untestable } from "../evidence.js";
import type {
  BehaviourPart,
  BridgePart,
  Measurements,
  PatchesPart,
  UpdatesPart,
  WeightsPart,
} from "./parts.js";
import type { PatchOutcome } from "./patch.js";
import { readLengthscales, readUpdates } from "./readings.js";
import { readSeparation } from "./separation.js";
import { readWeights } from "./weights.js";

/** `persists`: what differs between the languages avoids Z at every size. */
export type MadeByHand = "likeDocument" | "opposite" | "persists";

const WIDTH = 128;
/** The document's. */
const LAYERS = 36;
const [PRIMARY, SECONDARY] = [32, 33];
const SIZES = { main: 6, small: 3, vanishing: 40 } as const;
const PROBLEMS = 120;
const RANDOM_SETS = 12;
/** Of the updates. */
const STATES = 12;
const HEADS = 8;
const NO_MODEL: Untestable = { untestable: "made by hand: there is no model behind it" };
const problems: readonly string[] = Array.from({ length: PROBLEMS }, (_, i) => `made-${i}`);

/** Measurements of one kind; seeds draw other noise. */
export async function phase3MadeByHand(kind: MadeByHand, seed: number): Promise<Measurements> {
  const random = seeded(4000 + seed);
  const as = kind !== "opposite";
  const separation = separationOf(kind, random, seed);
  if (kind === "persists") return { ...NOTHING, separation };
  return {
    behaviour: behaviourOf(as, random),
    weights: weightsOf(as, random, seed),
    separation,
    shifts: NO_MODEL,
    patches: patchesOf(as, random),
    updates: updatesOf(as, random),
    lengthscales: await lengthscalesOf(as, random, seed),
    bridge: bridgeOf(as, random),
  };
}

const NOTHING: Measurements = {
  behaviour: NO_MODEL,
  weights: NO_MODEL,
  separation: NO_MODEL,
  shifts: NO_MODEL,
  patches: NO_MODEL,
  updates: NO_MODEL,
  lengthscales: NO_MODEL,
  bridge: NO_MODEL,
};

/** Problems are solved in both languages or in neither; or many of them in Chinese only. */
function behaviourOf(as: boolean, random: Random): BehaviourPart {
  const zh = problems.map(() => random.uniform() < 0.9);
  const en = zh.map((solved) => solved && (as || random.uniform() < 0.5));
  return { solved: { en, zh }, problems };
}

function normal(rows: number, columns: number, random: Random): Matrix {
  return {
    data: Float64Array.from({ length: rows * columns }, () => random.normal()),
    shape: [rows, columns],
  };
}

/** +1 and −1: every row has the same energy in every axis. */
function signs(rows: number, columns: number, random: Random): Matrix {
  return {
    data: Float64Array.from({ length: rows * columns }, () => (random.uniform() < 0.5 ? 1 : -1)),
    shape: [rows, columns],
  };
}

/** Coordinate axes from one on, `(count, d)`. */
function axes(from: number, count: number, width = WIDTH): Matrix {
  const data = new Float64Array(count * width);
  for (let i = 0; i < count; i++) data[i * width + from + i] = 1;
  return { data, shape: [count, width] };
}

/** Heads of low, equal rank in the secondary layer, whose Z lies half in that of the primary one; or neither. */
function weightsOf(as: boolean, random: Random, seed: number): WeightsPart {
  const shared = axes(0, SIZES.main);
  const own = Array.from({ length: LAYERS }, (_, l) => {
    const free = randomSubspace(SIZES.main, WIDTH, 300 + l);
    // Like the document the pair is alike; otherwise all layers but the secondary one are.
    const alike = as ? l === PRIMARY || l === SECONDARY : l !== SECONDARY;
    return alike ? halfway(shared, free) : free;
  });
  const chosen = [PRIMARY, SECONDARY];
  return readWeights(
    {
      layers: LAYERS,
      width: WIDTH,
      sizes: SIZES,
      ranks: (layer) =>
        Array.from({ length: HEADS }, () => {
          const low = (layer === SECONDARY) === as;
          return (low ? 0.6 : 0.8) * (1 + (as ? 0.02 : 0.2) * random.normal());
        }),
      basis: (layer) => own[layer],
      writes: (layer) => ({
        matrix: writesOf(own[layer], chosen.includes(layer) ? (as ? 0.7 : 2) : 1, random),
        columns: false,
      }),
    },
    { primary: PRIMARY, secondary: SECONDARY, randomSets: RANDOM_SETS, seed },
  );
}

/** Each direction half in one subspace and half in another. */
function halfway(a: Matrix, b: Matrix): Matrix {
  return orthonormalRows({ data: a.data.map((value, i) => value + b.data[i]), shape: a.shape });
}

/** Write directions with their part in Z scaled. */
function writesOf(basis: Matrix, scale: number, random: Random): Matrix {
  const rows = normal(200, WIDTH, random);
  const inside = projectOnto(rows, basis);
  return { data: rows.data.map((value, i) => value + (scale - 1) * inside.data[i]), shape: rows.shape };
}

/** Energy of the axes that the vanishing size adds: with the main ones' 0.3² they come to what all axes have on average. */
const VANISHING_SCALE = 1.16;

/**
 * Pooled states of the primary layer, whose Z is the first axes. As the document has it, translations agree in Z and what
 * differs between the languages lies elsewhere; in the last tokens, and in the opposite, it is the other way round.
 */
function separationOf(kind: MadeByHand, random: Random, seed: number): Measurements["separation"] {
  const pair = (agrees: boolean): { readonly en: Matrix; readonly zh: Matrix } => {
    const content = normal(PROBLEMS, WIDTH, random);
    const differs = signs(PROBLEMS, WIDTH, random);
    for (let i = 0; i < differs.data.length; i++) {
      const j = i % WIDTH;
      if (j < SIZES.main) differs.data[i] *= agrees ? 0.3 : 2;
      else if (kind !== "persists" && j < SIZES.vanishing) differs.data[i] *= Math.sqrt(VANISHING_SCALE);
    }
    return {
      en: { data: content.data.map((value, i) => value + differs.data[i] / 2), shape: content.shape },
      zh: { data: content.data.map((value, i) => value - differs.data[i] / 2), shape: content.shape },
    };
  };
  const plain = { en: normal(PROBLEMS, WIDTH, random), zh: normal(PROBLEMS, WIDTH, random) };
  const agrees = kind !== "opposite";
  const [mean, last] = [pair(agrees), pair(!agrees)];
  const layers = (own: typeof mean, language: "en" | "zh"): Matrix[] =>
    Array.from({ length: LAYERS }, (_, l) => (l === PRIMARY ? own : plain)[language]);
  const states = (language: "en" | "zh") => ({
    means: layers(mean, language),
    last: layers(last, language),
  });
  return readSeparation(
    { en: states("en"), zh: states("zh") },
    {
      primary: PRIMARY,
      secondary: SECONDARY,
      sizes: SIZES,
      basis: (_, k) => axes(0, k),
      random: (k, draw) => randomSubspace(k, WIDTH, 991 * (seed + 1) + draw),
      randomSets: RANDOM_SETS,
      seed,
    },
  );
}

/** Shares of the answers that a patch changes, and turns to the other language. */
interface PatchLaw {
  readonly changed: number;
  readonly turned: number;
}

const PATCHES: Readonly<Record<"z" | "rest" | "random" | "complement", readonly [PatchLaw, PatchLaw]>> = {
  z: [
    { changed: 0.9, turned: 0.05 },
    { changed: 0.05, turned: 0.9 },
  ],
  rest: [
    { changed: 0.1, turned: 0.9 },
    { changed: 0.9, turned: 0.05 },
  ],
  random: [
    { changed: 0.05, turned: 0 },
    { changed: 0.05, turned: 0 },
  ],
  complement: [
    { changed: 0.3, turned: 0.3 },
    { changed: 0.3, turned: 0.3 },
  ],
};

function patchesOf(as: boolean, random: Random): PatchesPart {
  const outcomes = (part: keyof typeof PATCHES): PatchOutcome[] => {
    const { changed, turned } = PATCHES[part][as ? 0 : 1];
    return problems.map(() => ({
      changed: random.uniform() < changed,
      flipped: false,
      turned: random.uniform() < turned,
      wordless: false,
    }));
  };
  return {
    chosen: { set: outcomes("z"), complement: outcomes("rest") },
    random: Array.from({ length: RANDOM_SETS }, () => ({
      set: outcomes("random"),
      complement: outcomes("complement"),
    })),
    full: outcomes("rest"),
    problems,
    clean: [],
    patched: { set: [], complement: [], full: [] },
  };
}

/** Updates that lie in Z in the middle third of the layers; or only outside of it there. */
function updatesOf(as: boolean, random: Random): UpdatesPart {
  const middle = (l: number): boolean => l >= STATES / 3 && l < (2 * STATES) / 3;
  const states = (): Matrix[] => {
    const all = [normal(PROBLEMS, WIDTH, random)];
    for (let l = 0; l + 1 < STATES; l++) {
      const update = normal(PROBLEMS, WIDTH, random);
      const inZ = middle(l) === as ? 4 : 0.5;
      const before = all[l].data;
      const data = update.data.map((value, i) => before[i] + value * (i % WIDTH < SIZES.main ? inZ : 1));
      all.push({ data, shape: update.shape });
    }
    return all;
  };
  const drawn = (from: number): Matrix[] =>
    Array.from({ length: RANDOM_SETS }, (_, i) => randomSubspace(SIZES.main, WIDTH, from + i));
  return readUpdates(
    { en: { means: states() }, zh: { means: states() } },
    { z: axes(0, SIZES.main), random: drawn(50), others: drawn(90) },
    problems,
  );
}

/**
 * Token clouds of both languages that are alike in the first axes and apart in all others, with Z on the shared axes. In the
 * opposite Z lies on others, and held-out problems are alike elsewhere.
 */
function lengthscalesOf(as: boolean, random: Random, seed: number): ReturnType<typeof readLengthscales> {
  const [width, shared] = [48, 24];
  const apart = (alike: (j: number) => boolean): SamplePair => {
    const cloud = (shift: number): Matrix => {
      const own = normal(16, width, random);
      for (let i = 0; i < own.data.length; i++) if (!alike(i % width)) own.data[i] += shift;
      return own;
    };
    return { x: cloud(0), y: cloud(0.8) };
  };
  const pairs = (alike: (j: number) => boolean) => Array.from({ length: 20 }, () => apart(alike));
  const first = (j: number): boolean => j < shared;
  const held = as ? first : (j: number): boolean => j >= width - shared;
  const bases = Array.from({ length: RANDOM_SETS }, (_, i) => randomSubspace(shared, width, 70 + i));
  return readLengthscales(
    { fit: pairs(first), heldOut: pairs(held) },
    { basis: axes(as ? 0 : width - shared, shared, width), random: bases, seed },
  );
}

/** Chinese as a rotation of English, or as it with most directions shrunk. */
function bridgeOf(as: boolean, random: Random): BridgePart {
  const english = normal(PROBLEMS, SIZES.main, random);
  const [n, k] = english.shape;
  const chinese = new Float64Array(n * k);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < k; j++) {
      const from = as ? (j + 1) % k : j;
      const scale = as || j === 0 ? 1 : 0.05;
      chinese[i * k + j] = scale * (english.data[i * k + from] + 0.1 * random.normal());
    }
  return { english, chinese: { data: chinese, shape: [n, k] } };
}
