/**
 * Measurements made by hand: one set as the report describes its model, one the other way round. What the study's rules say of
 * them is known before anything is measured.
 */
import { type Random, seeded } from "../../random.js";
import type {
  Arithmetic,
  Convergence,
  Counting,
  MatchedArms,
  Measurements,
  RandomArms,
  UnitProfile,
} from "./measurements.js";

export type MadeByHand = "circuit" | "noCircuit";

const SAMPLES = 240;
const LAYERS = 34;
const RANDOM_SETS = 5;

/** What the two differ in; sizes in the unit of each measurement. */
interface Law {
  readonly purity: { readonly features: number; readonly neurons: number };
  readonly unexplained: { readonly joint: number; readonly text: number };
  /** Activation of associates, look-alikes and of two's features above others', in standard deviations. */
  readonly tie: number;
  /** Share of answers that the patch turns. */
  readonly turned: number;
  /** Depth from which the result can be read off image tokens, and off the last. */
  readonly result: { readonly image: number; readonly last: number };
  /** Logit of six above other digits on a hand. */
  readonly six: number;
  readonly counts: { readonly right: number; readonly blind: number };
  /** Fall of five's logit, nats. */
  readonly fall: number;
  readonly mended: number;
  /** Right answers on other images after the cut; before it .95. */
  readonly afterCut: number;
  /** Share of joint activation by depth, and with images and words paired anew. */
  readonly joint: (depth: number) => number;
  readonly paired: number;
}

const LAWS: Readonly<Record<MadeByHand, Law>> = {
  circuit: {
    purity: { features: 0.9, neurons: 0.4 },
    unexplained: { joint: 0.15, text: 0.6 },
    tie: 1,
    turned: 0.8,
    result: { image: 0.3, last: 0.7 },
    six: 0,
    counts: { right: 0.9, blind: 0.2 },
    fall: 2,
    mended: 0.7,
    afterCut: 0.95,
    joint: (depth) => (depth < 0.58 ? 0.1 + 0.2 * depth : 0.7 + 0.1 * depth),
    paired: 0.2,
  },
  noCircuit: {
    purity: { features: 0.4, neurons: 0.42 },
    unexplained: { joint: 0.4, text: 0.4 },
    tie: -0.5,
    turned: 0,
    result: { image: 0.9, last: 0.4 },
    six: 3,
    counts: { right: 0.2, blind: 0.2 },
    fall: -1,
    mended: 0,
    afterCut: 0.4,
    joint: (depth) => 0.9 - 0.2 * depth,
    paired: 0.85,
  },
};

/** The measurements of one law; seeds draw other noise. */
export function circuitsMadeByHand(kind: MadeByHand, seed: number): Measurements {
  const law = LAWS[kind];
  const random = seeded(500 + seed);
  const around = (mean: number, spread: number, count = SAMPLES): number[] =>
    Array.from({ length: count }, () => mean + spread * random.normal());
  const arms = (mean: number): RandomArms => ({
    chosen: around(mean, 0.5),
    random: Array.from({ length: RANDOM_SETS }, () => around(0, 0.5)),
  });
  return {
    neurons: {
      features: unitsOf(around(law.purity.features, 0.05)),
      neurons: unitsOf(around(law.purity.neurons, 0.05)),
    },
    training: { joint: around(law.unexplained.joint, 0.02), text: around(law.unexplained.text, 0.02) },
    associations: { partner: around(law.tie, 0.5), other: around(0, 0.5), fall: arms(law.tie) },
    patch: {
      turned: flagArms(law.turned, random),
      stream: flags(0.98, random),
      allFeatures: flags(law.turned, random),
    },
    neighbours: { lookAlike: around(law.tie, 0.5), others: Array.from({ length: 5 }, () => around(0, 0.5)) },
    arithmetic: arithmetic(law, random),
    counting: counting(law, random, arms),
    convergence: convergence(law, random),
  };
}

function flags(share: number, random: Random): boolean[] {
  return Array.from({ length: SAMPLES }, () => random.uniform() < share);
}

/** Random sets turn few answers, and what all but the chosen features do is half of it. */
function flagArms(share: number, random: Random): MatchedArms {
  const side = (own: number): { set: boolean[]; complement: boolean[] } => ({
    set: flags(own, random),
    complement: flags(share / 2, random),
  });
  return { chosen: side(share), random: Array.from({ length: RANDOM_SETS }, () => side(0.02)) };
}

function arithmetic({ result }: Law, random: Random): Arithmetic {
  const depths = Array.from({ length: LAYERS }, (_, l) => (l + 1) / LAYERS);
  const rows = (from: number): number[][] =>
    Array.from({ length: SAMPLES }, () =>
      depths.map((depth) => Number(random.uniform() < (depth >= from ? 0.9 : 0.05))),
    );
  // Precondition: at half of the depth the result can be read in either case, if only weakly in the other.
  const image = result.image < result.last ? rows(result.image) : weakly(rows(result.image), random);
  return {
    image,
    last: rows(result.last),
    shuffled: image.map(() => Number(random.uniform() < 0.05)),
    clusters: image.map((_, i) => `${i % 40}`),
  };
}

/** Readable at four in ten from half of the depth, which is less than half of what the last token reaches. */
function weakly(rows: readonly (readonly number[])[], random: Random): number[][] {
  return rows.map((row) =>
    row.map((own, l) => (l === Math.floor(LAYERS / 2) && own === 0 ? Number(random.uniform() < 0.35) : own)),
  );
}

function counting(law: Law, random: Random, arms: (mean: number) => RandomArms): Counting {
  const around = (mean: number): number[] => Array.from({ length: SAMPLES }, () => mean + random.normal());
  const cut = { cut: flags(law.afterCut, random), clean: flags(0.95, random) };
  const kept = law.afterCut > 0.9 ? { cut: cut.clean, clean: cut.clean } : cut;
  return {
    six: around(law.six),
    counted: around(4),
    right: flags(law.counts.right, random),
    blind: flags(law.counts.blind, random),
    fall: arms(law.fall),
    mended: {
      chosen: flags(law.mended, random),
      random: Array.from({ length: RANDOM_SETS }, () => flags(0.02, random)),
    },
    five: kept,
    elsewhere: kept,
    two: { hands: around(law.tie), others: around(0) },
  };
}

function convergence({ joint, paired }: Law, random: Random): Convergence {
  const row = (of: (depth: number) => number): number[] =>
    Array.from({ length: LAYERS }, (_, l) => of((l + 1) / LAYERS) + 0.02 * random.normal());
  return {
    joint: Array.from({ length: SAMPLES }, () => row(joint)),
    paired: Array.from({ length: 5 }, () => row(() => paired)),
  };
}

const unitsOf = (purities: readonly number[]): UnitProfile[] =>
  purities.map((purity, unit) => ({ layer: 0, unit, concepts: [], purity }));
