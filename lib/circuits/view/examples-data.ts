/** Dashboards as a page holds them: texts and activations of examples, and each image once. */
import { dataUri, image as imageFile } from "../../plot/index.js";
import type { FeatureCorpus } from "../dashboard/corpus.js";
import type { FeatureDashboard } from "../dashboard/dashboard.js";

/** Tokens around an example's peak that are shown. */
const AROUND = 24;
const rounded = (x: number): number => Number(x.toPrecision(4));

export interface ExampleData {
  /** Texts with activations, around the peak; image tokens are left to the image. */
  readonly text: readonly (readonly [text: string, activation: number])[];
  readonly value: number;
  /**
   * Number of its image among the page's; its tokens' boxes in pixels of the image, with their activations.
   */
  readonly image?: number;
  readonly boxes?: readonly (readonly [x0: number, y0: number, x1: number, y1: number, activation: number])[];
}

export interface DashboardData {
  readonly key: string;
  readonly label: string;
  readonly score: string;
  readonly frequency: number;
  readonly imageShare: number;
  readonly histogram: FeatureDashboard["histogram"];
  readonly raised: readonly (readonly [string, number])[];
  readonly lowered: readonly (readonly [string, number])[];
  readonly examples: readonly ExampleData[];
}

export interface PageImage {
  readonly uri: string;
  readonly width: number;
  readonly height: number;
}

export function dashboardsData(
  dashboards: readonly FeatureDashboard[],
  corpus: FeatureCorpus | undefined,
): { readonly dashboards: readonly DashboardData[]; readonly images: readonly PageImage[] } {
  const images: PageImage[] = [];
  const numbers = new Map<number, number>();
  const imageOf = (row: number): number | undefined => {
    const known = numbers.get(row);
    if (known !== undefined) return known;
    const { image, layout } = corpus!.rows[row];
    if (!image || !layout) return undefined;
    const { width, height } = layout;
    images.push({ uri: dataUri(imageFile(image)), width, height });
    numbers.set(row, images.length - 1);
    return images.length - 1;
  };
  const made = dashboards.map((dashboard): DashboardData => {
    const { layer, feature, label, logits, frequency, imageShare, histogram } = dashboard;
    const ends = (of: "raised" | "lowered"): (readonly [string, number])[] =>
      (logits?.[of] ?? []).map(({ text, effect }) => [text, rounded(effect)]);
    return {
      key: `${layer}_${feature}`,
      label: label?.label ?? "",
      score: label?.label ? `${label.score.toFixed(2)} on held-out rows` : "",
      ...{ frequency: rounded(frequency), imageShare: rounded(imageShare) },
      histogram: { ...histogram, most: rounded(histogram.most) },
      ...{ raised: ends("raised"), lowered: ends("lowered") },
      examples: corpus ? dashboard.examples.map((example) => exampleData(corpus, example, imageOf)) : [],
    };
  });
  return { dashboards: made, images };
}

function exampleData(
  { rows }: FeatureCorpus,
  { row, peak, value, activations }: FeatureDashboard["examples"][number],
  imageOf: (row: number) => number | undefined,
): ExampleData {
  const { tokens, layout } = rows[row];
  const shown = tokens.map((token, i) => ({ ...token, i })).filter(({ kind }) => kind !== "image");
  const middle = shown.findIndex(({ i }) => i >= peak);
  const from = Math.max(0, (middle < 0 ? shown.length : middle) - AROUND / 2);
  const text = shown
    .slice(from, from + AROUND)
    .map(({ text, i }) => [text, rounded(activations[i])] as const);
  const boxes = tokens.flatMap(({ visual }, i) => {
    const box = visual === undefined ? undefined : layout?.tokens[visual]?.box;
    return box && activations[i] > 0 ? [[...box, rounded(activations[i])] as const] : [];
  });
  const image = boxes.length > 0 ? imageOf(row) : undefined;
  return { text, value: rounded(value), ...(image !== undefined && { image, boxes }) };
}
