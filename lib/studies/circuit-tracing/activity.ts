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
  { layers, count }: ConceptOptions,
): Feature[] {
  const of = (wanted: boolean): number[] => side.flatMap((own, i) => (own === wanted ? [i] : []));
  const [inside, outside] = [of(true), of(false)];
  if (inside.length < 2 || outside.length < 2) return [];
  const found: (Feature & { readonly t: number })[] = [];
  for (const layer of layers) {
    const values = activity[layer];
    const features = values.length / side.length;
    const [a, b] = [inside, outside].map((rows) => moments(values, rows, features));
    for (let feature = 0; feature < features; feature++) {
      const [high, low] = [a.mean[feature], b.mean[feature]];
      if (high <= low) continue;
      // A feature that is constant on both sides would have an infinite t.
      const spread =
        a.variance[feature] / inside.length + b.variance[feature] / outside.length + (1e-3 * high) ** 2;
      found.push({ layer, feature, t: (high - low) / Math.sqrt(spread) });
    }
  }
  return found
    .sort((x, y) => y.t - x.t)
    .slice(0, count)
    .map(({ layer, feature }) => ({ layer, feature }));
}

/** Mean and variance of each feature over some rows of `(rows, features)`. */
function moments(
  values: Float32Array,
  rows: readonly number[],
  features: number,
): { readonly mean: Float64Array; readonly variance: Float64Array } {
  const [mean, variance] = [new Float64Array(features), new Float64Array(features)];
  for (const row of rows) {
    for (let f = 0, i = row * features; f < features; f++, i++) {
      mean[f] += values[i];
      variance[f] += values[i] * values[i];
    }
  }
  for (let f = 0; f < features; f++) {
    mean[f] /= rows.length;
    variance[f] = Math.max(0, variance[f] / rows.length - mean[f] * mean[f]);
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
