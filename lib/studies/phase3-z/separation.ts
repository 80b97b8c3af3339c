/** Distances between translations and between different problems, in a subspace and outside it. */
import { coordinates, energyInSubspace, type Matrix, squaredDistances } from "../../analysis/index.js";
import { seeded } from "../../random.js";
import type { Language } from "../../tasks/index.js";
import type { Untestable } from "../evidence.js";
import type { BesideRandom, ContrastRow, SeparationPart } from "./parts.js";
import type { Sizes } from "./rules.js";
import type { PooledStates } from "./states.js";

export interface SeparationOptions {
  readonly primary: number;
  readonly secondary: number;
  readonly sizes: Sizes;
  readonly basis: (layer: number, k: number) => Matrix;
  readonly random: (k: number, draw: number) => Matrix;
  readonly randomSets: number;
  /** Resamples of the problems. Default 199. */
  readonly draws?: number;
  readonly seed: number;
}

/** Both layers and sizes under both poolings; the headline is the primary layer's main size under mean pooling. */
export function readSeparation(
  states: Readonly<Record<Language, Pick<PooledStates, "means" | "last">>>,
  options: SeparationOptions,
): SeparationPart | Untestable {
  const { primary, secondary, sizes, basis, random, randomSets, draws = 199, seed } = options;
  const order = resamples(states.en.means[0].shape[0], draws, seed);
  const rows: ContrastRow[] = [];
  for (const pooling of ["mean", "last"] as const)
    for (const layer of new Set([primary, secondary]))
      for (const k of new Set([sizes.main, sizes.small])) {
        const [a, b] = [states.en, states.zh].map(
          (own) => (pooling === "mean" ? own.means : own.last)[layer],
        );
        const whole = squaredDistances(a, b);
        const z = distancesIn(whole, a, b, basis(layer, k));
        const nulls = Array.from({ length: randomSets }, (_, i) => {
          const own = distancesIn(whole, a, b, random(k, i));
          return ratioOf(own.inside) - ratioOf(own.outside);
        });
        const [ratioZ, ratioRest] = [ratioOf(z.inside), ratioOf(z.outside)];
        const drawn = order.map((own) => ratioOf(z.inside, own) - ratioOf(z.outside, own));
        if (![ratioZ, ratioRest, ...drawn, ...nulls].every(Number.isFinite)) {
          if (pooling === "last") continue;
          return { untestable: `the mean states before block ${layer} are all the same` };
        }
        rows.push({ layer, k, pooling, n: a.shape[0], ratioZ, ratioRest, drawn, nulls });
      }
  const difference = differenceOf(states.en.means[primary], states.zh.means[primary]);
  const energy = (k: number): BesideRandom => {
    const of = (v: Matrix): number[] => {
      const { perVector, chance } = energyInSubspace(difference, v);
      return Array.from(perVector, (share) => share / chance);
    };
    return {
      values: of(basis(primary, k)),
      nulls: Array.from({ length: randomSets }, (_, i) => of(random(k, i))),
    };
  };
  return { rows, language: { main: energy(sizes.main), vanishing: energy(sizes.vanishing) } };
}

interface Distances {
  /** `(n, n)`: English i to Chinese j. */
  readonly inside: Matrix;
  readonly outside: Matrix;
}

/** Distances in a subspace, and in its complement from what is left of the whole squares. */
function distancesIn(whole: Matrix, a: Matrix, b: Matrix, basis: Matrix): Distances {
  const inside = squaredDistances(coordinates(a, basis), coordinates(b, basis));
  return {
    inside: { data: inside.data.map(Math.sqrt), shape: inside.shape },
    outside: {
      data: whole.data.map((square, i) => Math.sqrt(Math.max(0, square - inside.data[i]))),
      shape: inside.shape,
    },
  };
}

/** Mean distance of translations over that of different problems; with how often each problem was drawn. */
function ratioOf({ data, shape: [n] }: Matrix, drawn: Float64Array = new Float64Array(n).fill(1)): number {
  let paired = 0;
  let unpaired = 0;
  let pairs = 0;
  for (let i = 0; i < n; i++) {
    // A third of the problems is not in a resample.
    if (drawn[i] === 0) continue;
    let others = 0;
    for (let j = 0; j < n; j++) others += drawn[j] * data[i * n + j];
    paired += drawn[i] * data[i * n + i];
    unpaired += drawn[i] * (others - drawn[i] * data[i * n + i]);
    pairs += drawn[i] * (n - drawn[i]);
  }
  return paired / n / (unpaired / pairs);
}

/** How often each problem is drawn, `(draws)(n)`. */
function resamples(n: number, draws: number, seed: number): Float64Array[] {
  const random = seeded(seed);
  return Array.from({ length: draws }, () => {
    const counts = new Float64Array(n);
    for (let i = 0; i < n; i++) counts[random.int(n)]++;
    return counts;
  });
}

function differenceOf(a: Matrix, b: Matrix): Matrix {
  return { data: a.data.map((value, i) => value - b.data[i]), shape: a.shape };
}
