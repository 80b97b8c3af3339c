/** A feature's dashboard: where it is most active, how often and how much, the tokens it promotes, its label. */
import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, type OptionChecks, record } from "../../options.js";
import { activeTokens, type CorpusRow, type FeatureCorpus, rowsOfTokens } from "./corpus.js";
import { type FeatureLabel, type LabelIndex, labelFeature } from "./labels.js";
import type { LogitEffects } from "./logits.js";

/** A row at which a feature is active. */
export interface FeatureExample {
  /** Number of the row in the corpus. */
  readonly row: number;
  /** Token of the row at which the feature is most active, and its activation there. */
  readonly peak: number;
  readonly value: number;
  /** (tokens of the row) */
  readonly activations: Float32Array;
}

export interface FeatureDashboard {
  readonly layer: number;
  readonly feature: number;
  /** Most active rows, the largest first. */
  readonly examples: readonly FeatureExample[];
  /** Tokens at which it is active, of all. */
  readonly frequency: number;
  /** Share of its activation that lies on image tokens. */
  readonly imageShare: number;
  /** Counts of its activations in equal steps from 0 to the largest. */
  readonly histogram: { readonly counts: readonly number[]; readonly most: number };
  readonly label?: FeatureLabel;
  readonly logits?: LogitEffects;
}

export interface DashboardOptions {
  /** Examples (default 6). */
  readonly examples?: number;
  readonly labels?: LabelIndex;
  readonly logits?: LogitEffects;
}

const BINS = 20;

const DASHBOARD_OPTIONS: OptionChecks<DashboardOptions> = {
  examples: integer(1),
  labels: record,
  logits: record,
};

/** @throws ModalscopeError for a layer or feature that the corpus does not have */
export function featureDashboard(
  corpus: FeatureCorpus,
  layer: number,
  feature: number,
  options: DashboardOptions = {},
): FeatureDashboard {
  checkOptions("featureDashboard", options, DASHBOARD_OPTIONS);
  const { examples = 6, labels, logits } = options;
  const count = corpus.layers[layer]?.offsets.length - 1;
  if (!(Number.isInteger(feature) && feature >= 0 && feature < count)) {
    throw new ModalscopeError(
      `The corpus has no feature ${feature} of layer ${layer}.`,
      count > 0 ? `That layer has ${count}.` : `It has ${corpus.layers.length} layers.`,
    );
  }
  const { tokens, values } = activeTokens(corpus, layer, feature);
  const rowOf = rowsOfTokens(corpus);
  const kindOf = (token: number): string => {
    const row = corpus.rows[rowOf[token]];
    return row.tokens[token - row.first].kind;
  };
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const counts = new Array<number>(BINS).fill(0);
  let [all, onImage] = [0, 0];
  values.forEach((value, i) => {
    counts[Math.max(0, Math.min(BINS - 1, Math.floor((value / most) * BINS)))]++;
    all += value;
    if (kindOf(tokens[i]) === "image") onImage += value;
  });
  return {
    layer,
    feature,
    examples: topRows(corpus, rowOf, { tokens, values }).slice(0, examples),
    frequency: corpus.tokens === 0 ? 0 : tokens.length / corpus.tokens,
    imageShare: all > 0 ? onImage / all : 0,
    histogram: { counts, most },
    ...(labels && { label: labelFeature(corpus, labels, layer, feature) }),
    ...(logits && { logits }),
  };
}

/** Rows by their largest activation, one example each. */
function topRows(
  { rows }: FeatureCorpus,
  rowOf: Int32Array,
  { tokens, values }: { readonly tokens: Int32Array; readonly values: Float32Array },
): FeatureExample[] {
  const found = new Map<number, { peak: number; value: number; activations: Float32Array }>();
  tokens.forEach((token, i) => {
    const row = rowOf[token];
    const { first, tokens: own }: CorpusRow = rows[row];
    const known = found.get(row) ?? { peak: 0, value: 0, activations: new Float32Array(own.length) };
    known.activations[token - first] = values[i];
    if (values[i] > known.value) {
      known.peak = token - first;
      known.value = values[i];
    }
    found.set(row, known);
  });
  return [...found].map(([row, one]) => ({ row, ...one })).sort((a, b) => b.value - a.value || a.row - b.row);
}
