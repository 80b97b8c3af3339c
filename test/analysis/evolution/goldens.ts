import { readFileSync } from "node:fs";
import type { Matrix } from "../../../lib/analysis/linalg/matrix.js";
import { type Tensor, tensor } from "../../../lib/tensor.js";

/** Goldens that test/fixtures/analysis/evolution.py writes. */
export interface EvolutionGoldens {
  earlyExit: Record<"probability" | "rank" | "entropy" | "change" | "distance" | "runnersUp", number[][]>;
  segmentation: {
    wide: boolean;
    shortest: number;
    segments?: number;
    penalty?: number;
    starts: number[];
  }[];
  outlier: number;
  labels: Record<"statistic" | "free" | "grouped", number>;
  paths: Record<
    | "trend"
    | "linearity"
    | "straightness"
    | "walkLinearity"
    | "walkStraightness"
    | "distance"
    | "angle"
    | "relative",
    number
  >;
  clusters: {
    silhouette: number;
    silhouetteUneven: number;
    nearness: number;
    trustworthiness: Record<string, number>;
    continuity: number;
  };
  tsne: {
    affinities: number[][];
    picture: number[][];
  } & Record<"pca" | "random", { reported: number; cost: number; trustworthiness: number }>;
}

export const goldens: EvolutionGoldens = JSON.parse(
  readFileSync(new URL("../../../../test/fixtures/analysis/evolution.json", import.meta.url), "utf8"),
);

/** Park and Miller's generator, less a half: the same numbers as in evolution.py. */
export function uniform(seed: number, count: number): Float64Array {
  let state = seed;
  return Float64Array.from({ length: count }, () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647 - 0.5;
  });
}

/** Point i belongs to group i mod groups, and is moved along that axis. */
export function clustered(seed: number, n: number, d: number, groups: number): Matrix {
  const data = uniform(seed, n * d);
  for (let i = 0; i < n; i++) data[i * d + (i % groups)] += 1.2;
  return tensor(data, [n, d]);
}

/** Those numbers times `scale` as a float32 tensor. */
export function floats(seed: number, scale: number, ...shape: number[]): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from(uniform(seed, count), (value) => scale * value),
    shape,
  );
}
