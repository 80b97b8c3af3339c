import { setImmediate as nextTurn } from "node:timers/promises";
import { ModalscopeError } from "../../errors.js";
import {
  abortSignal,
  callback,
  checkOptions,
  listOf,
  numeric,
  type OptionChecks,
  record,
  required,
  sequence,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { at0, type Tensor } from "../../tensor.js";
import { entropy, jsDivergence, softmax } from "../distance/divergence.js";
import type { ReadingRequest, Readings, Unembedding } from "../lens.js";
import { checkSame, type Matrix, zeros } from "../linalg/matrix.js";
import { checkStates, pathOf } from "./states.js";

/** Options of {@link earlyExit}. */
export interface EarlyExitOptions extends TaskOptions {
  /** The token that follows each position, `(tokens)`: what was generated there. */
  readonly tokens: ArrayLike<number>;
  /** Tokens to follow besides, by position: what would have been true there, say. */
  readonly follow?: readonly (readonly number[])[];
  /** Number of the likeliest other tokens that are followed at each position. Default 4. */
  readonly runnersUp?: number;
  /** Runners-up are those with the largest probability at any state from this one on. Default: the middle one. */
  readonly runnersUpFrom?: number;
  /** Distributions that every state is compared with, as logits `(tokens, vocabulary)`: the language-only prior, say. */
  readonly references?: Readonly<Record<string, Tensor>>;
  /** The same as states `(tokens, width)`, read through the same norm and head: no logits are needed. */
  readonly referenceStates?: Readonly<Record<string, Tensor>>;
}

const EARLY_EXIT_OPTIONS: OptionChecks<EarlyExitOptions> = {
  tokens: required(sequence, "a list of tokens"),
  follow: listOf(sequence),
  runnersUp: numeric,
  runnersUpFrom: numeric,
  references: record,
  referenceStates: record,
  onProgress: callback,
  signal: abortSignal,
};

/** A token that is followed through the states at one position. */
export interface Candidate {
  readonly id: number;
  /** `(states)`. */
  readonly probability: Float64Array;
}

/**
 * Readings of the head at each state. With L blocks there are L+1 states: state 0 enters block 0, state j leaves
 * block j−1 (the document's layer j).
 */
export interface EarlyExit {
  /** `(tokens)`. */
  readonly tokens: Int32Array;
  /** `(states, tokens)`: probability of the token that was generated. */
  readonly probability: Matrix;
  /** `(states, tokens)`: its place among all tokens; 1 is the likeliest. */
  readonly rank: Matrix;
  /** `(states, tokens)`, bits. */
  readonly entropy: Matrix;
  /** `(blocks, tokens)`: Jensen–Shannon divergence, in bits, of the distributions before and after a block. */
  readonly change: Matrix;
  /** By position: the generated token, those of `follow`, then the runners-up, likeliest first. */
  readonly candidates: readonly (readonly Candidate[])[];
  /** By reference, `(states, tokens)`: Jensen–Shannon divergence from it in bits. */
  readonly distance: Readonly<Record<string, Matrix>>;
}

/**
 * Early exit (the logit lens at every block): the next-token distribution that each state would give if the model
 * stopped there, read through the final norm and head.
 * @param states `(states, tokens, width)`, see stackStates and statesOfSteps.
 * @param unembedding final norm and head; without readings of its own it is called once for each position with all of
 * its states, so that memory holds one position's distributions and no more.
 * @throws ModalscopeError when the sizes disagree or a token is outside the vocabulary.
 */
export async function earlyExit(
  states: Tensor,
  unembedding: Pick<Unembedding, "forward" | "read">,
  options: EarlyExitOptions,
): Promise<EarlyExit> {
  checkOptions("earlyExit", options, EARLY_EXIT_OPTIONS);
  const { tokens, follow, runnersUp = 4, runnersUpFrom, onProgress, signal } = options;
  const { references = {}, referenceStates = {} } = options;
  const [depth, count] = checkStates(states);
  checkSame("earlyExit", tokens.length, count, "tokens and positions");
  if (follow) checkSame("earlyExit", follow.length, count, "lists to follow and positions");
  for (const [name, { shape }] of Object.entries({ ...references, ...referenceStates })) {
    checkSame(`earlyExit's reference "${name}"`, shape[0], count, "positions");
  }
  for (const [name, { shape }] of Object.entries(referenceStates)) {
    checkSame(`earlyExit's reference "${name}"`, shape[1], states.shape[2], "dimensions");
  }
  const from = runnersUpFrom ?? Math.floor(depth / 2);
  const read = unembedding.read?.bind(unembedding) ?? readingsOf(unembedding);
  const probability = zeros(depth, count);
  const rank = zeros(depth, count);
  const bits = zeros(depth, count);
  const change = zeros(depth - 1, count);
  const names = [...Object.keys(references), ...Object.keys(referenceStates)];
  const besides = Object.values(referenceStates);
  const distance = Object.fromEntries(names.map((name) => [name, zeros(depth, count)]));
  const candidates: Candidate[][] = [];
  const chosen = Array.from({ length: count }, (_, t) => [...new Set([tokens[t], ...(follow?.[t] ?? [])])]);
  const each = Math.max(...chosen.map((ids) => ids.length));
  // Without readings of its own the head gives all logits: one position's at a time.
  const together = unembedding.read ? Math.max(1, Math.floor(ROWS_TOGETHER / (depth + besides.length))) : 1;
  for (let start = 0; start < count; start += together) {
    signal?.throwIfAborted();
    const own = chosen.slice(start, start + together);
    const found = await read(positionsOf(states, besides, start, own.length), {
      ids: own.map((ids) => Array.from({ length: each }, (_, i) => ids[i] ?? ids[0])),
      top: runnersUp === 0 ? 0 : runnersUp + each,
      topFrom: from,
      references: Object.values(references).map((logits) => rowsOf(logits, start, own.length)),
      referenceStates: besides.length,
    });
    own.forEach((ids, i) => {
      const t = start + i;
      for (let s = 0; s < depth; s++) {
        const at = s * count + t;
        const cell = i * depth + s;
        probability.data[at] = found.probability.data[cell * each];
        rank.data[at] = found.rank.data[cell];
        bits.data[at] = found.entropy.data[cell];
        if (s > 0) change.data[at - count] = found.change.data[i * (depth - 1) + s - 1];
        names.forEach((name, r) => {
          distance[name].data[at] = found.distances[r].data[cell];
        });
      }
      candidates.push(candidatesAt(found, i, ids, runnersUp));
    });
    onProgress?.(Math.min(count, start + together), count, "early exit");
    await nextTurn();
  }
  return { tokens: Int32Array.from(tokens), probability, rank, entropy: bits, change, candidates, distance };
}

/** States that go through the head together: its matrix is read once for them. */
const ROWS_TOGETHER = 64;

/** The followed tokens of a position, then the likeliest of the others. */
function candidatesAt(
  found: Readings,
  position: number,
  ids: readonly number[],
  runnersUp: number,
): Candidate[] {
  const [, depth, each] = found.probability.shape;
  const top = found.topIds.shape[1];
  const curve = (from: Readings["probability"], width: number, index: number): Float64Array =>
    Float64Array.from({ length: depth }, (_, s) => from.data[(position * depth + s) * width + index]);
  const others = Array.from({ length: top }, (_, i) => ({ id: found.topIds.data[position * top + i], i }))
    .filter(({ id }) => !ids.includes(id))
    .slice(0, runnersUp);
  return [
    ...ids.map((id, i) => ({ id, probability: curve(found.probability, each, i) })),
    ...others.map(({ id, i }) => ({ id, probability: curve(found.topProbability, top, i) })),
  ];
}

/** (states, tokens, width) → (positions, states, width) of some tokens, with their rows of `besides` behind. */
function positionsOf(states: Tensor, besides: readonly Tensor[], start: number, count: number): Tensor {
  const [depth, , width] = states.shape;
  const all = depth + besides.length;
  const data = new Float32Array(count * all * width);
  for (let t = 0; t < count; t++) {
    data.set(pathOf(states, start + t, width).data, t * all * width);
    besides.forEach((own, i) => {
      data.set(rowsOf(own, start + t, 1).data, (t * all + depth + i) * width);
    });
  }
  return { data, shape: [count, all, width] };
}

function rowsOf({ data, shape }: Tensor, start: number, count: number): Tensor {
  return { data: data.subarray(start * shape[1], (start + count) * shape[1]), shape: [count, shape[1]] };
}

/** The readings of one position from its logits, in float64. */
function readingsOf(
  unembedding: Pick<Unembedding, "forward">,
): (states: Tensor, request: ReadingRequest) => Promise<Readings> {
  return async (states, { ids: [ids], top, topFrom, references, referenceStates }) => {
    const depth = states.shape[1] - referenceStates;
    const all = await distributions(at0(states, 0), unembedding);
    const p = all.slice(0, depth);
    const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < p[0].length));
    if (wrong !== undefined)
      throw new ModalscopeError(`Token ${wrong} is not one of the ${p[0].length} tokens.`);
    const over = (length: number, value: (state: number) => number): Tensor<Float64Array> => ({
      data: Float64Array.from({ length }, (_, s) => value(s)),
      shape: [1, length],
    });
    const above = (row: Float64Array): number =>
      row.reduce((count, value) => count + (value > row[ids[0]] ? 1 : 0), 1);
    const topIds = likeliest(p.slice(topFrom), [], top);
    const of = (own: readonly number[]): Tensor<Float64Array> => ({
      data: Float64Array.from(p.flatMap((row) => own.map((id) => row[id]))),
      shape: [1, depth, own.length],
    });
    return {
      probability: of(ids),
      rank: over(depth, (s) => above(p[s])),
      entropy: over(depth, (s) => entropy(p[s])),
      change: over(depth - 1, (s) => jsDivergence(p[s], p[s + 1])),
      distances: [...references.map((logits) => softmax(at0(logits, 0).data)), ...all.slice(depth)].map((q) =>
        over(depth, (s) => jsDivergence(p[s], q)),
      ),
      topIds: { data: Float64Array.from(topIds), shape: [1, topIds.length] },
      topProbability: of(topIds),
    };
  };
}

/** The head without the norm before it, `x·Wᵀ` with `weight (vocabulary, width)`: to show what leaving the norm out does. */
export function bareHead(weight: Tensor): Pick<Unembedding, "forward"> {
  const [vocabulary, width] = weight.shape;
  return {
    async forward(x) {
      checkSame("The head", x.shape[1], width, "dimensions");
      const rows = x.shape[0];
      const data = new Float32Array(rows * vocabulary);
      for (let r = 0; r < rows; r++) {
        for (let v = 0; v < vocabulary; v++) {
          let sum = 0;
          for (let j = 0; j < width; j++) sum += x.data[r * width + j] * weight.data[v * width + j];
          data[r * vocabulary + v] = sum;
        }
      }
      return { data, shape: [rows, vocabulary] };
    },
  };
}

async function distributions(
  path: Tensor,
  unembedding: Pick<Unembedding, "forward">,
): Promise<Float64Array[]> {
  const logits = await unembedding.forward(path);
  return Array.from({ length: path.shape[0] }, (_, s) => softmax(at0(logits, s).data));
}

/** The `count` tokens not among `but` whose probability is largest in any of the distributions. */
function likeliest(p: readonly Float64Array[], but: readonly number[], count: number): number[] {
  const most = Float64Array.from(p[0], (_, v) => p.reduce((top, row) => Math.max(top, row[v]), 0));
  for (const id of but) most[id] = -1;
  // Sorting a whole vocabulary for a handful of tokens would cost more than the softmax.
  const found: number[] = [];
  for (let k = 0; k < Math.min(count, most.length - but.length); k++) {
    const best = most.reduce((at, value, v) => (value > most[at] ? v : at), 0);
    found.push(best);
    most[best] = -1;
  }
  return found;
}
