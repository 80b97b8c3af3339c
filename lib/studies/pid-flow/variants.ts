/** How alike the layer curves of two variants are, beside what curves share by trend, architecture and data. */
import { embeddedModels } from "../../model/index.js";
import { type Random, seeded } from "../../random.js";
import { curveCorrelation, joined, shareCurves } from "./curves.js";
import type { Decomposition, TaskDecomposition } from "./decompose.js";

/** Embedded checkpoints that are one of this name trained from another seed; none of a folder. */
export function embeddedTwins(name: string): string[] {
  return embeddedModels().filter((other) => other.startsWith(`${name}-seed`));
}

type Curves = readonly (readonly number[])[];

/** Permutations of the steps. */
const PERMUTATIONS = 60;

/** Correlations of layer curves; a curve that is constant correlates with nothing and is left out. */
export interface VariantCorrelations {
  /** The two variants; NaN where one is constant. */
  readonly variants: number;
  /** One variant with itself trained from another seed, by twin. */
  readonly seeds: readonly number[];
  /** The two variants, the other's steps in other orders: short curves that rise or fall correlate by that alone. */
  readonly permuted: readonly number[];
}

export function variantCorrelations(found: Decomposition, seed = 0): VariantCorrelations {
  const [own, other] = [found.tasks, found.variant].map(curvesOf);
  const twins = (all: readonly (readonly TaskDecomposition[])[], curves: Curves): number[] =>
    all.filter((twin) => twin.length > 0).map((twin) => curveCorrelation(curves, curvesOf(twin)));
  const defined = (all: readonly number[]): number[] => all.filter((r) => !Number.isNaN(r));
  return {
    variants: curveCorrelation(own, other),
    seeds: defined([...twins(found.twins, own), ...twins(found.variantTwins, other)]),
    permuted: defined(permutedSteps(other, seeded(seed)).map((permuted) => curveCorrelation(own, permuted))),
  };
}

function curvesOf(tasks: readonly TaskDecomposition[]): Curves {
  const { boot, grid } = joined(tasks);
  return shareCurves(grid(boot.observed));
}

/** The curves with their steps in other orders, the same for every atom: from the same start to the same end. */
function permutedSteps(curves: Curves, random: Random): Curves[] {
  return Array.from({ length: PERMUTATIONS }, () => {
    const order = random.shuffle(curves[0].slice(1).map((_, i) => i));
    return curves.map((curve) => withSteps(curve, order));
  });
}

function withSteps(curve: readonly number[], order: readonly number[]): number[] {
  const out = [curve[0]];
  for (const i of order) out.push(out[out.length - 1] + curve[i + 1] - curve[i]);
  return out;
}
