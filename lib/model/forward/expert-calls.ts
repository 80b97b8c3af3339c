/** Calls of the runtime for experts: many experts in each where all are in memory, else one. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tensor, TypedArray } from "../../tensor.js";
import {
  type Engine,
  type ExpertPlace,
  expertMatrices,
  floats,
  formOf,
  type GraphRequest,
  routeBytes,
  runSession,
} from "../engine/index.js";
import type { Node } from "../graph/index.js";
import { fedMatrices, type Matrices } from "../nn/index.js";

/** Inputs of a block's experts, from the block's graph. */
export interface ExpertInputs {
  /** (batch, time, hidden_size) */
  readonly input: Tensor;
  /** (batch, time, experts): zero where a token does not go to an expert. */
  readonly weights: Tensor;
}

/** A token at one of its experts. */
export interface Route {
  readonly expert: number;
  /** Row of the token in (batch · time). */
  readonly token: number;
  /** 0 for the expert that weighs most with this token, and so on. */
  readonly slot: number;
}

/** The experts of one block, and the tokens that go to them. */
export interface ExpertRun {
  readonly engine: Engine;
  readonly place: ExpertPlace;
  readonly inputs: ExpertInputs;
  /** By expert, in order: those that have tokens. */
  readonly routes: readonly (readonly Route[])[];
  readonly signal?: AbortSignal;
}

/** A graph to run with the experts. */
export interface ExpertTask {
  /** Names the graph: work of one name builds the same graph. */
  readonly name: string;
  readonly build: (all: readonly Matrices[]) => Readonly<Record<string, Node>>;
  readonly outputs: readonly string[];
  /** True for the graph that most runs need: where its weights stay in memory, they are repacked. */
  readonly usual?: boolean;
  /** Vectors that each route is computed on (default 1). */
  readonly vectors?: number;
  /** Inputs besides the experts and their weights. */
  readonly feeds: (own: readonly Route[]) => Readonly<Record<string, Tensor<TypedArray>>>;
  /** Receives the results of a call, and the routes of their rows. */
  readonly take: (results: Readonly<Record<string, Tensor>>, own: readonly Route[]) => void;
}

/** Longest time that the experts may hold the event loop, ms. */
const MAX_BLOCKING_MS = 50;

/** Runs one graph for every expert that has tokens, in order. */
export async function forEachExpertCall(run: ExpertRun, work: ExpertTask): Promise<void> {
  const { request, maxRoutes, withExperts } = run.engine.resident
    ? residentStrategy(run, work)
    : streamedStrategy(run, work);
  await run.engine.pool.use(request, async (session) => {
    let turned = performance.now();
    for (const own of callsOf(run.routes, maxRoutes)) {
      run.signal?.throwIfAborted();
      const tokens = { weight: weightsOf(run, own), ...work.feeds(own) };
      const results = await withExperts(own, (experts) =>
        runSession(run.engine, session, { ...experts, ...tokens }, work.outputs),
      );
      work.take(results, own);
      if (performance.now() - turned < MAX_BLOCKING_MS) continue;
      await nextTurn();
      turned = performance.now();
    }
  });
}

type Feeds = Readonly<Record<string, Tensor<TypedArray>>>;
type Results = Promise<Record<string, Tensor>>;

/** The way experts get into calls. */
interface ExpertStrategy {
  readonly request: GraphRequest;
  /** Visits of one call at most; those of one expert stay together. */
  readonly maxRoutes: number;
  /** Runs `compute` with what the graph is given of the experts themselves. */
  readonly withExperts: (own: readonly Route[], compute: (experts: Feeds) => Results) => Results;
}

/** A graph for each block, which holds all its experts: those without tokens in a call cost next to nothing. */
function residentStrategy(
  { engine, place }: ExpertRun,
  { name, build, usual, vectors = 1 }: ExpertTask,
): ExpertStrategy {
  return {
    request: {
      key: `${place.prefix}experts, ${name}`,
      build: () => build(expertMatrices(engine.checkpoint, place)),
      prepack: usual ?? false,
    },
    maxRoutes: engine.workBytes / (vectors * routeBytes(engine, place.experts)),
    withExperts: (own, compute) => compute({ counts: countsOf(place, own) }),
  };
}

/** One graph for all experts of all blocks, which is given the matrices of one: only those that have tokens are read. */
function streamedStrategy({ engine, place }: ExpertRun, { name, build }: ExpertTask): ExpertStrategy {
  const { experts, hidden } = place;
  const form = formOf(engine.checkpoint, place);
  return {
    request: {
      key: `an expert, ${name}, ${form} ${experts.expertDim}`,
      build: () => build([fedMatrices(experts, hidden, form)]),
      prepack: false,
    },
    maxRoutes: 0,
    withExperts: (own, compute) =>
      engine.experts.use(place, own[0].expert, (weights) => compute({ ...weights })),
  };
}

/** The routes of each call. */
function callsOf(routes: ExpertRun["routes"], most: number): Route[][] {
  const calls: Route[][] = [];
  for (const own of routes) {
    const last = calls[calls.length - 1];
    if (last && last.length + own.length <= most) for (const route of own) last.push(route);
    else calls.push([...own]);
  }
  return calls;
}

/** Number of routes by expert. */
function countsOf({ experts: { count } }: ExpertPlace, own: readonly Route[]): Tensor<BigInt64Array> {
  const counts = new Int32Array(count);
  for (const { expert } of own) counts[expert]++;
  return { data: BigInt64Array.from(counts, BigInt), shape: [count] };
}

/** What the experts of a call weigh with their tokens: (routes, 1). */
function weightsOf({ engine, inputs: { weights } }: ExpertRun, own: readonly Route[]): Tensor {
  const count = weights.shape[2];
  const weight = floats(engine, own.length);
  own.forEach(({ token, expert }, i) => {
    weight[i] = weights.data[token * count + expert];
  });
  return { data: weight, shape: [own.length, 1] };
}

/** The rows of a call's tokens: (routes, hidden_size). */
export function tokenRows({ engine, inputs: { input } }: ExpertRun, own: readonly Route[]): Tensor {
  const tokens = own.map(({ token }) => token);
  return gatherRows(engine, input, tokens, input.shape[2]);
}

/** Rows of a tensor of rows of `width`. */
export function gatherRows(
  engine: Pick<Engine, "float">,
  x: Tensor,
  rows: readonly number[],
  width: number,
): Tensor {
  const data = floats(engine, rows.length * width);
  let to = 0;
  for (const row of rows) {
    const from = row * width;
    for (let j = 0; j < width; j++) data[to + j] = x.data[from + j];
    to += width;
  }
  return { data, shape: [rows.length, width] };
}
