/** Evidence for what the document reads off its curves of causal tracing. */
import {
  bootstrapPlace,
  type Estimate,
  groupDifferenceInterval,
  meanInterval,
  piecewiseLine,
  steepestRise,
  trend,
} from "../../analysis/index.js";
import { seeded } from "../../random.js";
import type { ClaimRules, Found, TestOf } from "../index.js";
import { type Evidence, evidenceFrom, evidenceOf, type Test, type Untestable } from "../index.js";
import { blocksBetween, DOCUMENT_LAYERS } from "./depths.js";
import { bootstrapImages, meanOfRows, meanOver } from "./drawing.js";
import type { Rows, SampleGrade, Tracing } from "./parts.js";

/** Harm by sample and block: −δ, which is the document's |δ| where an edit harms. */
interface Harm {
  readonly harm: Rows;
  readonly clusters: readonly string[];
}

/** Samples and blocks below which no curve is judged. */
const FEWEST = { samples: 4, blocks: 9 } as const;
const SHUFFLES = 99;

export const tracingClaims: ClaimRules<Tracing> = {
  threePhases: (part, test) =>
    onHard(part, test, (hard) => ({
      third: evidenceFrom(test("third"), { measured: errorRemoved(hard, [2, 3]) }),
      line: evidenceFrom(test("line"), { measured: errorRemoved(hard, [1, 3]) }),
    })),
  earlyDecay: (part, test) => onHard(part, test, (hard) => ({ falls: trends(test("falls"), hard, 0, 18) })),
  lateDecay: (part, test) =>
    onHard(part, test, (hard) => ({ falls: trends(test("falls"), hard, 37, DOCUMENT_LAYERS) })),
  rebound: (part, test) =>
    onHard(part, test, (hard) => ({
      place: evidenceFrom(test("place"), { measured: reboundPlace(hard) }),
      size: evidenceFrom(test("size"), { measured: reboundSize(hard), nulls: shuffledRebounds(hard) }),
    })),
  hardMoreVisual: (part, test) =>
    onBoth(part, test, (hard, easy) => ({
      more: evidenceOf(test("more"), {
        measured: means(hard, 0, 8),
        clusters: hard.clusters,
        group: { values: means(easy, 0, 8), clusters: easy.clusters },
      }),
    })),
  gapNarrows: (part, test) =>
    onBoth(part, test, (hard, easy) => ({
      narrows: evidenceFrom(test("narrows"), { measured: gapLess(hard, easy, [0, 8], [29, 37]) }),
    })),
  gapWidens: (part, test) =>
    onBoth(part, test, (hard, easy) => ({
      widens: evidenceFrom(test("widens"), {
        measured: gapLess(hard, easy, [40, DOCUMENT_LAYERS], [29, 37]),
      }),
    })),
  evdGap: (part, test) =>
    onBoth(part, test, (hard, easy) => ({
      deeper: [hard, easy].some(hasNoSum)
        ? { untestable: "the harm does not add up to anything of which half could be passed" }
        : evidenceFrom(test("deeper"), { measured: halfDepthGap(part) }),
    })),
};

type ByTest = Record<string, Evidence | Untestable>;

function onHard(part: Tracing, test: TestOf, judge: (hard: Harm) => ByTest): Found {
  const hard = harmOf(part, "hard");
  return tooLittle([hard]) ?? { ...judge(hard), matters: matters(test("matters"), hard) };
}

function onBoth(part: Tracing, test: TestOf, judge: (hard: Harm, easy: Harm) => ByTest): Found {
  const [hard, easy] = [harmOf(part, "hard"), harmOf(part, "easy")];
  const all = { harm: [...hard.harm, ...easy.harm], clusters: [...hard.clusters, ...easy.clusters] };
  return tooLittle([hard, easy]) ?? { ...judge(hard, easy), matters: matters(test("matters"), all) };
}

function tooLittle(groups: readonly Harm[]): { readonly untestable: string } | undefined {
  if (groups.some(({ harm }) => harm.length < FEWEST.samples))
    return { untestable: `fewer than ${FEWEST.samples} samples of a grade` };
  const blocks = groups[0].harm[0].length;
  return blocks < FEWEST.blocks
    ? { untestable: `${blocks} blocks make no curve of three phases` }
    : undefined;
}

/** The harm of one grade's samples. */
export function harmOf({ grades, clusters, delta }: Tracing, grade: SampleGrade): Harm {
  const own = grades.flatMap((g, i) => (g === grade ? [i] : []));
  return {
    harm: own.map((i) => delta[i].map((value) => -value)),
    clusters: own.map((i) => clusters[i]),
  };
}

/** Mean harm of corrupting everything at once. */
function matters(test: Test, { harm, clusters }: Harm): Evidence {
  return evidenceOf(test, { measured: harm.map((row) => row[0]), clusters });
}

/**
 * Share of the held-out squared error of a cut into some straight pieces that a cut into more removes: both are fitted to the mean
 * of one half of the images and measured on the mean of the other.
 */
function errorRemoved({ harm, clusters }: Harm, [few, more]: readonly [number, number]): Estimate {
  const images = [...new Set(clusters)];
  const first = new Set(images.filter((_, i) => i % 2 === 0));
  const shortest = Math.max(3, Math.floor(harm[0].length / 12));
  return bootstrapImages(clusters, (drawn) => {
    const [fit, held] = [true, false].map((side) => drawn.filter((i) => first.has(clusters[i]) === side));
    if (fit.length === 0 || held.length === 0) return Number.NaN;
    const [curve, other] = [meanOfRows(harm, fit), meanOfRows(harm, held)];
    const error = (segments: number): number =>
      scaledError(piecewiseLine(curve, { segments, shortest }).fitted, other);
    const coarse = error(few);
    return coarse === 0 ? Number.NaN : 1 - error(more) / coarse;
  });
}

/** Squared error of a curve about another one, at the scale that fits it best: the halves may differ in strength. */
function scaledError(fitted: Float64Array, curve: readonly number[]): number {
  const product = fitted.reduce((sum, value, l) => sum + value * curve[l], 0);
  const square = fitted.reduce((sum, value) => sum + value * value, 0);
  const scale = square === 0 ? 0 : product / square;
  return curve.reduce((sum, value, l) => sum + (value - scale * fitted[l]) ** 2, 0);
}

/** Rank correlation with depth between two of the document's layers, by sample. */
function trends(test: Test, { harm, clusters }: Harm, from: number, to: number): Evidence {
  const blocks = blocksBetween(from, to, harm[0].length);
  return evidenceOf(test, { measured: harm.map((row) => trend(blocks.map((l) => row[l]))), clusters });
}

function reboundPlace({ harm, clusters }: Harm): Estimate {
  const positions = harm[0].map((_, l) => l / harm[0].length);
  return bootstrapPlace(harm, (mean) => steepestRise(mean), { positions, clusters });
}

const largestRise = (curve: readonly number[]): number => {
  const l = steepestRise(curve);
  return curve[l] - curve[l - 1];
};

function reboundSize({ harm, clusters }: Harm): Estimate {
  return bootstrapImages(clusters, (drawn) => largestRise(meanOfRows(harm, drawn)));
}

/** The largest rise of the mean curve when each sample's steps come in an order of their own. */
function shuffledRebounds({ harm }: Harm): number[] {
  const random = seeded(0);
  const steps = harm.map((row) => row.slice(1).map((value, l) => value - row[l]));
  return Array.from({ length: SHUFFLES }, () =>
    Math.max(...meanOfRows(steps.map((own) => random.shuffle(own)))),
  );
}

/** Mean harm over a stretch of the document's layers, by sample. */
function means({ harm }: Harm, from: number, to: number): number[] {
  const blocks = blocksBetween(from, to, harm[0].length);
  return harm.map((row) => meanOver(blocks.map((l) => row[l])));
}

type Stretch = readonly [number, number];

/** Hard less easy harm in one stretch, less the same in another. */
function gapLess(hard: Harm, easy: Harm, one: Stretch, other: Stretch): Estimate {
  const group = (own: Harm): { values: number[]; clusters: readonly string[] } => {
    const [first, second] = [means(own, ...one), means(own, ...other)];
    return { values: first.map((value, i) => value - second[i]), clusters: own.clusters };
  };
  return groupDifferenceInterval(group(hard), group(easy));
}

/** Whether the summed harm is not above 0. */
function hasNoSum({ harm, clusters }: Harm): boolean {
  const sums = harm.map((row) => row.reduce((sum, value) => sum + value, 0));
  return !(meanInterval(sums, { clusters }).low > 0);
}

/** Depth by which half of the mean curve's sum is passed, hard less easy. */
function halfDepthGap({ grades, clusters, delta }: Tracing): Estimate {
  return bootstrapImages(clusters, (drawn) => {
    const depth = (grade: SampleGrade): number => {
      const own = drawn.filter((i) => grades[i] === grade);
      return own.length === 0 ? Number.NaN : halfDepth(meanOfRows(delta, own).map((value) => -value));
    };
    return depth("hard") - depth("easy");
  });
}

/**
 * The depth, 0–1, by which half of a curve's sum is passed, in a straight line between blocks; NaN where the sum is not
 * positive.
 */
export function halfDepth(harm: readonly number[]): number {
  const half = harm.reduce((sum, value) => sum + value, 0) / 2;
  if (!(half > 0)) return Number.NaN;
  let passed = 0;
  for (const [l, value] of harm.entries()) {
    if (value > 0 && passed + value >= half) return (l + (half - passed) / value) / harm.length;
    passed += value;
  }
  return 1;
}
