/** From pre-activations to sparse features, and from those to dense arrays. */
import type { Tensor } from "../../tensor.js";
import type { Largest } from "./products.js";
import type { Activation, SparseFeatures } from "./types.js";

/**
 * Takes pre-activations chunk by chunk, the features ascending, and keeps what the activation lets through.
 */
export interface SparseBuilder {
  /** @param pre (tokens, count) of the features from `first` on */
  addAll(pre: Float32Array, first: number, count: number): void;
  /** The largest of each token's, (tokens, count), as far as they can matter: for TopK, one more than it keeps. */
  addLargest(largest: Largest, first: number, count: number): void;
  finish(): SparseFeatures;
}

export function sparseBuilder(activation: Activation, tokens: number, features: number): SparseBuilder {
  const kept =
    activation.kind === "topk" ? largestOf(activation, tokens) : aboveThreshold(activation, tokens);
  return {
    addAll(pre, first, count) {
      for (let t = 0, at = 0; t < tokens; t++)
        for (let i = 0; i < count; i++, at++) kept.take(t, first + i, pre[at]);
    },
    addLargest({ values, ids }, first, count) {
      for (let t = 0, at = 0; t < tokens; t++)
        for (let i = 0; i < count; i++, at++) kept.take(t, first + ids[at], values[at]);
    },
    finish: () => ({ tokens, features, ...kept.finish() }),
  };
}

/** What stays, token by token. */
interface Kept {
  take(token: number, id: number, pre: number): void;
  finish(): Pick<SparseFeatures, "offsets" | "ids" | "values" | "leftOut">;
}

function aboveThreshold(activation: Exclude<Activation, { kind: "topk" }>, tokens: number): Kept {
  const threshold = activation.kind === "jumprelu" ? activation.threshold : undefined;
  const [ids, values] = [0, 1].map(() => Array.from({ length: tokens }, (): number[] => []));
  return {
    take(token, id, pre) {
      if (!(pre > (threshold?.[id] ?? 0) && pre !== 0)) return;
      ids[token].push(id);
      values[token].push(pre);
    },
    finish() {
      const offsets = new Int32Array(tokens + 1);
      for (let t = 0; t < tokens; t++) offsets[t + 1] = offsets[t] + ids[t].length;
      return {
        offsets,
        ids: Int32Array.from(ids.flat()),
        values: Float32Array.from(values.flat()),
        leftOut: new Float32Array(tokens),
      };
    },
  };
}

/**
 * The k largest of each token, in a descending list of k + 1: the last of a full list is what was left out. Of equals
 * the first stays. What comes descending, as `addLargest` has it, is appended without a move.
 */
function largestOf({ k, signed }: Extract<Activation, { kind: "topk" }>, tokens: number): Kept {
  const room = k + 1;
  const ids = new Int32Array(tokens * room);
  const values = new Float32Array(tokens * room);
  const counts = new Int32Array(tokens);
  return {
    take(token, id, pre) {
      if (!signed && !(pre > 0)) return;
      const start = token * room;
      let i = start + counts[token];
      const full = counts[token] === room;
      if (full && !(pre > values[i - 1])) return;
      if (full) i--;
      else counts[token]++;
      for (; i > start && values[i - 1] < pre; i--) {
        values[i] = values[i - 1];
        ids[i] = ids[i - 1];
      }
      values[i] = pre;
      ids[i] = id;
    },
    finish() {
      const offsets = new Int32Array(tokens + 1);
      const leftOut = new Float32Array(tokens);
      let end = 0;
      // Each token's own move down to where they stay, ascending by feature: never beyond where they were.
      for (let t = 0; t < tokens; t++) {
        const [start, count] = [t * room, counts[t]];
        if (count === room) leftOut[t] = values[start + k];
        const first = end;
        for (let i = start; i < start + Math.min(count, k); i++) {
          const [id, value] = [ids[i], values[i]];
          if (value === 0) continue;
          let at = end++;
          for (; at > first && ids[at - 1] > id; at--) {
            ids[at] = ids[at - 1];
            values[at] = values[at - 1];
          }
          ids[at] = id;
          values[at] = value;
        }
        offsets[t + 1] = end;
      }
      return { offsets, ids: ids.slice(0, end), values: values.slice(0, end), leftOut };
    },
  };
}

/** Activations as a dense (tokens, features). */
export function toDense({ tokens, features, offsets, ids, values }: SparseFeatures): Tensor {
  const data = new Float32Array(tokens * features);
  for (let t = 0; t < tokens; t++)
    for (let i = offsets[t]; i < offsets[t + 1]; i++) data[t * features + ids[i]] = values[i];
  return { data, shape: [tokens, features] };
}

/** Some tokens' activations, in the order of `tokens`. */
export function atTokens(features: SparseFeatures, tokens: readonly number[]): SparseFeatures {
  const parts = tokens.map((t) => [features.offsets[t], features.offsets[t + 1]] as const);
  const offsets = new Int32Array(tokens.length + 1);
  parts.forEach(([from, to], i) => {
    offsets[i + 1] = offsets[i] + to - from;
  });
  const ids = new Int32Array(offsets[tokens.length]);
  const values = new Float32Array(ids.length);
  parts.forEach(([from, to], i) => {
    ids.set(features.ids.subarray(from, to), offsets[i]);
    values.set(features.values.subarray(from, to), offsets[i]);
  });
  const leftOut = Float32Array.from(tokens, (t) => features.leftOut[t]);
  return { ...features, tokens: tokens.length, offsets, ids, values, leftOut };
}
