/** From pre-activations to sparse features, and from those to dense arrays. */
import type { Tensor } from "../../tensor.js";
import type { Activation, SparseFeatures } from "./types.js";

/**
 * Takes pre-activations chunk by chunk, the features ascending, and keeps what the activation lets through.
 */
export interface SparseBuilder {
  /** @param pre (tokens, count) of the features from `first` on */
  add(pre: Float32Array, first: number, count: number): void;
  finish(): SparseFeatures;
}

export function sparseBuilder(activation: Activation, tokens: number, features: number): SparseBuilder {
  const kept = Array.from({ length: tokens }, () =>
    activation.kind === "topk" ? largestOf(activation.k, activation.signed) : aboveThreshold(activation),
  );
  return {
    add(pre, first, count) {
      for (let t = 0; t < tokens; t++) {
        const take = kept[t].take;
        for (let i = 0; i < count; i++) take(first + i, pre[t * count + i]);
      }
    },
    finish() {
      const rows = kept.map((row) => row.entries().sort(([a], [b]) => a - b));
      const offsets = new Int32Array(tokens + 1);
      rows.forEach((row, t) => {
        offsets[t + 1] = offsets[t] + row.length;
      });
      return {
        tokens,
        features,
        offsets,
        ids: Int32Array.from(rows.flatMap((row) => row.map(([id]) => id))),
        values: Float32Array.from(rows.flatMap((row) => row.map(([, value]) => value))),
        leftOut: Float32Array.from(kept, (row) => row.leftOut()),
      };
    },
  };
}

type Entry = [id: number, value: number];

interface TokenFeatures {
  take(id: number, pre: number): void;
  entries(): Entry[];
  leftOut(): number;
}

function aboveThreshold(activation: Exclude<Activation, { kind: "topk" }>): TokenFeatures {
  const threshold = activation.kind === "jumprelu" ? activation.threshold : undefined;
  const entries: Entry[] = [];
  return {
    take(id, pre) {
      if (pre > (threshold?.[id] ?? 0) && pre !== 0) entries.push([id, pre]);
    },
    entries: () => entries,
    leftOut: () => 0,
  };
}

/**
 * The k largest, in an ascending list of k + 1: the first of a full list is what was left out. Of equals
 * the first stays.
 */
function largestOf(k: number, signed: boolean): TokenFeatures {
  const ids = new Int32Array(k + 1);
  const values = new Float32Array(k + 1);
  let count = 0;
  return {
    take(id, pre) {
      if (!signed && !(pre > 0)) return;
      if (count === k + 1 && !(pre > values[0])) return;
      let i = count === k + 1 ? 0 : count;
      if (i === count) {
        for (; i > 0 && values[i - 1] >= pre; i--) {
          values[i] = values[i - 1];
          ids[i] = ids[i - 1];
        }
        count++;
      } else {
        for (; i < k && values[i + 1] < pre; i++) {
          values[i] = values[i + 1];
          ids[i] = ids[i + 1];
        }
      }
      values[i] = pre;
      ids[i] = id;
    },
    entries() {
      const all = Array.from({ length: count }, (_, i): Entry => [ids[i], values[i]]);
      return all.slice(Math.max(0, count - k)).filter(([, value]) => value !== 0);
    },
    leftOut: () => (count === k + 1 ? values[0] : 0),
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
