import { symmetricEigen } from "../linalg/eigen.js";
import { asMatrix, identity, type Matrix, stack, transpose, zeros } from "../linalg/matrix.js";
import { gram } from "../linalg/products.js";
import type { GaussianChannels, PidDimensions } from "./channels.js";
import { type GaussianPid, gaussianPid } from "./gaussian-pid.js";

/** A null model: the covariance of (M, X, Y) and its exact decomposition. */
export interface NullModel {
  readonly covariance: Matrix;
  readonly pid: GaussianPid;
}

/**
 * Two sources with one and the same channel and independent noises. The channel has the directions and relative gains of
 * the mean of both sources' `HᵀH`, the strongest where a source has fewer dimensions, scaled to carry `bits`.
 */
export function equalChannelsNull(
  { hx, hy }: GaussianChannels,
  dimensions: PidDimensions,
  bits: number,
): NullModel {
  const { target: dm, x: dx, y: dy } = dimensions;
  const mean = gram(transpose(stack([asMatrix(hx), asMatrix(hy)])));
  const { values, vectors } = symmetricEigen(mean);
  const powers = values.slice(0, Math.min(dx, dy, dm)).map((value) => Math.max(value, 0));
  const factor = scaleToInformation(powers, bits);
  const channel = (rows: number): Matrix => {
    const out = zeros(rows, dm);
    powers.forEach((power, i) => {
      for (let j = 0; j < dm; j++)
        out.data[i * dm + j] = Math.sqrt(factor * power) * vectors.data[i * dm + j];
    });
    return out;
  };
  const channels = { hx: channel(dx), hy: channel(dy) };
  const covariance = gram(stack([identity(dm), channels.hx, channels.hy]));
  const size = dm + dx + dy;
  for (let i = dm; i < size; i++) covariance.data[i * size + i] += 1;
  return { covariance, pid: gaussianPid(channels) };
}

/** The s with `½ Σ log₂(1 + s·power) = bits`, by bisection of its logarithm. */
function scaleToInformation(powers: Float64Array, bits: number): number {
  if (!(bits > 0 && powers[0] > 0)) return 0;
  const carried = (s: number): number =>
    powers.reduce((sum, power) => sum + 0.5 * Math.log2(1 + s * power), 0);
  let low = -40;
  let high = 40;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (carried(2 ** middle / powers[0]) < bits) low = middle;
    else high = middle;
  }
  return 2 ** low / powers[0];
}
