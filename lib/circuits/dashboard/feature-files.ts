/** Dashboards as files that circuit-tracer's viewer shows beside a graph's feature: one JSON file each. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../../replace-file.js";
import type { FeatureCorpus } from "./corpus.js";
import type { FeatureDashboard, FeatureExample } from "./dashboard.js";

/** Tokens before and after an example's peak that a file holds. */
const AROUND = 48;

/**
 * Writes `features/<number>.json` for each dashboard into the folder that `writeGraphFiles` writes to. Examples are
 * text: the viewer has no place for images, and shows their tokens.
 * @returns the `scan` under which the viewer finds them, for `graphJson`
 */
export function writeFeatureFiles(
  folder: string,
  dashboards: readonly FeatureDashboard[],
  corpus: FeatureCorpus,
): string {
  const features = join(folder, "features");
  mkdirSync(features, { recursive: true });
  for (const dashboard of dashboards) {
    const { layer, feature } = dashboard;
    const file = join(features, `${featureNumber(layer, feature)}.json`);
    replaceFile(file, [JSON.stringify(featureJson(dashboard, corpus))]);
  }
  return "./graph_data/features";
}

/** A feature's number in circuit-tracer's files: Cantor's pairing of its layer and its number there. */
export const featureNumber = (layer: number, feature: number): number =>
  ((layer + feature) * (layer + feature + 1)) / 2 + feature;

function featureJson(dashboard: FeatureDashboard, corpus: FeatureCorpus): Record<string, unknown> {
  const { layer, feature, examples, histogram, frequency, logits } = dashboard;
  const texts = (of: "raised" | "lowered"): string[] => (logits?.[of] ?? []).map(({ text }) => text);
  const shown = examples.map((example) => exampleJson(corpus, example));
  return {
    transcoder_id: String(layer),
    index: feature,
    examples_quantiles: shown.length > 0 ? [{ quantile_name: "Top activations", examples: shown }] : [],
    top_logits: texts("raised"),
    bottom_logits: texts("lowered"),
    act_min: 0,
    act_max: histogram.most,
    histogram: histogram.counts,
    activation_frequency: frequency,
  };
}

function exampleJson(
  { rows }: FeatureCorpus,
  { row, peak, activations }: FeatureExample,
): Record<string, unknown> {
  const { tokens } = rows[row];
  const from = Math.max(0, peak - AROUND);
  const end = Math.min(tokens.length, peak + AROUND + 1);
  return {
    tokens: tokens.slice(from, end).map(({ text }) => text),
    tokens_acts_list: Array.from(activations.subarray(from, end)),
    train_token_ind: peak - from,
    is_repeated_datapoint: false,
  };
}
