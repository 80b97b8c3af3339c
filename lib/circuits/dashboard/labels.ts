/**
 * Automatic labels: the plainest property of a token that tells where a feature is active, with its score
 * on other rows.
 */
import { activeTokens, type CorpusRow, type FeatureCorpus, rowsOfTokens } from "./corpus.js";

/** A label and how well it tells where the feature is active. */
export interface FeatureLabel {
  /** Such as `token "star"`, `after "color"` or `image of red`; empty where no property tells anything. */
  readonly label: string;
  /**
   * Matthews correlation of property and activity on the rows that it was not chosen by: 1 is perfect, 0 is
   * chance.
   */
  readonly score: number;
  /** The same on the rows that it was chosen by. */
  readonly chosenAt: number;
}

/** The tokens of each property, in a corpus. */
export interface LabelIndex {
  readonly names: readonly string[];
  /** Numbers of the properties of each token. */
  readonly ofToken: readonly (readonly number[])[];
  /** Half of the rows that a token's row is in: 0 to choose by, 1 to score on. */
  readonly half: Uint8Array;
  /** Tokens of each half, and those that have each property. */
  readonly total: readonly [number, number];
  readonly counts: readonly [Int32Array, Int32Array];
}

/**
 * Properties of all tokens: which token it is, which stands before it, whether it is of an image, special
 * or the row's
 * first, and the words that are true of a visual token where the corpus has them. Even rows choose, odd
 * ones score.
 */
export function labelIndex(corpus: FeatureCorpus): LabelIndex {
  const numbers = new Map<string, number>();
  const numberOf = (name: string): number => {
    const known = numbers.get(name) ?? numbers.size;
    numbers.set(name, known);
    return known;
  };
  const ofToken = corpus.rows.flatMap((row) =>
    row.tokens.map((_, i) => [...new Set(propertiesOf(row, i))].map(numberOf)),
  );
  const half = rowsOfTokens(corpus).map((row) => row % 2);
  const counts = [new Int32Array(numbers.size), new Int32Array(numbers.size)] as const;
  const total: [number, number] = [0, 0];
  ofToken.forEach((own, t) => {
    total[half[t]]++;
    for (const property of own) counts[half[t]][property]++;
  });
  return { names: [...numbers.keys()], ofToken, half: Uint8Array.from(half), total, counts };
}

function propertiesOf({ tokens, words }: CorpusRow, i: number): string[] {
  const { kind, text, visual } = tokens[i];
  const before = i > 0 && tokens[i - 1].kind !== "image" ? [`after ${quoted(tokens[i - 1].text)}`] : [];
  if (i === 0) return ["first token"];
  if (kind === "image") {
    const seen = (visual !== undefined && words?.(visual)) || [];
    return ["image", ...seen.map((word) => `image of ${word}`)];
  }
  return [kind, `token ${quoted(text)}`, ...before];
}

const quoted = (text: string): string => JSON.stringify(text.trim() || text);

/** The best label of a feature. */
export function labelFeature(
  corpus: FeatureCorpus,
  index: LabelIndex,
  layer: number,
  feature: number,
): FeatureLabel {
  const { names, ofToken, half, total, counts } = index;
  const both = [new Map<number, number>(), new Map<number, number>()] as const;
  const active: [number, number] = [0, 0];
  for (const token of activeTokens(corpus, layer, feature).tokens) {
    const own = half[token];
    active[own]++;
    for (const property of ofToken[token]) both[own].set(property, (both[own].get(property) ?? 0) + 1);
  }
  const scoreOf = (property: number, of: 0 | 1): number =>
    matthews(both[of].get(property) ?? 0, counts[of][property], active[of], total[of]);
  let best = { property: -1, score: 0 };
  for (const property of both[0].keys()) {
    const score = scoreOf(property, 0);
    if (score > best.score) best = { property, score };
  }
  if (best.property < 0) return { label: "", score: 0, chosenAt: 0 };
  return { label: names[best.property], score: scoreOf(best.property, 1), chosenAt: best.score };
}

/** Matthews correlation of two sets among n things, from their sizes and that of their intersection. */
function matthews(both: number, a: number, b: number, n: number): number {
  const spread = Math.sqrt(a * b * (n - a) * (n - b));
  return spread === 0 ? 0 : (both * n - a * b) / spread;
}
