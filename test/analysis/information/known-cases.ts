import assert from "node:assert/strict";
import type { GaussianChannels, PidAtoms } from "../../../lib/analysis/index.js";
import type { Random } from "../../../lib/random.js";

export type Rows = number[][];

/** Atoms in bits: I_XY, U_X, U_Y, R, S. */
export type Truth = readonly [
  joint: number,
  uniqueX: number,
  uniqueY: number,
  redundancy: number,
  synergy: number,
];

export interface KnownCase {
  readonly hx: Rows;
  readonly hy: Rows;
  /** ~G, to 6 digits, by two solvers that share nothing: a projected gradient and a semidefinite programme. */
  readonly truth: Truth;
}

const r2 = Math.SQRT2;

/** Rotation by `degrees`. */
export function rotation(degrees: number): Rows {
  const t = (degrees * Math.PI) / 180;
  return [
    [Math.cos(t), -Math.sin(t)],
    [Math.sin(t), Math.cos(t)],
  ];
}

export function product(a: Rows, b: Rows): Rows {
  return a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));
}

const identity2 = rotation(0);
const diagonal = (a: number, b: number): Rows => [
  [a, 0],
  [0, b],
];

/** Independent noises everywhere. */
export const KNOWN: Record<string, KnownCase> = {
  A: { hx: [[1, 0]], hy: [[0, 1]], truth: [1, 0.5, 0.5, 0, 0] },
  B: { hx: [[r2, 0]], hy: [[1, 0]], truth: [1, 0.292481, 0, 0.5, 0.207519] },
  C: { hx: rotation(-30), hy: [[0, 1]], truth: [1.292481, 0.5, 0, 0.5, 0.292481] },
  D0: { hx: diagonal(0, 1), hy: identity2, truth: [1.292481, 0, 0.5, 0.5, 0.292481] },
  D1: { hx: identity2, hy: identity2, truth: [1.584963, 0, 0, 1, 0.584963] },
  D2: { hx: diagonal(2, 1), hy: identity2, truth: [2.084963, 0.660964, 0, 1, 0.423998] },
  D3: { hx: diagonal(3, 1), hy: identity2, truth: [2.522197, 1.160964, 0, 1, 0.361233] },
  E0: { hx: diagonal(r2, 1), hy: diagonal(1, r2), truth: [2, 0.292481, 0.292481, 1, 0.415037] },
  E90: {
    hx: product(diagonal(r2, 1), rotation(-90)),
    hy: diagonal(1, r2),
    truth: [1.953445, 0, 0, 1.292481, 0.660964],
  },
  "F shared latent": {
    hx: [
      [1, 0, 0],
      [0, 1, 0],
    ],
    hy: [
      [1, 0, 0],
      [0, 0, 1],
    ],
    truth: [1.792481, 0.5, 0.5, 0.5, 0.292481],
  },
  "G shared latent, unequal": {
    hx: [
      [2, 0, 0],
      [0, 1, 0],
    ],
    hy: [
      [1, 0, 0],
      [0, 0, 1],
    ],
    truth: [2.292481, 1.160964, 0.5, 0.5, 0.131517],
  },
  "H two looks": { hx: [[1], [1]], hy: [[1]], truth: [1, 0.292481, 0, 0.5, 0.207519] },
  "I oblique 60°": {
    hx: [[1, 0]],
    hy: [[0.5, Math.sqrt(0.75)]],
    truth: [0.953445, 0.435107, 0.435107, 0.064893, 0.018338],
  },
  "J oblique 30°": {
    hx: [[1, 0]],
    hy: [[Math.sqrt(0.75), 0.5]],
    truth: [0.85022, 0.253725, 0.253725, 0.246275, 0.096495],
  },
};

/** `count` independent copies of a channel: every atom times `count`. */
export function copies(h: Rows, count: number): Rows {
  const width = h[0].length;
  return Array.from({ length: count }, (_, c) =>
    h.map((row) => {
      const out = new Array<number>(width * count).fill(0);
      out.splice(c * width, width, ...row);
      return out;
    }),
  ).flat();
}

export function truthOf(atoms: PidAtoms, joint: number): Truth {
  return [joint, atoms.uniqueX, atoms.uniqueY, atoms.redundancy, atoms.synergy];
}

export function assertTruth(found: Truth, wanted: Truth, tolerance: number, name: string): void {
  const worst = Math.max(...found.map((value, i) => Math.abs(value - wanted[i])));
  assert.ok(
    worst <= tolerance,
    `${name}: I U_X U_Y R S are ${found.map((v) => v.toFixed(6))}, not ${wanted} within ${tolerance}`,
  );
}

/** Gaussian rows of M, X and Y with independent noises. */
export function drawSamples(
  { hx, hy }: { hx: Rows; hy: Rows },
  n: number,
  random: Random,
): { target: Rows; x: Rows; y: Rows } {
  const target = Array.from({ length: n }, () => hx[0].map(() => random.normal()));
  const through = (h: Rows): Rows =>
    target.map((m) => h.map((row) => row.reduce((sum, value, j) => sum + value * m[j], random.normal())));
  return { target, x: through(hx), y: through(hy) };
}

/** Covariance of (M, X, Y) of channels. */
export function covarianceOfChannels({
  hx,
  hy,
  noise,
}: GaussianChannels & { hx: Rows; hy: Rows; noise?: Rows }): Rows {
  const dm = hx[0].length;
  const h = [...unitRows(dm), ...hx, ...hy];
  return h.map((row, i) =>
    h.map((other, j) => {
      const signal = row.reduce((sum, value, k) => sum + value * other[k], 0);
      const [a, b] = [i - dm, j - dm];
      if (a < 0 || b < 0) return signal;
      if (a === b) return signal + 1;
      const [x, y] = [Math.min(a, b), Math.max(a, b) - hx.length];
      return signal + (x < hx.length && y >= 0 ? (noise?.[x][y] ?? 0) : 0);
    }),
  );
}

function unitRows(n: number): Rows {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
}

/** Signs joined by exclusive-or, each seen through noise of standard deviation `sigma`. */
export function exclusiveOr(n: number, sigma: number, random: Random): { target: Rows; x: Rows; y: Rows } {
  const signs = Array.from({ length: n }, () => [2 * random.int(2) - 1, 2 * random.int(2) - 1]);
  const noisy = (read: (s: number[]) => number): Rows =>
    signs.map((s) => [read(s) + sigma * random.normal()]);
  return { target: noisy(([a, b]) => a * b), x: noisy(([a]) => a), y: noisy(([, b]) => b) };
}
