import { setImmediate as nextTurn } from "node:timers/promises";
import {
  abortSignal,
  callback,
  checkOptions,
  groupKeys,
  integer,
  numeric,
  type OptionChecks,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { type Random, seeded } from "../../random.js";
import { cholesky, logDeterminant, solveCholesky, solveLower } from "../linalg/cholesky.js";
import { columnMeans, joinColumns, type Matrix, takeRows, transpose, zeros } from "../linalg/matrix.js";
import { multiply } from "../linalg/products.js";
import type { LayerTape } from "./coupling-layer.js";
import { Flow, outputOf } from "./flow.js";
import { splitHalves } from "./halves.js";
import { covarianceOf, gaussianInformation } from "./mutual-information.js";
import {
  checkCount,
  mapVariables,
  type PidSamples,
  readSamples,
  readVariables,
  type Variables,
} from "./samples.js";

export interface CouplingFlowOptions extends TaskOptions {
  /** Cluster of each row, `(n)`: a cluster is never cut by the split. Default: each row its own. */
  readonly clusters?: ArrayLike<number | string>;
  /** Coupling layers of each variable. Default 6. */
  readonly layers?: number;
  /** Hidden units of a layer. Default 32. */
  readonly units?: number;
  /** Adam's steps at most. Default 400. */
  readonly maxSteps?: number;
  /** Default 0.005, falling to 0 by a cosine. */
  readonly learningRate?: number;
  /** Rows of a step. Default 512. */
  readonly batchSize?: number;
  /** Default 0. */
  readonly seed?: number;
}

const COUPLING_FLOW_OPTIONS: OptionChecks<CouplingFlowOptions> = {
  clusters: groupKeys,
  layers: numeric,
  units: numeric,
  maxSteps: numeric,
  learningRate: numeric,
  batchSize: numeric,
  seed: integer(),
  onProgress: callback,
  signal: abortSignal,
};

/** Samples through flows trained to make the pairs (M,X) and (M,Y) jointly Gaussian. */
export interface CoupledFlows {
  /** All rows in their order, each mapped by the flows trained on the other half; the input's where nothing was kept. */
  readonly samples: Variables<Matrix>;
  /** Whether held-out information rose in both halves. */
  readonly kept: boolean;
  /** Held-out `I(M;X) + I(M;Y)`, bits, mean of the halves, before and after the flows, kept or not. */
  readonly before: number;
  readonly after: number;
}

const names = ["target", "x", "y"] as const;

/** Occurrences of each variable in the loss: the target is in both pairs. */
const pairsOf: Variables<number> = { target: 2, x: 1, y: 1 };

/** Share of the fitted rows that chooses the step to stop at, and the steps between two looks at it. */
const validationShare = 0.2;
const stride = 20;
/** Looks without improvement before training ends. */
const patience = 6;

/**
 * Maps target and sources by invertible flows, one each, trained together on the likelihood of the *pairs* (M,X) and (M,Y)
 * under Gaussians (Zhao et al. 2025): unlike a flow for each variable's own law, which may turn Gaussians any way it
 * likes, they are drawn to where the pairs' information is visible to a covariance. Affine couplings, float64, gradients
 * written out; they start at the identity. Trained on one half with early stopping, measured on the other, and kept only
 * when `I(M;X) + I(M;Y)` rises in both held-out halves.
 *
 * A variable of one dimension has nothing to couple and stays: run `gaussianise` first, whose maps of single variables
 * tell no half about the other's pairs.
 * @throws ModalscopeError as `samplePid` does, with half of the rows.
 */
export async function couplingFlow(
  samples: PidSamples,
  options: CouplingFlowOptions = {},
): Promise<CoupledFlows> {
  checkOptions("couplingFlow", options, COUPLING_FLOW_OPTIONS);
  const { clusters, seed = 0 } = options;
  const { dimensions } = readSamples(samples);
  const variables = readVariables(samples);
  const halves = splitHalves(variables.target.shape[0], clusters, seeded(seed));
  for (const half of halves) checkCount(half.length, dimensions);
  const flows: Variables<Flow>[] = [];
  for (const [f, half] of halves.entries()) {
    const random = seeded(seed + 1 + f);
    const fit = mapVariables((name) => takeRows(variables[name], half));
    flows.push(await train(fit, random, options, f));
  }
  const mapped = flows.map((flow) => mapVariables((name) => flow[name].map(variables[name])));
  const rises = halves.map((_, f) => {
    const held = halves[1 - f];
    return { before: pairInformation(variables, held), after: pairInformation(mapped[f], held) };
  });
  const kept = rises.every(({ before, after }) => after > before);
  return {
    samples: kept ? mapVariables((name) => pool(mapped[0][name], mapped[1][name], halves)) : variables,
    kept,
    before: (rises[0].before + rises[1].before) / 2,
    after: (rises[0].after + rises[1].after) / 2,
  };
}

function pairInformation(variables: Variables<Matrix>, rows: readonly number[]): number {
  const { target, x, y } = mapVariables((name) => takeRows(variables[name], rows));
  return gaussianInformation(target, x) + gaussianInformation(target, y);
}

/**
 * Held-out rows of both flows, the second's in the linear frame of the first: the likelihood does not fix a frame, and the
 * flows' differ. The frame is a regression of one on the other over all rows of this variable.
 */
function pool(first: Matrix, second: Matrix, halves: readonly [number[], number[]]): Matrix {
  const d = first.shape[1];
  const joint = covarianceOf([second, first]);
  const own = zeros(d, d);
  const across = zeros(d, d);
  for (let i = 0; i < d; i++) {
    own.data.set(joint.data.subarray(2 * d * i, 2 * d * i + d), i * d);
    across.data.set(joint.data.subarray(2 * d * i + d, 2 * d * (i + 1)), i * d);
  }
  const frame = solveCholesky(cholesky(own, "The covariance of a flow's output"), across);
  const [from, to] = [columnMeans(second), columnMeans(first)];
  const turned = multiply({ data: second.data.map((v, k) => v - from[k % d]), shape: second.shape }, frame);
  const out = zeros(first.shape[0], d);
  for (const i of halves[1]) out.data.set(first.data.subarray(i * d, (i + 1) * d), i * d);
  for (const i of halves[0]) {
    for (let j = 0; j < d; j++) out.data[i * d + j] = turned.data[i * d + j] + to[j];
  }
  return out;
}

/** Flows of the three variables, trained on `fit`. */
async function train(
  fit: Variables<Matrix>,
  random: Random,
  {
    layers = 6,
    units = 32,
    maxSteps = 400,
    learningRate = 0.005,
    batchSize = 512,
    onProgress,
    signal,
  }: CouplingFlowOptions,
  fold: number,
): Promise<Variables<Flow>> {
  const flows = mapVariables((name) => new Flow(fit[name], layers, units, random));
  const n = fit.target.shape[0];
  const order = random.shuffle(Array.from({ length: n }, (_, i) => i));
  const held = order.slice(0, Math.floor(n * validationShare));
  const rows = order.slice(held.length);
  const white = mapVariables((name) => flows[name].whiten(fit[name]));
  const [training, validation] = [rows, held].map((chosen) =>
    mapVariables((name) => takeRows(white[name], chosen)),
  );
  let best = { loss: Number.POSITIVE_INFINITY, saved: mapVariables((name) => flows[name].save()), at: 0 };
  for (let step = 0; step <= maxSteps; step++) {
    if (step % stride === 0) {
      const loss = validationLoss(flows, training, validation);
      if (loss < best.loss) best = { loss, saved: mapVariables((name) => flows[name].save()), at: step };
      if (step - best.at >= patience * stride) break;
      onProgress?.(fold * maxSteps + step, 2 * maxSteps, "coupling flow");
      await nextTurn();
      signal?.throwIfAborted();
    }
    const count = Math.min(batchSize, rows.length);
    const chosen =
      count === rows.length ? undefined : Array.from({ length: count }, () => random.int(rows.length));
    const batch = mapVariables((name) => (chosen ? takeRows(training[name], chosen) : training[name]));
    const rate = (learningRate * (1 + Math.cos((Math.PI * step) / (maxSteps + 1)))) / 2;
    descend(flows, batch, rate, step + 1);
  }
  for (const name of names) flows[name].restore(best.saved[name]);
  return flows;
}

/** One step down the pairs' negative log-likelihood, their covariances those of the batch. */
function descend(flows: Variables<Flow>, batch: Variables<Matrix>, rate: number, step: number): void {
  const tapes = mapVariables((name) => flows[name].forward(batch[name]));
  const output = mapVariables((name) => outputOf(tapes[name], batch[name]));
  const [withX, withY] = [output.x, output.y].map((source) => logDeterminantGradient(output.target, source));
  const toTarget = zeros(...(output.target.shape as [number, number]));
  for (let k = 0; k < toTarget.data.length; k++) toTarget.data[k] = withX[0].data[k] + withY[0].data[k];
  const gradients: Variables<Matrix> = { target: toTarget, x: withX[1], y: withY[1] };
  for (const name of names) flows[name].step(tapes[name], gradients[name], -pairsOf[name], rate, step);
}

/** Gradients of `½ log |Cov(A, B)|` in the rows of A and B. */
function logDeterminantGradient(a: Matrix, b: Matrix): [Matrix, Matrix] {
  const joint = joinColumns([a, b]);
  const [n, d] = joint.shape;
  const mean = columnMeans(joint);
  const centred = { data: joint.data.map((value, k) => value - mean[k % d]), shape: joint.shape };
  const factor = cholesky(covarianceOf([joint]), "The covariance of a pair of flows");
  const slopes = transpose(solveCholesky(factor, transpose(centred)));
  const part = (left: number, width: number): Matrix => {
    const out = zeros(n, width);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < width; j++) out.data[i * width + j] = slopes.data[i * d + left + j] / (n - 1);
    }
    return out;
  };
  return [part(0, a.shape[1]), part(a.shape[1], b.shape[1])];
}

/** Mean negative log-likelihood of the validation rows' pairs, nats less a constant, under the training rows' covariance. */
function validationLoss(
  flows: Variables<Flow>,
  training: Variables<Matrix>,
  validation: Variables<Matrix>,
): number {
  const [fitted, held] = [training, validation].map((part) =>
    mapVariables((name) => flows[name].forward(part[name])),
  );
  let loss = 0;
  for (const name of names) {
    for (const { logDeterminant: log } of held[name]) loss -= pairsOf[name] * log;
  }
  for (const source of ["x", "y"] as const) {
    const pair = (tapes: Variables<LayerTape[]>, from: Variables<Matrix>): Matrix =>
      joinColumns([outputOf(tapes.target, from.target), outputOf(tapes[source], from[source])]);
    const known = pair(fitted, training);
    const seen = pair(held, validation);
    const mean = columnMeans(known);
    const factor = cholesky(covarianceOf([known]), "The covariance of a pair of flows");
    const centred = { data: seen.data.map((value, k) => value - mean[k % mean.length]), shape: seen.shape };
    const white = solveLower(factor, transpose(centred));
    const square = white.data.reduce((sum, value) => sum + value * value, 0);
    loss += 0.5 * logDeterminant(factor) + (0.5 * square) / seen.shape[0];
  }
  return loss;
}
