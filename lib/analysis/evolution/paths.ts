import { ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { symmetricEigenvalues } from "../linalg/eigen.js";
import {
  asMatrix,
  centreRows,
  dot,
  type Matrix,
  row,
  squaredDistances,
  squaredNorm,
  zeros,
} from "../linalg/matrix.js";
import { gram } from "../linalg/products.js";
import { median } from "./stages.js";
import { checkStates, pathOf } from "./states.js";

/** Distances between the tokens at each state. Their norms grow with depth: `distance` grows with them, the others do not. */
export interface Dispersion {
  /** `(states)`: root mean square of `‖x_i − x_j‖`, i ≠ j. */
  readonly distance: Float64Array;
  /** `(states)`: mean of `1 − cos(x_i, x_j)`, i ≠ j; 0 when all point the same way. */
  readonly angle: Float64Array;
  /** `(states)`: `Σ‖x − x̄‖²/Σ‖x‖²`; 0 when all are the same, 1 when their mean is 0. */
  readonly relative: Float64Array;
}

/**
 * Do encodings diverge with depth? Measured in the original space, where t-SNE plots only suggest it; see `trend`
 * for one number from each curve.
 * @param states `(states, tokens, width)`: the tokens of one text, or one position of several images.
 */
export function dispersion(states: Tensor): Dispersion {
  const [depth, n, width] = checkStates(states);
  if (n < 2) throw new ModalscopeError("A spread needs two tokens or more.");
  const out: Dispersion = {
    distance: new Float64Array(depth),
    angle: new Float64Array(depth),
    relative: new Float64Array(depth),
  };
  for (let s = 0; s < depth; s++) {
    const x = Float64Array.from(states.data.subarray(s * n * width, (s + 1) * n * width));
    const rows: Matrix = { data: x, shape: [n, width] };
    const about = squaredNorm(centreRows(rows).data);
    const directions = new Float64Array(width);
    for (let i = 0; i < n; i++) {
      const vector = row(rows, i);
      const norm = Math.sqrt(squaredNorm(vector));
      if (norm === 0) throw new ModalscopeError(`Token ${i} is 0 at state ${s}.`, "It has no direction.");
      for (let j = 0; j < width; j++) directions[j] += vector[j] / norm;
    }
    // Σ_{i≠j} u_i·u_j = ‖Σu‖² − n, and Σ_{i≠j} ‖x_i − x_j‖² = 2n Σ‖x − x̄‖².
    out.distance[s] = Math.sqrt((2 * about) / (n - 1));
    out.angle[s] = 1 - (squaredNorm(directions) - n) / (n * (n - 1));
    out.relative[s] = about / squaredNorm(x);
  }
  return out;
}

/** The steps of one token's way through the states. */
export interface PathSteps {
  /** The longest step as a share of the path, and its block: large where shallow and deep states fall apart. */
  readonly longest: { readonly block: number; readonly share: number };
  /** The median step as a share of the path. */
  readonly medianStep: number;
}

/** The shape of one token's way through the states. */
export interface PathShape extends PathSteps {
  /** Share of the states' variance along their first principal axis; 1 on a line. */
  readonly linearity: number;
  /** `‖x_last − x_first‖ / Σ‖steps‖` (straightness index, Batschelet 1981); 1 when straight and one way. */
  readonly straightness: number;
  /**
   * The same two of a walk with steps of the same lengths, each at right angles to all others: what random directions
   * give in many dimensions. A long random walk has linearity 6/π² = 0.61 (Antognini & Sohl-Dickstein 2018), so only
   * what is above is a finding.
   */
  readonly walk: { readonly linearity: number; readonly straightness: number };
  /** Share of the states whose nearest other state is a neighbour in depth. */
  readonly orderly: number;
}

/** Linearity of each token's path, by token. @param states `(states, tokens, width)`, three states or more. */
export function pathShapes(states: Tensor): PathShape[] {
  return pathsOf(states).map(shapeOf);
}

/** The steps alone of {@link pathShapes}, which take a small part of its time. */
export function pathSteps(states: Tensor): PathSteps[] {
  return pathsOf(states).map((path, t) => {
    const [depth, width] = path.shape;
    const lengths = Float64Array.from({ length: depth - 1 }, (_, b) => {
      let square = 0;
      for (let j = b * width; j < (b + 1) * width; j++) square += (path.data[j] - path.data[j + width]) ** 2;
      return Math.sqrt(square);
    });
    const { longest, medianStep } = stepsOf(lengths, t);
    return { longest, medianStep };
  });
}

function pathsOf(states: Tensor): Matrix[] {
  const [depth, n, width] = checkStates(states);
  if (depth < 3) throw new ModalscopeError("A path of two states is always straight.");
  return Array.from({ length: n }, (_, t) => asMatrix(pathOf(states, t, width), `Token ${t}'s path`));
}

function stepsOf(lengths: Float64Array, t: number): PathSteps & { readonly total: number } {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total === 0) throw new ModalscopeError(`Token ${t} never moves.`, "It has no path.");
  const longest = lengths.reduce((at, length, b) => (length > lengths[at] ? b : at), 0);
  return {
    total,
    longest: { block: longest, share: lengths[longest] / total },
    medianStep: median(lengths) / total,
  };
}

function shapeOf(path: Matrix, t: number): PathShape {
  const depth = path.shape[0];
  const apart = squaredDistances(path, path);
  const lengths = Float64Array.from({ length: depth - 1 }, (_, b) =>
    Math.sqrt(apart.data[b * depth + b + 1]),
  );
  const { total, longest, medianStep } = stepsOf(lengths, t);
  // The walk lives in as many dimensions as it has steps.
  const walk = zeros(depth, depth - 1);
  for (let s = 0; s < depth; s++) for (let b = 0; b < s; b++) walk.data[s * (depth - 1) + b] = lengths[b];
  let orderly = 0;
  for (let s = 0; s < depth; s++) {
    const others = Array.from(row(apart, s), (d, o) => (o === s ? Number.POSITIVE_INFINITY : d));
    const least = Math.min(...others);
    if (others[s - 1] === least || others[s + 1] === least) orderly++;
  }
  return {
    linearity: firstShare(path),
    straightness: Math.sqrt(apart.data[depth - 1]) / total,
    walk: { linearity: firstShare(walk), straightness: Math.sqrt(dot(lengths, lengths)) / total },
    orderly: orderly / depth,
    longest,
    medianStep,
  };
}

/** Largest eigenvalue of the rows' covariance as a share of their sum. */
function firstShare(rows: Matrix): number {
  const values = symmetricEigenvalues(gram(centreRows(rows)));
  return values[0] / values.reduce((sum, value) => sum + Math.max(value, 0), 0);
}
