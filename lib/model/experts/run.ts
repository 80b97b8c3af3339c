/** The experts of a sparse block at work: those that the router chose, each once, on all its tokens. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { ModalscopeError } from "../../errors.js";
import type { LongCall } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import { type Engine, floats, runSession } from "../engine.js";
import type { Node } from "../graph/node.js";
import type { Pass } from "../pass.js";
import { EXPERT_INDICES, EXPERT_POST, type ExpertPart, expertGraph, type MatrixForm } from "./graph.js";
import type { ExpertPlace } from "./weights.js";

/** What a block's graph hands to its experts. */
export interface ExpertInputs {
  /** (batch, time, hidden_size) */
  readonly input: Tensor;
  /** (batch, time, experts): zero where a token does not go to an expert. */
  readonly weights: Tensor;
}

/** A token's place with one expert. */
export interface Visit {
  /** Row of the token in (batch · time). */
  readonly token: number;
  /** 0 for the expert that weighs most with this token, and so on. */
  readonly slot: number;
}

/** Expert → the tokens that go to it, padding left out. */
export type Visits = ReadonlyMap<number, readonly Visit[]>;

/** What is done with the values between the graphs. */
export interface Watch extends LongCall {
  /** Whether a hook is captured or edited. */
  readonly touches: (local: string) => boolean;
  /** Captures and edits a hook's value. */
  readonly at: (local: string, x: Tensor) => Tensor;
}

/** Where a block's experts are. */
export function placeOf({ family, config }: Pick<Engine, "family" | "config">, layer: number): ExpertPlace {
  const experts = family.experts!(config, layer)!;
  return { prefix: family.names.layer(layer), experts, hidden: config.hidden_size };
}

/** Σₑ weightₑ · expertₑ(input): (batch, time, hidden_size), zeros at padding. */
export async function runExperts(
  engine: Engine,
  layer: number,
  pass: Pass,
  inputs: ExpertInputs,
  watch: Watch,
): Promise<Tensor> {
  const place = placeOf(engine, layer);
  const visits = visitsOf(inputs.weights, pass);
  if (watch.touches(EXPERT_INDICES)) watch.at(EXPERT_INDICES, indices(engine, place, inputs, visits));
  const run = { engine, place, inputs, visits, signal: watch.signal };
  const out = zeros(engine, inputs, place.hidden);
  const add = (rows: Float32Array, own: readonly Visit[]): void => addRows(rows, own, out, place.hidden);
  if (!watch.touches(EXPERT_POST)) {
    await runPart(run, "whole", add);
    return out;
  }
  const { perToken, inner } = place.experts;
  const rowOf = ({ token, slot }: Visit): number => token * perToken + slot;
  checkSlots(place, inputs, visits, EXPERT_POST);
  const computed = zeros(engine, inputs, perToken, inner);
  await runPart(run, "inner", (rows, own) => {
    own.forEach((visit, i) => {
      computed.data.set(rows.subarray(i * inner, (i + 1) * inner), rowOf(visit) * inner);
    });
  });
  const post = watch.at(EXPERT_POST, computed);
  await runPart(run, "outer", add, (own) => ({ post: gathered(engine, post, own.map(rowOf), inner) }));
  return out;
}

/** The experts of one block on the tokens of one pass. */
export interface Run {
  readonly engine: Engine;
  readonly place: ExpertPlace;
  readonly inputs: ExpertInputs;
  readonly visits: Visits;
  readonly signal?: AbortSignal;
}

/** Runs a part of every expert that has tokens; `take` is given the rows that come of it and whose they are. */
function runPart(
  run: Run,
  part: ExpertPart,
  take: (rows: Float32Array, own: readonly Visit[]) => void,
  feeds: ExpertWork["feeds"] = () => ({}),
): Promise<void> {
  const { experts, hidden } = run.place;
  const output = part === "inner" ? "post" : "out";
  return forEachExpert(run, {
    name: part,
    build: (form) => ({ [output]: expertGraph(experts, hidden, form, part)[output] }),
    feeds,
    take: (results, own) => take(results[output].data, own),
  });
}

/** What to compute with each expert. */
interface ExpertWork {
  /** Names the graph: work of one name builds the same graph. */
  readonly name: string;
  readonly build: (form: MatrixForm) => Readonly<Record<string, Node>>;
  /** Inputs besides the tokens, their weights and the expert's matrices. */
  readonly feeds: (own: readonly Visit[]) => Readonly<Record<string, Tensor>>;
  readonly take: (results: Readonly<Record<string, Tensor>>, own: readonly Visit[], e: number) => void;
}

/** How long the experts may hold the event loop, ms. */
const TURN = 50;

/** Runs one graph for every expert that has tokens, in order; the expert's matrices are inputs. */
export async function forEachExpert(run: Run, work: ExpertWork): Promise<void> {
  const { engine, place, inputs, visits, signal } = run;
  const form = engine.experts.formOf(place);
  const build = (): Readonly<Record<string, Node>> => work.build(form);
  const key = `experts ${work.name} ${form} ${place.experts.inner}`;
  await engine.pool.use({ key, build, prepack: false }, async (session) => {
    let turned = performance.now();
    for (const [e, own] of visits) {
      signal?.throwIfAborted();
      const tokens = { ...tokensOf(engine, inputs, e, own), ...work.feeds(own) };
      const results = await engine.experts.use(place, e, (weights) =>
        runSession(engine, session, { ...weights, ...tokens }, session.outputNames),
      );
      work.take(results, own, e);
      if (performance.now() - turned < TURN) continue;
      await nextTurn();
      turned = performance.now();
    }
  });
}

/** The rows of one expert's tokens, and its weight in each. */
function tokensOf(
  engine: Engine,
  { input, weights }: ExpertInputs,
  e: number,
  own: readonly Visit[],
): { x: Tensor; weight: Tensor } {
  const tokens = own.map(({ token }) => token);
  const weight = floats(engine, own.length);
  tokens.forEach((token, i) => {
    weight[i] = weights.data[token * weights.shape[2] + e];
  });
  return {
    x: gathered(engine, input, tokens, input.shape[2]),
    weight: { data: weight, shape: [own.length, 1] },
  };
}

/** Which tokens go to which expert, by experts in order. */
export function visitsOf({ data, shape: [, time, count] }: Tensor, { columns, start }: Pass): Visits {
  const visits = new Map<number, Visit[]>();
  columns.forEach((row, b) => {
    for (const column of row) {
      const token = b * time + column - start;
      const weightOf = (e: number): number => data[token * count + e];
      const chosen: number[] = [];
      for (let e = 0; e < count; e++) if (weightOf(e) !== 0) chosen.push(e);
      chosen.sort((a, b) => weightOf(b) - weightOf(a));
      chosen.forEach((e, slot) => {
        const own = visits.get(e);
        if (own) own.push({ token, slot });
        else visits.set(e, [{ token, slot }]);
      });
    }
  });
  return new Map([...visits].sort(([a], [b]) => a - b));
}

/** (batch, time, k): each token's experts, the one that weighs most first; −1 where there are fewer than k. */
function indices(engine: Engine, place: ExpertPlace, inputs: ExpertInputs, visits: Visits): Tensor {
  const { perToken } = place.experts;
  checkSlots(place, inputs, visits, EXPERT_INDICES);
  const out = zeros(engine, inputs, perToken);
  out.data.fill(-1);
  for (const [e, own] of visits) for (const { token, slot } of own) out.data[token * perToken + slot] = e;
  return out;
}

/** An edit of the weights may send a token to more experts than the router does. */
function checkSlots({ experts }: ExpertPlace, { input }: ExpertInputs, visits: Visits, hook: string): void {
  for (const own of visits.values()) {
    const many = own.find(({ slot }) => slot >= experts.perToken);
    if (!many) continue;
    const [row, column] = [Math.floor(many.token / input.shape[1]), many.token % input.shape[1]];
    throw new ModalscopeError(
      `"${hook}" has room for ${experts.perToken} experts of each token.`,
      `Edited weights send a token (row ${row}, column ${column} of this pass) to more.`,
      "Capture mlp.hook_expert_weights, which names all of them.",
    );
  }
}

/** Zeros for every token: (batch, time, …shape). */
function zeros(engine: Engine, { input }: ExpertInputs, ...shape: number[]): Tensor {
  const whole = [...input.shape.slice(0, 2), ...shape];
  return {
    data: floats(
      engine,
      whole.reduce((a, b) => a * b, 1),
    ),
    shape: whole,
  };
}

/** Rows of a tensor of rows of `width`. */
function gathered(engine: Engine, x: Tensor, rows: readonly number[], width: number): Tensor {
  const data = floats(engine, rows.length * width);
  rows.forEach((row, i) => {
    data.set(x.data.subarray(row * width, (row + 1) * width), i * width);
  });
  return { data, shape: [rows.length, width] };
}

/** Adds rows to their tokens'. */
function addRows(rows: Float32Array, own: readonly Visit[], { data }: Tensor, width: number): void {
  own.forEach(({ token }, i) => {
    for (let j = 0; j < width; j++) data[token * width + j] += rows[i * width + j];
  });
}
