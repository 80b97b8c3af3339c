/** Cotangents through the experts of a sparse block. */
import { sizeOf, type Tensor } from "../../tensor.js";
import type { Pass } from "../batch/index.js";
import { type Engine, floats, placeOf, type RunContext } from "../engine/index.js";
import { type ExpertInputs, forEachExpertCall, type Route, routesOf, tokenRows } from "../forward/index.js";
import { derivativeBy } from "../graph/index.js";
import { expertBackward } from "../nn/index.js";

/** Derivatives by what the experts of a block read. */
export interface ExpertCotangents {
  /** (targets, batch, time, hidden_size) */
  readonly input: Tensor;
  /** (targets, batch, time, experts): zero where an expert is not chosen, the choice being a constant. */
  readonly weights: Tensor;
  /** (targets, batch, time, k, inner), by `mlp.hook_post`. */
  readonly post: Tensor;
}

/**
 * Pulls a cotangent of `hook_mlp_out` back through the experts that ran.
 * @param g (targets, batch, time, hidden_size)
 * @param frozenPost takes `mlp.hook_post` as a constant: the input is then reached by the weights alone
 */
export async function vjpExperts(
  { engine, pass, signal }: Pick<RunContext, "engine" | "signal"> & { readonly pass: Pass },
  layer: number,
  inputs: ExpertInputs,
  g: Tensor,
  frozenPost: boolean,
): Promise<ExpertCotangents> {
  const place = placeOf(engine, layer);
  const { experts, hidden } = place;
  const { topK, expertDim } = experts;
  const lead = g.shape.slice(0, 3);
  const zeros = (...shape: number[]): Tensor => {
    const whole = [...lead, ...shape];
    return { data: floats(engine, sizeOf(whole)), shape: whole };
  };
  const found = { input: zeros(hidden), weights: zeros(experts.count), post: zeros(topK, expertDim) };
  const routes = routesOf(inputs.weights, pass);
  const [dx, dWeight, dPost] = ["x", "weight", "post"].map(derivativeBy);
  const outputs = [...(frozenPost ? [] : [dx]), dWeight, dPost];
  const run = { engine, place, inputs, routes, signal };
  await forEachExpertCall(run, {
    name: frozenPost ? "back, inner values frozen" : "back",
    build: (all) => expertBackward(experts, hidden, all, frozenPost),
    outputs,
    vectors: 1 + lead[0],
    feeds: (own) => ({ x: tokenRows(run, own), g: targetRows(engine, g, own) }),
    take: (d, own) => {
      if (!frozenPost) scatter(d[dx], own, found.input, ({ token }) => token * hidden);
      scatter(d[dWeight], own, found.weights, ({ token, expert }) => token * experts.count + expert);
      scatter(d[dPost], own, found.post, ({ token, slot }) => (token * topK + slot) * expertDim);
    },
  });
  return found;
}

/** Tokens of each target: (targets, batch, time, width) → (targets, tokens, width). */
function targetRows(engine: Engine, g: Tensor, own: readonly Route[]): Tensor {
  const [targets, batch, time, width] = g.shape;
  const data = floats(engine, targets * own.length * width);
  for (let m = 0; m < targets; m++) {
    own.forEach(({ token }, i) => {
      const from = (m * batch * time + token) * width;
      data.set(g.data.subarray(from, from + width), (m * own.length + i) * width);
    });
  }
  return { data, shape: [targets, own.length, width] };
}

/** Adds (targets, tokens, width) to where each route lies within a target of `into`. */
function scatter(rows: Tensor, own: readonly Route[], into: Tensor, offset: (route: Route) => number): void {
  const [targets, , width] = rows.shape;
  const perTarget = into.data.length / targets;
  for (let m = 0; m < targets; m++) {
    own.forEach((route, i) => {
      const to = m * perTarget + offset(route);
      const from = (m * own.length + i) * width;
      for (let j = 0; j < width; j++) into.data[to + j] += rows.data[from + j];
    });
  }
}
