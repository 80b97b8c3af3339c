/** Sources whose atoms are known at every state, in the place of a checkpoint: the claims' rules are tried on them. */
import { type MatrixLike, sameSpectrumSamples } from "../../analysis/index.js";
import { ModalscopeError } from "../../errors.js";
import { type Random, seeded } from "../../random.js";
import type { TaskDecomposition } from "./decompose.js";
import type { Measurements, TaskMeasurement, TaskRun } from "./measurements.js";

/** Atoms of one state, bits. */
interface Bits {
  readonly redundant: number;
  readonly vision: number;
  readonly language: number;
  readonly synergy: number;
}

/** Law of a made checkpoint: atoms by depth (0–1) and by how redundant a task is (0–1). */
interface Law {
  readonly atoms: (depth: number, redundancy: number) => Bits;
  /** The other variant; without it there is none. */
  readonly variant?: (depth: number, redundancy: number) => Bits;
  /** At the last state with the route cut. */
  readonly cut: (clean: Bits, redundancy: number) => Bits;
  /** Shares of right answers. */
  readonly right: { readonly clean: number; readonly cut: number; readonly control: number };
}

export type MadeByHand = "likeDocument" | "opposite" | "tasksAlike" | "exclusiveOr";

const TASKS = ["ChooseAttr", "ChooseCat", "ChooseRel", "CompareAttr", "LogicalObj", "QueryAttr"];
const STATES = 7;
const ROWS = 320;

/** Rises to 1 at `at` and falls to 0 over `width`. */
const bump = (depth: number, at: number, width: number): number =>
  Math.max(0, 1 - Math.abs(depth - at) / width);

/** Redundancy by state: two variants that share this share more than a trend. */
const WAVE = [0, 0.9, 0.2, 1.1, 0.1, 0.8, 0];

const documentAtoms = (depth: number, redundancy: number): Bits => ({
  redundant: 0.05 + 0.5 * redundancy + WAVE[Math.round(depth * (STATES - 1))],
  vision: 1.5 * bump(depth, 1 / 6, 5 / 6) * (1 - 0.3 * redundancy) + 0.4 * (1.1 - redundancy),
  language: 0.3 + 1.9 * depth ** 3,
  synergy: 0,
});

const LAWS: Readonly<Record<Exclude<MadeByHand, "exclusiveOr">, Law>> = {
  likeDocument: {
    atoms: documentAtoms,
    variant: documentAtoms,
    cut: (clean, redundancy) => ({
      ...clean,
      vision: clean.vision + 1.2 * (1 - redundancy),
      synergy: 0.4,
    }),
    right: { clean: 0.9, cut: 0.5, control: 0.88 },
  },
  opposite: {
    atoms: (depth, redundancy) => ({
      redundant: 0.05 + 0.5 * redundancy,
      vision: 0.3 + 1.4 * depth ** 2,
      language: 1.4 - 1.2 * depth,
      synergy: 0.5,
    }),
    variant: (depth, redundancy) => ({
      redundant: 0.55 - 0.5 * redundancy,
      vision: 1.4 - 1.2 * depth,
      language: 0.3 + 1.4 * depth ** 2,
      synergy: 0.5,
    }),
    cut: (clean, redundancy) => ({
      ...clean,
      vision: clean.vision * (0.2 + 0.7 * redundancy),
      synergy: 0.1,
    }),
    right: { clean: 0.9, cut: 0.4, control: 0.88 },
  },
  tasksAlike: {
    atoms: (depth) => documentAtoms(depth, 0.5),
    cut: (clean) => clean,
    right: { clean: 0.9, cut: 0.88, control: 0.88 },
  },
};

/**
 * The checkpoint of this name on one draw of its law.
 * @throws ModalscopeError for an unknown name
 */
export function madeByHand(name: string, seed: number): Measurements {
  const depths = Array.from({ length: STATES }, (_, s) => s / (STATES - 1));
  const random = seeded(seed);
  if (name === "exclusiveOr") return { depths, tasks: TASKS.map((task) => exclusiveOr(task, random)) };
  if (!Object.hasOwn(LAWS, name)) throw new ModalscopeError(`No checkpoint "${name}" is made by hand.`);
  const law = LAWS[name as keyof typeof LAWS];
  const clean = (atoms: Law["atoms"], task: string, t: number) => {
    const draw = drawOf(random);
    const bits = depths.map((depth) => atoms(depth, t / (TASKS.length - 1)));
    const measured = { task, clusters: names(ROWS), clean: runOf(draw, bits, law.right.clean) };
    return { draw, measured, end: bits[STATES - 1] };
  };
  const edited = (task: string, t: number): TaskMeasurement => {
    const { draw, measured, end } = clean(law.atoms, task, t);
    const redundancy = t / (TASKS.length - 1);
    return {
      ...measured,
      cut: runOf(draw, [law.cut(end, redundancy)], law.right.cut),
      control: runOf(draw, [end], law.right.control),
    };
  };
  return {
    depths,
    tasks: TASKS.map(edited),
    ...(law.variant && { variant: TASKS.map((task, t) => clean(law.variant!, task, t).measured) }),
  };
}

/** The model's states with both sources given one and the same channel, at the same spectrum, size and dimensions. */
export function sameSpectrumOf(
  tasks: readonly TaskDecomposition[],
  depths: readonly number[],
  seed: number,
): Measurements {
  return {
    depths,
    tasks: tasks.map(({ task, samples, clusters }, t) => {
      // Drawn from one seed, all states have the same prediction: it is what the draw begins with.
      const drawn = samples.map((set) => sameSpectrumSamples(set, 100 * seed + t));
      const clean = {
        vision: drawn.map(({ x }) => x),
        language: drawn.map(({ y }) => y),
        prediction: drawn[0].target,
        right: [],
      };
      return { task, clusters: names(clusters.length), clean };
    }),
  };
}

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

type Columns = readonly Float64Array[];

/** Variables that one task's questions are made from: the prediction, and noises of the sources. */
interface Draw {
  readonly prediction: Columns;
  readonly noise: Columns;
  readonly uniform: Float64Array;
}

const DIMENSIONS = 3;

function drawOf(random: Random): Draw {
  const normals = (): Float64Array => Float64Array.from({ length: ROWS }, () => random.normal());
  return {
    prediction: Array.from({ length: DIMENSIONS }, normals),
    noise: Array.from({ length: 5 }, normals),
    uniform: Float64Array.from({ length: ROWS }, () => random.uniform()),
  };
}

/** Noise that the second source of a redundant pair has more than the first. */
const TWIN_NOISE = 0.05;

/**
 * Channels with given atoms: the first dimension of the prediction is seen by the image alone, the second by the question
 * alone, the third by both, the question's look being the image's with a little more noise (case iii of KNOWN cases: no
 * synergy). Synergy comes from a word that tells the noise of the image's own look (case ii).
 */
function runOf({ prediction, noise, uniform }: Draw, states: readonly Bits[], right: number): TaskRun {
  const gain = (bits: number): number => Math.sqrt(2 ** (2 * bits) - 1);
  const seen = (column: number, g: number, e: number): Float64Array =>
    prediction[column].map((m, i) => g * m + noise[e][i]);
  return {
    prediction: matrixOf(prediction),
    vision: states.map(({ vision, redundant }) =>
      matrixOf([seen(0, gain(vision), 0), seen(2, gain(redundant), 2)]),
    ),
    language: states.map(({ language, redundant, vision, synergy }) => {
      const shared = seen(2, gain(redundant), 2);
      const own = seen(1, gain(language), 1);
      const twin = shared.map((value, i) => value + Math.sqrt(TWIN_NOISE) * noise[3][i]);
      const told =
        synergy > 0 ? [noise[0].map((e, i) => e + unexplained(vision, synergy) * noise[4][i])] : [];
      return matrixOf([own, twin, ...told]);
    }),
    right: Array.from(uniform, (u) => u < right),
  };
}

/** Spread of what a word says of the image's noise beside that noise, by which the two have this synergy. */
function unexplained(unique: number, synergy: number): number {
  // ½ log₂(1 + g²/(1 − ρ²)) = unique + synergy, with ρ² = 1/(1 + s²).
  const g2 = 2 ** (2 * unique) - 1;
  const open = g2 / (2 ** (2 * (unique + synergy)) - 1);
  return Math.sqrt(open / (1 - open));
}

function matrixOf(columns: Columns): MatrixLike {
  const n = columns[0].length;
  const data = new Float64Array(n * columns.length);
  columns.forEach((column, j) => {
    for (let i = 0; i < n; i++) data[i * columns.length + j] = column[i];
  });
  return { data, shape: [n, columns.length] };
}

/** Standard deviation of every noise in the product of signs. */
const SIGN_NOISE = 0.5;

/** Product of two signs, each seen with noise: all of its .759 bits are synergy. */
function exclusiveOr(task: string, random: Random): TaskMeasurement {
  const sign = (): Float64Array => Float64Array.from({ length: ROWS }, () => 2 * random.int(2) - 1);
  const noisy = (x: Float64Array): MatrixLike =>
    matrixOf([x.map((value) => value + SIGN_NOISE * random.normal())]);
  const [a, b] = [sign(), sign()];
  const run = {
    prediction: noisy(a.map((value, i) => value * b[i])),
    vision: Array.from({ length: STATES }, () => noisy(a)),
    language: Array.from({ length: STATES }, () => noisy(b)),
    right: Array<boolean>(ROWS).fill(true),
  };
  return { task, clusters: names(ROWS), clean: run };
}
