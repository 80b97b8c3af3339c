/** Fingerprints of tasks: the shares of the four atoms, at three depths or at the last state. */
import {
  asMatrix,
  type Estimate,
  type PidReading,
  type PidSamples,
  principalComponents,
  samplePid,
  takeRows,
} from "../../analysis/index.js";
import { type Random, seeded } from "../../random.js";
import { ATOMS, correlation } from "./curves.js";
import type { TaskDecomposition } from "./decompose.js";

/** Most parts of a task's questions, each with a fingerprint of its own: the spread within a task. */
const PARTS = 8;
const DRAWS = 24;
const SHUFFLES = 60;

interface Measured {
  readonly measured: Estimate;
  readonly nulls: readonly number[];
}

/** Evidence that fingerprints differ by task, and that they do so with the tasks' redundancy. */
export function fingerprintTests(
  tasks: readonly TaskDecomposition[],
  seed = 0,
): { readonly between: Measured; readonly redundancy: Measured } {
  const random = seeded(seed);
  const depths = tasks.map(({ samples }) => atThreeDepths(samples));
  const last = depths.map((samples) => samples.slice(-1));
  const count = Math.min(...depths.map(([samples]) => partsOf(samples)));
  const parts = (): number[][][] => depths.map((samples) => splits(samples, count, random).map(fingerprint));
  const labels = depths.flatMap((_, t) => Array<number>(count).fill(t));
  const all = parts().flat();
  const halves = Array.from({ length: DRAWS }, () => last.map((set) => splits(set, 2, random)));
  const redundant = halves.map((draw) => draw.map(([half]) => fingerprint(half)[0]));
  const others = halves.map((draw) => draw.map(([, half]) => withoutRedundancy(fingerprint(half))));
  const governed = redundant.map((shares, i) => alignment(shares, others[i]));
  return {
    between: {
      measured: around(
        Array.from({ length: DRAWS }, () => betweenShare(parts().flat(), labels)),
        tasks.length * count,
      ),
      nulls: Array.from({ length: SHUFFLES }, () => betweenShare(all, random.shuffle(labels))),
    },
    redundancy: {
      measured: around(governed, tasks.length),
      nulls: Array.from({ length: SHUFFLES }, (_, i) =>
        alignment(random.shuffle(redundant[i % DRAWS]), others[i % DRAWS]),
      ),
    },
  };
}

/** Shares of the atoms. */
export function fingerprintOf({ broja, information }: PidReading): number[] {
  return ATOMS.map(({ atom }) => (information.joint > 0 ? broja[atom] / information.joint : 0.25));
}

const fingerprint = (states: readonly PidSamples[]): number[] =>
  states.flatMap((samples) => fingerprintOf(samplePid(samples)));

/** States at a quarter and at half of the depth, and the last. */
function atThreeDepths(samples: readonly PidSamples[]): PidSamples[] {
  const end = samples.length - 1;
  return [...new Set([Math.round(end / 4), Math.round(end / 2), end])].map((state) => samples[state]);
}

/** Shares among the three other atoms, so that redundancy is not compared with itself. */
function withoutRedundancy([redundant, ...rest]: readonly number[]): number[] {
  return rest.map((share) => (redundant < 1 ? share / (1 - redundant) : 1 / rest.length));
}

/** Parts of twice as many rows as dimensions. */
function partsOf({ target, x, y }: PidSamples): number {
  const [n] = asMatrix(target).shape;
  const d = [target, x, y].reduce((sum, part) => sum + asMatrix(part).shape[1], 0);
  return Math.max(2, Math.min(PARTS, Math.floor(n / (2 * d))));
}

/** Random parts of the rows, the same in all states: `(parts, states)`. */
function splits(states: readonly PidSamples[], parts: number, random: Random): PidSamples[][] {
  const n = asMatrix(states[0].target).shape[0];
  const order = random.shuffle(Array.from({ length: n }, (_, i) => i));
  return Array.from({ length: parts }, (_, p) => {
    const rows = order.filter((_, i) => i % parts === p);
    const own = (part: PidSamples["x"]) => takeRows(asMatrix(part), rows);
    return states.map(({ target, x, y }) => ({ target: own(target), x: own(x), y: own(y) }));
  });
}

/** Sum of squares between groups over the total. */
function betweenShare(rows: readonly (readonly number[])[], labels: readonly number[]): number {
  const mean = (among: readonly (readonly number[])[]): number[] =>
    among[0].map((_, j) => among.reduce((sum, row) => sum + row[j], 0) / among.length);
  const distance = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, j) => sum + (value - b[j]) ** 2, 0);
  const centre = mean(rows);
  const whole = rows.reduce((sum, row) => sum + distance(row, centre), 0);
  const groups = [...new Set(labels)].map((label) => rows.filter((_, i) => labels[i] === label));
  return groups.reduce((sum, group) => sum + group.length * distance(mean(group), centre), 0) / whole;
}

/** Squared correlation of tasks' redundant shares with the first component of their other shares. */
function alignment(redundant: readonly number[], others: readonly (readonly number[])[]): number {
  if (others.every((row) => row.every((share, j) => share === others[0][j]))) return 0;
  const { scores } = principalComponents(others, 1);
  const r = correlation(redundant, Array.from(scores.data));
  return Number.isNaN(r) ? 0 : r * r;
}

/** Mean over random splits, with the range of the middle 95 % of them. */
function around(values: readonly number[], n: number): Estimate {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const estimate = values.reduce((sum, value) => sum + value, 0) / values.length;
  const level = 0.95;
  return { estimate, low: Math.min(at(0.025), estimate), high: Math.max(at(0.975), estimate), n, level };
}
