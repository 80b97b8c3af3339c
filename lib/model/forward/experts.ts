/** Runs the experts of a sparse block: those that the router chose, each once, on all its tokens. */
import { ModalscopeError } from "../../errors.js";
import type { TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import { addTensors, type Pass } from "../batch/index.js";
import { type Engine, type ExpertPlace, floats, placeOf } from "../engine/index.js";
import {
  EXPERT_INDICES,
  EXPERT_POST,
  type Experts,
  expertsFromPost,
  gatheredExperts,
  slotInputs,
} from "../nn/index.js";
import {
  type ExpertInputs,
  type ExpertRun,
  type ExpertTask,
  forEachExpertCall,
  gatherRows,
  type Route,
} from "./expert-calls.js";

export type { ExpertInputs } from "./expert-calls.js";

/** Captures and edits of the values between the graphs. */
export interface ExpertHooks extends TaskOptions {
  /** True for a hook that is captured or edited. */
  readonly touches: (local: string) => boolean;
  /** Captures and edits a hook's value. */
  readonly at: (local: string, x: Tensor) => Tensor;
}

/** Σₑ weightₑ · expertₑ(input): (batch, time, hidden_size), zeros at padding. */
export async function runExperts(
  engine: Engine,
  layer: number,
  pass: Pass,
  inputs: ExpertInputs,
  hooks: ExpertHooks,
): Promise<Tensor> {
  const place = placeOf(engine, layer);
  const routes = routesOf(inputs.weights, pass);
  if (hooks.touches(EXPERT_INDICES)) hooks.at(EXPERT_INDICES, indices(engine, place, inputs, routes));
  const run = { engine, place, inputs, routes, signal: hooks.signal };
  const out = zeros(engine, inputs, place.hidden);
  const add = (rows: Float32Array, own: readonly Route[]): void => addRows(rows, own, out, place.hidden);
  const { count, topK, expertDim } = place.experts;
  if (!hooks.touches(EXPERT_POST)) {
    const fits = routes.every((own) => own.every(({ slot }) => slot < topK));
    if (engine.resident && count > 1 && fits) return summed(run, out);
    await fromInput(run, "out", add);
    return out;
  }
  const rowOf = ({ token, slot }: Route): number => token * topK + slot;
  checkSlots(place, inputs, routes, EXPERT_POST);
  const computed = zeros(engine, inputs, topK, expertDim);
  await fromInput(run, "post", (rows, own) => {
    own.forEach((route, i) => {
      computed.data.set(rows.subarray(i * expertDim, (i + 1) * expertDim), rowOf(route) * expertDim);
    });
  });
  await fromPost(run, hooks.at(EXPERT_POST, computed), rowOf, add);
  return out;
}

/** Receives the rows of a call, and the routes that they belong to. */
type Take = (rows: Float32Array, own: readonly Route[]) => void;

/**
 * The graph of all that is computed from a block's input on, and its inputs.
 * @param slots those that say which rows are a token's
 */
function forwardTask(
  { engine, inputs: { input }, place: { experts, hidden } }: ExpertRun,
  slots: (own: readonly Route[], tokens: number) => Readonly<Record<string, Tensor<BigInt64Array>>>,
): Pick<ExpertTask, "name" | "build" | "usual" | "feeds"> {
  const tokens = sizeOf(input.shape.slice(0, 2));
  const x = { data: input.data, shape: [tokens, hidden] };
  const nothing = { data: floats(engine, hidden), shape: [1, hidden] };
  return {
    name: "forward",
    build: (all) => ({ ...gatheredExperts(experts, hidden, all) }),
    usual: true,
    feeds: (own) => ({ x, rows: integers(own.map(({ token }) => token)), nothing, ...slots(own, tokens) }),
  };
}

/** Runs the experts as far as one of their two values. */
function fromInput(run: ExpertRun, output: "post" | "out", take: Take): Promise<void> {
  const none = Object.fromEntries(slotInputs(run.place.experts).map((name) => [name, integers([])]));
  return forEachExpertCall(run, {
    ...forwardTask(run, () => none),
    outputs: [output],
    take: (results, own) => take(results[output].data, own),
  });
}

/** Runs the experts, and adds up what they give to each token inside the graph; `zeros` where nothing runs. */
async function summed(run: ExpertRun, zeros: Tensor): Promise<Tensor> {
  let total: Tensor | undefined;
  await forEachExpertCall(run, {
    ...forwardTask(run, (own, tokens) => slotsOf(run.place.experts, own, tokens)),
    outputs: ["sum"],
    take({ sum: { data } }) {
      const part = { data, shape: zeros.shape };
      total = total ? addTensors(total, part) : part;
    },
  });
  return total ?? zeros;
}

/** By input of the graph: of each token the number of its first route, of its second, …; after the last where it has fewer. */
function slotsOf(
  experts: Experts,
  own: readonly Route[],
  tokens: number,
): Record<string, Tensor<BigInt64Array>> {
  const names = slotInputs(experts);
  const slots = names.map(() => new Array<number>(tokens).fill(own.length));
  const found = new Uint32Array(tokens);
  own.forEach(({ token }, row) => {
    slots[found[token]++][token] = row;
  });
  return Object.fromEntries(names.map((name, k) => [name, integers(slots[k])]));
}

function integers(numbers: readonly number[]): Tensor<BigInt64Array> {
  return { data: BigInt64Array.from(numbers, BigInt), shape: [numbers.length] };
}

/** Runs the second half of the experts, on inner values that are given: those of a route in the row `rowOf` it. */
function fromPost(run: ExpertRun, post: Tensor, rowOf: (route: Route) => number, take: Take): Promise<void> {
  const { experts, hidden } = run.place;
  return forEachExpertCall(run, {
    name: "from inner values",
    build: (all) => ({ out: expertsFromPost(experts, hidden, all) }),
    outputs: ["out"],
    feeds: (own) => ({ post: gatherRows(run.engine, post, own.map(rowOf), experts.expertDim) }),
    take: (results, own) => take(results.out.data, own),
  });
}

/** By expert, in order, the tokens that go to it, padding left out; experts without any are left out too. */
export function routesOf(
  { data, shape: [, time, count] }: Tensor,
  { tokenPositions, start }: Pass,
): Route[][] {
  const byExpert: Route[][] = Array.from({ length: count }, () => []);
  const chosen: number[] = [];
  tokenPositions.forEach((row, b) => {
    for (const column of row) {
      const token = b * time + column - start;
      const first = token * count;
      // The one that weighs most first; of equals the first.
      chosen.length = 0;
      for (let e = 0; e < count; e++) {
        const weight = data[first + e];
        if (weight === 0) continue;
        let slot = chosen.length;
        for (; slot > 0 && data[first + chosen[slot - 1]] < weight; slot--) chosen[slot] = chosen[slot - 1];
        chosen[slot] = e;
      }
      for (let slot = 0; slot < chosen.length; slot++)
        byExpert[chosen[slot]].push({ expert: chosen[slot], token, slot });
    }
  });
  return byExpert.filter((own) => own.length > 0);
}

/** (batch, time, k): each token's experts, the one that weighs most first; −1 where there are fewer than k. */
function indices(
  engine: Engine,
  place: ExpertPlace,
  inputs: ExpertInputs,
  routes: ExpertRun["routes"],
): Tensor {
  const { topK } = place.experts;
  checkSlots(place, inputs, routes, EXPERT_INDICES);
  const out = zeros(engine, inputs, topK);
  out.data.fill(-1);
  for (const { expert, token, slot } of routes.flat()) out.data[token * topK + slot] = expert;
  return out;
}

/** An edit of the weights may send a token to more experts than the router does. */
function checkSlots(
  { experts }: ExpertPlace,
  { input }: ExpertInputs,
  routes: ExpertRun["routes"],
  hook: string,
): void {
  const many = routes.flat().find(({ slot }) => slot >= experts.topK);
  if (!many) return;
  const [row, column] = [Math.floor(many.token / input.shape[1]), many.token % input.shape[1]];
  throw new ModalscopeError(
    `"${hook}" has room for ${experts.topK} experts of each token.`,
    `Edited weights send a token (row ${row}, column ${column} of this pass) to more.`,
    "Capture mlp.hook_expert_weights, which names all of them.",
  );
}

/** Zeros for every token: (batch, time, …shape). */
function zeros(engine: Engine, { input }: ExpertInputs, ...shape: number[]): Tensor {
  const whole = [...input.shape.slice(0, 2), ...shape];
  return { data: floats(engine, sizeOf(whole)), shape: whole };
}

/** Adds rows to their tokens'. */
function addRows(rows: Float32Array, own: readonly Route[], { data }: Tensor, width: number): void {
  let from = 0;
  for (const { token } of own) {
    const to = token * width;
    for (let j = 0; j < width; j++) data[to + j] += rows[from + j];
    from += width;
  }
}
