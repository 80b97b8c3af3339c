/** Activity of features on images, and which features tell a concept. */
import { sizeMatchedSets } from "../index.js";
import type { Subject } from "./subject.js";

/** A feature of a layer. */
export interface Feature {
  readonly layer: number;
  readonly feature: number;
}

/** By layer, `(prompts, features)`: mean activation over each prompt's columns. */
export type Activity = readonly Float32Array[];

/** How a concept's features are chosen. */
export interface ConceptOptions {
  readonly layers: readonly number[];
  readonly count: number;
}

/**
 * The features that are most more active on a concept's images than on others: by Welch's t over the images.
 * @param side true for images of the concept, false for others, undefined for those that do not count
 */
export function conceptFeatures(
  activity: Activity,
  side: readonly (boolean | undefined)[],
  options: ConceptOptions,
): Feature[] {
  const of = (wanted: boolean): ActivitySums =>
    sumsOver(
      activity,
      side.map((own) => own === wanted),
      options.layers,
    );
  return tellingFeatures(of(true), of(false), options);
}

/** Sums over some prompts. */
export interface ActivitySums {
  /** Prompts that were added up. */
  readonly count: number;
  /** By layer, of each feature's activity and of its squares; undefined of layers that were not asked for. */
  readonly layers: readonly (FeatureSums | undefined)[];
}

interface FeatureSums {
  readonly sum: Float64Array;
  readonly squares: Float64Array;
}

/** Sums over the prompts for which `counts` is true. */
export function sumsOver(
  activity: Activity,
  counts: readonly boolean[],
  layers: readonly number[],
): ActivitySums {
  const found: FeatureSums[] = [];
  for (const layer of layers) {
    const values = activity[layer];
    const features = values.length / counts.length;
    const [sum, squares] = [new Float64Array(features), new Float64Array(features)];
    counts.forEach((own, row) => {
      if (!own) return;
      for (let f = 0, i = row * features; f < features; f++, i++) {
        sum[f] += values[i];
        squares[f] += values[i] * values[i];
      }
    });
    found[layer] = { sum, squares };
  }
  return { count: counts.filter(Boolean).length, layers: found };
}

/** Sums over the prompts of all of these, of one at least. */
export function addedUp(all: readonly ActivitySums[]): ActivitySums {
  const added = (layer: number, part: keyof FeatureSums): Float64Array => {
    const total = all[0].layers[layer]![part].slice();
    for (const { layers } of all.slice(1)) {
      const more = layers[layer]![part];
      for (let f = 0; f < total.length; f++) total[f] += more[f];
    }
    return total;
  };
  return {
    count: all.reduce((count, own) => count + own.count, 0),
    layers: all[0].layers.map(
      (own, layer) => own && { sum: added(layer, "sum"), squares: added(layer, "squares") },
    ),
  };
}

/** The features of which Welch's t between two groups of prompts is largest, the first of equals first. */
export function tellingFeatures(
  inside: ActivitySums,
  outside: ActivitySums,
  { layers, count }: ConceptOptions,
): Feature[] {
  if (inside.count < 2 || outside.count < 2) return [];
  const best: (Feature & { readonly t: number })[] = [];
  for (const layer of layers) {
    const [a, b] = [inside, outside].map((sums) => moments(sums.layers[layer]!, sums.count));
    for (let feature = 0; feature < a.mean.length; feature++) {
      const [high, low] = [a.mean[feature], b.mean[feature]];
      if (high <= low) continue;
      // A feature that is constant on both sides would have an infinite t.
      const spread =
        a.variance[feature] / inside.count + b.variance[feature] / outside.count + (1e-3 * high) ** 2;
      const t = (high - low) / Math.sqrt(spread);
      if (best.length === count && !(t > best[count - 1].t)) continue;
      const after = best.findIndex((other) => t > other.t);
      best.splice(after < 0 ? best.length : after, 0, { layer, feature, t });
      best.length = Math.min(best.length, count);
    }
  }
  return best.map(({ layer, feature }) => ({ layer, feature }));
}

/** Mean and variance of each feature over so many prompts. */
function moments(
  { sum, squares }: FeatureSums,
  count: number,
): { readonly mean: Float64Array; readonly variance: Float64Array } {
  const [mean, variance] = [new Float64Array(sum.length), new Float64Array(sum.length)];
  for (let f = 0; f < sum.length; f++) {
    mean[f] = sum[f] / count;
    variance[f] = Math.max(0, squares[f] / count - mean[f] * mean[f]);
  }
  return { mean, variance };
}

/** A concept's features, random ones of the same layers and activity, and what each leaves. */
export interface MatchedFeatures {
  readonly chosen: FeatureSides;
  readonly random: readonly FeatureSides[];
}

export interface FeatureSides {
  readonly set: readonly Feature[];
  readonly complement: readonly Feature[];
}

const MATCH_TRIES = 40;

/** Draws size-matched sets among the features of these layers that are active at all. */
export function matchedFeatures(
  activity: Activity,
  chosen: readonly Feature[],
  {
    layers,
    subject,
    rows,
  }: { readonly layers: readonly number[]; readonly subject: Subject; readonly rows: number },
): MatchedFeatures {
  const items = layers.flatMap((layer) =>
    meansOf(activity[layer], rows).map((mean, feature) => ({ layer, feature, mean })),
  );
  const active = items.filter(({ mean }) => mean > 0);
  const own = chosen.flatMap((c) =>
    active.filter((one) => one.layer === c.layer && one.feature === c.feature),
  );
  return sizeMatchedSets(active, own, {
    count: subject.settings.randomSets,
    seed: subject.seed,
    stratum: ({ layer }) => layer,
    weight: ({ mean }) => mean,
    tries: MATCH_TRIES,
    disjoint: true,
  });
}

function meansOf(values: Float32Array, rows: number): number[] {
  const features = values.length / rows;
  const out = new Array<number>(features).fill(0);
  values.forEach((value, i) => {
    out[i % features] += value / rows;
  });
  return out;
}

/** Mean activity of some features, by prompt. */
export function meanActivity(activity: Activity, features: readonly Feature[], rows: number): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (const { layer, feature } of features)
      sum += activity[layer][i * (activity[layer].length / rows) + feature];
    return sum / Math.max(1, features.length);
  });
}

/** Values less their mean, in standard deviations; zeros where all are equal. */
export function standardised(values: ArrayLike<number>): {
  readonly z: Float64Array;
  readonly deviation: number;
} {
  const all = Float64Array.from(values);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const deviation = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length);
  return { z: all.map((value) => (deviation > 0 ? (value - mean) / deviation : 0)), deviation };
}
