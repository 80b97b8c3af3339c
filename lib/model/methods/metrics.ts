import { ModalscopeError } from "../../errors.js";
import { type Tensor, zerosLike } from "../../tensor.js";

/**
 * A number for each row of a batch, from its logits; with its derivative, gradients start from it.
 * Logits are (batch, n, vocab_size) at the positions that the caller asked for.
 */
export interface Metric {
  readonly name: string;
  /** (batch) */
  value(logits: Tensor): Float64Array;
  /** ∂value(row)/∂logits, of the logits' shape. */
  gradient(logits: Tensor): Tensor;
}

/** One token for all rows, or one for each. */
export type Tokens = number | readonly number[];

const tokenOf = (tokens: Tokens, row: number, logits: ArrayLike<number>): number => {
  const id = typeof tokens === "number" ? tokens : tokens[row];
  if (id === undefined) {
    throw new ModalscopeError(
      `The metric has no token for row ${row}.`,
      "",
      "Give one token for all rows, or one for each.",
    );
  }
  if (!(Number.isInteger(id) && id >= 0 && id < logits.length)) {
    throw new ModalscopeError(
      `The metric's token id ${id} is out of range.`,
      `The vocabulary has ${logits.length} tokens.`,
    );
  }
  return id;
};

/**
 * logit of `answer` − logit of `other`, at the last of the positions. Like the metrics below, it throws a
 * ModalscopeError when it is given logits and a row has no such token.
 */
export function logitDifference(answer: Tokens, other: Tokens): Metric {
  return {
    name: "logit difference",
    value: (logits) => lastRows(logits, (x, b) => x[tokenOf(answer, b, x)] - x[tokenOf(other, b, x)]),
    gradient: (logits) =>
      lastGradients(logits, (x, b, into) => {
        into[tokenOf(answer, b, x)] += 1;
        into[tokenOf(other, b, x)] -= 1;
      }),
  };
}

/** log p(answer), nats, at the last of the positions. */
export function logProb(answer: Tokens): Metric {
  return {
    name: "log-probability of the answer",
    value: (logits) => lastRows(logits, (x, b) => x[tokenOf(answer, b, x)] - logSumExp(x)),
    gradient: (logits) =>
      lastGradients(logits, (x, b, into) => {
        const total = logSumExp(x);
        for (let i = 0; i < x.length; i++) into[i] = -Math.exp(x[i] - total);
        into[tokenOf(answer, b, x)] += 1;
      }),
  };
}

/** The logit of a token, at the last of the positions. */
export function logit(answer: Tokens): Metric {
  return {
    name: "logit of the answer",
    value: (logits) => lastRows(logits, (x, b) => x[tokenOf(answer, b, x)]),
    gradient: (logits) =>
      lastGradients(logits, (x, b, into) => {
        into[tokenOf(answer, b, x)] = 1;
      }),
  };
}

/** 1 where the most likely token is the answer's first, 0 where it is not: accuracy. Its derivative is 0. */
export function firstTokenRight(answer: Tokens): Metric {
  return {
    name: "first token right",
    value: (logits) =>
      lastRows(logits, (x, b) => {
        const own = x[tokenOf(answer, b, x)];
        return x.every((other) => other <= own) ? 1 : 0;
      }),
    gradient: (logits) => lastGradients(logits, () => {}),
  };
}

/** log Σ exp x, without overflow. */
export function logSumExp(x: ArrayLike<number>): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) most = Math.max(most, x[i]);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i] - most);
  return most + Math.log(sum);
}

function lastRow({ data, shape: [, n, width] }: Tensor, b: number): Float32Array {
  return data.subarray((b * n + n - 1) * width, (b + 1) * n * width);
}

function lastRows(logits: Tensor, f: (x: Float32Array, b: number) => number): Float64Array {
  return Float64Array.from({ length: logits.shape[0] }, (_, b) => f(lastRow(logits, b), b));
}

function lastGradients(logits: Tensor, f: (x: Float32Array, b: number, into: Float32Array) => void): Tensor {
  const out = { data: zerosLike(logits.data, logits.data.length), shape: logits.shape };
  for (let b = 0; b < logits.shape[0]; b++) f(lastRow(logits, b), b, lastRow(out, b));
  return out;
}
