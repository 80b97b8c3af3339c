import { setImmediate as nextTurn } from "node:timers/promises";
import { ModalscopeError } from "../../errors.js";
import type { TaskOptions } from "../../progress.js";
import { at0, type Tensor } from "../../tensor.js";
import { entropy, jsDivergence, softmax } from "../distance/divergence.js";
import type { Unembedding } from "../lens.js";
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
}

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
 * @param unembedding final norm and head; called once for each position with all of its states, so that memory holds
 * one position's distributions and no more.
 * @throws ModalscopeError when the sizes disagree or a token is outside the vocabulary.
 */
export async function earlyExit(
  states: Tensor,
  unembedding: Pick<Unembedding, "forward">,
  { tokens, follow, runnersUp = 4, runnersUpFrom, references = {}, onProgress, signal }: EarlyExitOptions,
): Promise<EarlyExit> {
  const [depth, count, width] = checkStates(states);
  checkSame("earlyExit", tokens.length, count, "tokens and positions");
  if (follow) checkSame("earlyExit", follow.length, count, "lists to follow and positions");
  for (const [name, { shape }] of Object.entries(references)) {
    checkSame(`earlyExit's reference "${name}"`, shape[0], count, "positions");
  }
  const from = runnersUpFrom ?? Math.floor(depth / 2);
  const probability = zeros(depth, count);
  const rank = zeros(depth, count);
  const bits = zeros(depth, count);
  const change = zeros(depth - 1, count);
  const distance = Object.fromEntries(Object.keys(references).map((name) => [name, zeros(depth, count)]));
  const candidates: Candidate[][] = [];
  for (let t = 0; t < count; t++) {
    signal?.throwIfAborted();
    const p = await distributions(pathOf(states, t, width), unembedding);
    const token = tokens[t];
    const chosen = [...new Set([token, ...(follow?.[t] ?? [])])];
    const wrong = chosen.find((id) => !(Number.isInteger(id) && id >= 0 && id < p[0].length));
    if (wrong !== undefined) {
      throw new ModalscopeError(`Token ${wrong} at position ${t} is not one of the ${p[0].length} tokens.`);
    }
    for (let s = 0; s < depth; s++) {
      const at = s * count + t;
      probability.data[at] = p[s][token];
      rank.data[at] = 1 + p[s].reduce((above, value) => above + (value > p[s][token] ? 1 : 0), 0);
      bits.data[at] = entropy(p[s]);
      if (s > 0) change.data[at - count] = jsDivergence(p[s - 1], p[s]);
    }
    for (const [name, reference] of Object.entries(references)) {
      const q = softmax(at0(reference, t).data);
      for (let s = 0; s < depth; s++) distance[name].data[s * count + t] = jsDivergence(p[s], q);
    }
    const ids = [...chosen, ...likeliest(p.slice(from), chosen, runnersUp)];
    candidates.push(ids.map((id) => ({ id, probability: Float64Array.from(p, (row) => row[id]) })));
    onProgress?.(t + 1, count, "early exit");
    await nextTurn();
  }
  return { tokens: Int32Array.from(tokens), probability, rank, entropy: bits, change, candidates, distance };
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
