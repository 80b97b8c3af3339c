import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

type Rows = number[][];

/** Goldens that test/fixtures/analysis/make.py writes. */
export interface Goldens {
  linear: {
    a: Rows;
    singularValues: number[];
    eigenvalues: number[];
    basis1: Rows;
    basis2: Rows;
    angles: number[];
    effectiveRank: number;
    effectiveRankCentred: number;
  };
  zmask: {
    query: Rows;
    key: Rows;
    gain: number[];
    heads: number;
    keyValueHeads: number;
    k: number;
    cases: {
      folded: boolean;
      side: "key" | "query";
      projector: Rows;
      singularValues: number[];
      rank: number;
      headSpectra: Rows;
    }[];
  };
  transport: {
    cost: Rows;
    a: number[];
    b: number[];
    plan: Rows;
    emd: number;
    sinkhorn: Rows;
    x: Rows;
    y: Rows;
    uniformCost: number;
    barycentric: Rows;
  };
  ard: {
    pairs: { x: Rows; y: Rows }[];
    start: number[];
    lambda: number;
    steps: number;
    lengthscales: number[];
    objective: number[];
    mmdAtStart: number[];
  };
  bridge: {
    x: Rows;
    y: Rows;
    ridge: number;
    intercept: boolean;
    map: Rows;
    rSquared: number;
    looRSquared: number;
    orthogonalityError: number;
    spectrum: number[];
  }[];
  statistics: {
    normal: [number, number][];
    wilson: [number, number, number, number][];
    signFlip: { differences: number[]; p: number };
    detectableMean: [number, number][];
    detectableProportion: [number, number, number][];
    detectablePaired: [number, number, number][];
    mcnemar: [number, number, number][];
    overlap: [number, number, number, number, number][];
  };
  icc: { members: Rows; groups: number[]; perDimension: number[] };
  cka: { x: Rows; y: Rows; biased: number; debiased: number; hsic: number };
  divergence: { p: number[]; q: number[]; kl: number; js: number; entropy: number };
}

// Compiled tests lie in dist/test/analysis; fixtures stay beside the sources.
export const goldens: Goldens = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/analysis/goldens.json", import.meta.url), "utf8"),
);

/** Every value within `tolerance` of the largest expected one. */
export function assertClose(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  assert.equal(
    found.length,
    expected.length,
    `${what}: ${found.length} values where ${expected.length} are expected`,
  );
  let scale = 0;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    const drift = Math.abs(found[i] - expected[i]);
    assert.ok(
      drift <= tolerance * (scale || 1),
      `${what}: value ${i} is ${found[i]}, expected ${expected[i]} (off by ${drift}, scale ${scale}, tolerance ${tolerance})`,
    );
  }
}
