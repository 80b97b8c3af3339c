/** Calls of the runtime for experts: many experts in each where all are in memory, else one. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tensor, TypedArray } from "../../tensor.js";
import { type Engine, floats, runSession } from "../engine/engine.js";
import { visitBytes } from "../engine/estimate.js";
import { type ExpertPlace, expertMatrices, formOf } from "../engine/expert-layout.js";
import type { GraphRequest } from "../engine/pool.js";
import type { Node } from "../graph/index.js";
import { fedMatrices, type Matrices } from "../nn/index.js";

/** What a block's graph hands to its experts. */
export interface ExpertInputs {
  /** (batch, time, hidden_size) */
  readonly input: Tensor;
  /** (batch, time, experts): zero where a token does not go to an expert. */
  readonly weights: Tensor;
}

/** A token at one of its experts. */
export interface Visit {
  readonly expert: number;
  /** Row of the token in (batch · time). */
  readonly token: number;
  /** 0 for the expert that weighs most with this token, and so on. */
  readonly slot: number;
}

/** The experts of one block, and the tokens that go to them. */
export interface Run {
  readonly engine: Engine;
  readonly place: ExpertPlace;
  readonly inputs: ExpertInputs;
  /** By expert, in order: those that have tokens. */
  readonly visits: readonly (readonly Visit[])[];
  readonly signal?: AbortSignal;
}

/** What to compute with the experts. */
export interface ExpertWork {
  /** Names the graph: work of one name builds the same graph. */
  readonly name: string;
  readonly build: (all: readonly Matrices[]) => Readonly<Record<string, Node>>;
  readonly outputs: readonly string[];
  /** Whether most runs need this graph: where its weights stay in memory, they are repacked. */
  readonly usual?: boolean;
  /** How many vectors each visit is computed on (default 1). */
  readonly vectors?: number;
  /** Inputs besides the tokens and their weights. */
  readonly feeds?: (own: readonly Visit[]) => Readonly<Record<string, Tensor>>;
  /** Is given what comes of a call, and whose rows these are. */
  readonly take: (results: Readonly<Record<string, Tensor>>, own: readonly Visit[]) => void;
}

/** How long the experts may hold the event loop, ms. */
const TURN = 50;

/** Runs one graph for every expert that has tokens, in order. */
export async function forEachCall(run: Run, work: ExpertWork): Promise<void> {
  const { request, most, withExperts } = run.engine.resident ? resident(run, work) : streamed(run, work);
  await run.engine.pool.use(request, async (session) => {
    let turned = performance.now();
    for (const own of callsOf(run.visits, most)) {
      run.signal?.throwIfAborted();
      const tokens = { ...tokensOf(run, own), ...work.feeds?.(own) };
      const results = await withExperts(own, (experts) =>
        runSession(run.engine, session, { ...experts, ...tokens }, work.outputs),
      );
      work.take(results, own);
      if (performance.now() - turned < TURN) continue;
      await nextTurn();
      turned = performance.now();
    }
  });
}

type Feeds = Readonly<Record<string, Tensor<TypedArray>>>;
type Results = Promise<Record<string, Tensor>>;

/** How experts get into calls. */
interface Way {
  readonly request: GraphRequest;
  /** Visits of one call at most; those of one expert stay together. */
  readonly most: number;
  /** Runs `compute` with what the graph is given of the experts themselves. */
  readonly withExperts: (own: readonly Visit[], compute: (experts: Feeds) => Results) => Results;
}

/** A graph for each block, which holds all its experts: those without tokens in a call cost next to nothing. */
function resident({ engine, place }: Run, { name, build, usual, vectors = 1 }: ExpertWork): Way {
  return {
    request: {
      key: `${place.prefix}experts, ${name}`,
      build: () => build(expertMatrices(engine.checkpoint, place)),
      prepack: usual ?? false,
    },
    most: engine.workLimit / (vectors * visitBytes(engine, place.experts)),
    withExperts: (own, compute) => compute({ counts: countsOf(place, own) }),
  };
}

/** One graph for all experts of all blocks, which is given the matrices of one: only those that have tokens are read. */
function streamed({ engine, place }: Run, { name, build }: ExpertWork): Way {
  const { experts, hidden } = place;
  const form = formOf(engine.checkpoint, place);
  return {
    request: {
      key: `an expert, ${name}, ${form} ${experts.expertDim}`,
      build: () => build([fedMatrices(experts, hidden, form)]),
      prepack: false,
    },
    most: 0,
    withExperts: (own, compute) =>
      engine.experts.use(place, own[0].expert, (weights) => compute({ ...weights })),
  };
}

/** The visits of each call. */
function callsOf(visits: Run["visits"], most: number): Visit[][] {
  const calls: Visit[][] = [];
  for (const own of visits) {
    const last = calls[calls.length - 1];
    if (last && last.length + own.length <= most) for (const visit of own) last.push(visit);
    else calls.push([...own]);
  }
  return calls;
}

/** How many of the visits each expert has. */
function countsOf({ experts: { count } }: ExpertPlace, own: readonly Visit[]): Tensor<BigInt64Array> {
  const data = new BigInt64Array(count);
  for (const { expert } of own) data[expert]++;
  return { data, shape: [count] };
}

/** The rows of a call's tokens, and what their experts weigh with them. */
function tokensOf(
  { engine, inputs: { input, weights } }: Run,
  own: readonly Visit[],
): Record<"x" | "weight", Tensor> {
  const count = weights.shape[2];
  const weight = floats(engine, own.length);
  own.forEach(({ token, expert }, i) => {
    weight[i] = weights.data[token * count + expert];
  });
  const tokens = own.map(({ token }) => token);
  return {
    x: gathered(engine, input, tokens, input.shape[2]),
    weight: { data: weight, shape: [own.length, 1] },
  };
}

/** Rows of a tensor of rows of `width`. */
export function gathered(
  engine: Pick<Engine, "float">,
  x: Tensor,
  rows: readonly number[],
  width: number,
): Tensor {
  const data = floats(engine, rows.length * width);
  rows.forEach((row, i) => {
    data.set(x.data.subarray(row * width, (row + 1) * width), i * width);
  });
  return { data, shape: [rows.length, width] };
}
