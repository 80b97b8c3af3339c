/** Statistics of decompositions over tasks and states. */
import type { PidAtoms, PidBootstrap, PidReading } from "../../analysis/index.js";
import { joinPidBootstraps } from "../../analysis/index.js";
import type { TaskDecomposition } from "./decompose.js";

export type Atom = keyof PidAtoms;

/** Atoms in the order in which they are drawn, with the field's words for them. */
export const ATOMS: readonly { readonly atom: Atom; readonly name: string }[] = [
  { atom: "redundancy", name: "redundant" },
  { atom: "uniqueX", name: "vision-unique" },
  { atom: "uniqueY", name: "language-unique" },
  { atom: "synergy", name: "synergistic" },
];

/** Readings by task and set. */
export type Grid = readonly (readonly PidReading[])[];

/** Bootstraps of several tasks as one, and how to read its flat list of sets. */
export interface Joined {
  readonly boot: PidBootstrap;
  readonly grid: (pids: readonly PidReading[]) => Grid;
}

export function joined(tasks: readonly { readonly pids: PidBootstrap }[]): Joined {
  const sets = tasks[0].pids.observed.length;
  return {
    boot: joinPidBootstraps(tasks.map(({ pids }) => pids)),
    grid: (pids) => tasks.map((_, t) => pids.slice(t * sets, (t + 1) * sets)),
  };
}

/** Sum over tasks of an atom at one set, bits. */
export function total(grid: Grid, set: number, atom: Atom): number {
  return grid.reduce((sum, row) => sum + row[set].broja[atom], 0);
}

/** Share of an atom in the information of all tasks together; 0 where there is none. */
export function shareOf(grid: Grid, set: number, atom: Atom): number {
  const all = grid.reduce((sum, row) => sum + row[set].information.joint, 0);
  return all > 0 ? total(grid, set, atom) / all : 0;
}

/** Curves of the atoms' shares over states. */
export function shareCurves(grid: Grid): number[][] {
  return ATOMS.map(({ atom }) => grid[0].map((_, set) => shareOf(grid, set, atom)));
}

const centred = (x: readonly number[]): number[] => {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  return x.map((value) => value - mean);
};

const dot = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((sum, value, i) => sum + value * y[i], 0);

/** Pearson's correlation; NaN where one is constant. */
export function correlation(a: readonly number[], b: readonly number[]): number {
  return curveCorrelation([a], [b]);
}

/**
 * Correlation of two sets of curves over positions, pooled within curves: each curve counts by how much it moves, so that the
 * noise of one that stays at 0 does not.
 */
export function curveCorrelation(
  a: readonly (readonly number[])[],
  b: readonly (readonly number[])[],
): number {
  const [u, v] = [a, b].map((curves) => curves.flatMap(centred));
  return dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v));
}

/** Index of the state at half the depth. */
export function halfway(depths: readonly number[]): number {
  const middle = (depths[0] + depths[depths.length - 1]) / 2;
  return depths.reduce(
    (best, d, i) => (Math.abs(d - middle) < Math.abs(depths[best] - middle) ? i : best),
    0,
  );
}

/** Which states of which tasks passed the joint test. */
export function acceptedAt(tasks: readonly TaskDecomposition[], states: readonly number[]): boolean[] {
  return tasks.flatMap(({ normality }) => states.map((state) => normality[state].accepted));
}
