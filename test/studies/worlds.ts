/** Made-up worlds with a known truth, one for each rule and comparison: samples whose judged value is `truth` in expectation. */
import { trend } from "../../lib/analysis/index.js";
import type { Random } from "../../lib/random.js";
import type { Arms } from "../../lib/studies/arms.js";
import type { Json } from "./studies.js";

export interface World {
  readonly name: string;
  readonly test: Json;
  /** Samples of a run of the usual size. */
  readonly n: number;
  readonly draw: (random: Random, n: number, truth: number) => Arms;
  /** The truth at the rule's limit, one well inside its range and one well outside. */
  readonly limit: number;
  readonly inside: number;
  readonly outside: number;
  /** The truth is in the unit of what is judged. */
  readonly unit: boolean;
}

const normals = (random: Random, n: number, mean: number, sd = 1): number[] =>
  Array.from({ length: n }, () => mean + sd * random.normal());
const flips = (random: Random, n: number, share: number): number[] =>
  Array.from({ length: n }, () => Number(random.uniform() < share));
const plus = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value + b[i]);

/** Effects of sets that differ among themselves with standard deviation `between`, on samples that they share. */
function sets(
  random: Random,
  n: number,
  truth: number,
  between: number,
): { own: number[]; others: number[][] } {
  const sample = normals(random, n, 0);
  const one = (mean: number): number[] =>
    plus(sample, normals(random, n, mean + between * random.normal(), 0.5));
  return { own: one(truth), others: Array.from({ length: 6 }, () => one(0)) };
}

export const worlds: readonly World[] = [
  {
    name: "above a threshold, a mean",
    test: { rule: { kind: "above", threshold: 0.5 } },
    n: 40,
    draw: (random, n, truth) => ({ measured: normals(random, n, truth) }),
    limit: 0.5,
    inside: 1.5,
    outside: -0.5,
    unit: true,
  },
  {
    name: "below a threshold, a mean of 25 clusters",
    test: { rule: { kind: "below", threshold: -0.2 } },
    n: 100,
    draw: (random, n, truth) => {
      const clusters = Array.from({ length: n }, (_, i) => Math.floor(i / 4));
      const shared = normals(random, Math.ceil(n / 4), 0);
      return { measured: normals(random, n, truth).map((value, i) => value + shared[clusters[i]]), clusters };
    },
    limit: -0.2,
    inside: -1.5,
    outside: 1,
    unit: true,
  },
  {
    name: "above a threshold, a rate",
    test: { quantity: "rate", rule: { kind: "above", threshold: 0.3 } },
    n: 150,
    draw: (random, n, truth) => ({ measured: flips(random, n, truth) }),
    limit: 0.3,
    inside: 0.7,
    outside: 0.05,
    unit: true,
  },
  {
    name: "between two limits",
    test: { rule: { kind: "between", low: 0, high: 2 } },
    n: 40,
    draw: (random, n, truth) => ({ measured: normals(random, n, truth) }),
    limit: 2,
    inside: 1,
    outside: 3,
    unit: true,
  },
  {
    name: "equivalent to a control",
    test: { rule: { kind: "equivalent", margin: 0.5, against: "control" } },
    n: 60,
    draw: (random, n, truth) => {
      const control = normals(random, n, 3);
      return { measured: plus(control, normals(random, n, truth, 0.5)), control };
    },
    limit: 0.5,
    inside: 0,
    outside: 1,
    unit: true,
  },
  {
    name: "a rate equivalent to its control's",
    test: { quantity: "rate", rule: { kind: "equivalent", margin: 0.15, against: "control" } },
    n: 200,
    draw: (random, n, truth) => ({
      measured: flips(random, n, 0.4 + truth),
      control: flips(random, n, 0.4),
    }),
    limit: 0.15,
    inside: 0,
    outside: 0.4,
    unit: true,
  },
  {
    name: "above a control, a rate",
    test: { quantity: "rate", rule: { kind: "above", threshold: 0.05, against: "control" } },
    n: 120,
    draw: (random, n, truth) => ({ measured: flips(random, n, 0.3 + truth), control: flips(random, n, 0.3) }),
    limit: 0.05,
    inside: 0.4,
    outside: -0.2,
    unit: true,
  },
  {
    name: "below another group",
    test: { rule: { kind: "below", threshold: 0, against: "group" } },
    n: 40,
    draw: (random, n, truth) => ({
      measured: normals(random, n, truth),
      group: { values: normals(random, 2 * n, 0, 2) },
    }),
    limit: 0,
    inside: -2,
    outside: 2,
    unit: true,
  },
  {
    name: "above another group, a rate",
    test: { quantity: "rate", rule: { kind: "above", threshold: 0, against: "group" } },
    n: 120,
    draw: (random, n, truth) => ({
      measured: flips(random, n, 0.3 + truth),
      group: { values: flips(random, n, 0.3) },
    }),
    limit: 0,
    inside: 0.4,
    outside: -0.25,
    unit: true,
  },
  {
    name: "above a null of six shuffles",
    test: { rule: { kind: "above", threshold: 0, against: "null" } },
    n: 80,
    draw: (random, n, truth) => {
      const { own, others } = sets(random, n, truth, 0);
      return { measured: own, nulls: others };
    },
    limit: 0,
    inside: 1,
    outside: -1,
    unit: true,
  },
  {
    name: "above random sets that differ among themselves",
    test: { rule: { kind: "above", threshold: 0, against: "random sets" } },
    n: 80,
    draw: (random, n, truth) => {
      const { own, others } = sets(random, n, truth, 0.4);
      const complement = normals(random, n, 5);
      return { chosen: { set: own, complement }, random: others.map((set) => ({ set, complement })) };
    },
    limit: 0,
    inside: 4,
    outside: -4,
    unit: true,
  },
  {
    name: "below random complements",
    test: { rule: { kind: "below", threshold: 0, against: "random complements" } },
    n: 80,
    draw: (random, n, truth) => {
      const { own, others } = sets(random, n, truth, 0.2);
      const set = normals(random, n, 5);
      return { chosen: { set, complement: own }, random: others.map((complement) => ({ set, complement })) };
    },
    limit: 0,
    inside: -3,
    outside: 3,
    unit: true,
  },
  {
    name: "rates of a set less its complement, above random contrasts",
    test: { quantity: "rate", rule: { kind: "above", threshold: 0.1, against: "random contrasts" } },
    n: 150,
    draw: (random, n, truth) => {
      // Any set changes less than its complement: a contrast alone would always be there.
      const sides = (more: number) => ({
        set: flips(random, n, 0.1 + more),
        complement: flips(random, n, 0.5),
      });
      return { chosen: sides(truth), random: Array.from({ length: 6 }, () => sides(0)) };
    },
    limit: 0.1,
    inside: 0.7,
    outside: -0.1,
    unit: true,
  },
  {
    name: "a share of the full edit's effect",
    test: { rule: { kind: "above", threshold: 0.5, shareOf: "the full patch" } },
    n: 60,
    draw: (random, n, truth) => {
      const ceiling = normals(random, n, 4);
      return {
        measured: plus(
          ceiling.map((full) => truth * full),
          normals(random, n, 0),
        ),
        ceiling,
      };
    },
    limit: 0.5,
    inside: 0.9,
    outside: 0.1,
    unit: true,
  },
  {
    name: "answers that a set loses, as a share of what the full edit loses, against random sets",
    test: {
      quantity: "rate",
      rule: { kind: "above", threshold: 0.2, against: "random sets", shareOf: "the full edit" },
    },
    n: 200,
    draw: (random, n, truth) => {
      const sides = (lost: number) => {
        const set = flips(random, n, lost);
        return { set, complement: set };
      };
      // The full edit loses 0.8, a random set nothing.
      const chosen = sides(0.8 * truth);
      return { chosen, random: Array.from({ length: 5 }, () => sides(0)), ceiling: flips(random, n, 0.8) };
    },
    limit: 0.2,
    inside: 0.8,
    outside: 0,
    unit: true,
  },
  {
    name: "a monotone curve, by its mean rank correlation",
    test: { quantity: "trend", rule: { kind: "monotone", direction: "rising", threshold: 0.2 } },
    n: 50,
    // Of two values in order the rank correlation is 1 or −1: its mean is set by how often they rise.
    draw: (random, n, truth) => ({
      measured: flips(random, n, (1 + truth) / 2).map((rises) => trend(rises ? [0, 1] : [1, 0])),
    }),
    limit: 0.2,
    inside: 0.8,
    outside: -0.6,
    unit: true,
  },
  {
    name: "a falling curve of eight layers",
    test: { quantity: "trend", rule: { kind: "monotone", direction: "falling", threshold: 0 } },
    n: 40,
    draw: (random, n, truth) => ({
      measured: Array.from({ length: n }, () =>
        trend(normals(random, 8, 0).map((value, l) => value + truth * l)),
      ),
    }),
    limit: 0,
    inside: -0.5,
    outside: 0.5,
    unit: false,
  },
];
