/** Titles of the study's figures: what was found, in one line. */
import { argmax, bootstrapDepth } from "../../analysis/index.js";
import { formatPercent } from "../../plot/index.js";
import { meanOfRows, meanOver } from "./drawing.js";
import type { Flow, Geometry, Probes, Pruning, Rows, Tracing, Truncation, Twins } from "./parts.js";
import { harmOf } from "./tracing-claims.js";

const percentOf = (flags: readonly number[]): string => formatPercent(meanOver(flags));
const atLayer = (rows: Rows, l: number): number[] => rows.map((row) => row[l]);

/** "Half of the harm is gone from 67% of the depth on (hard), 58% (easy)" */
export function tracingFinding(tracing: Tracing): string {
  const depths = (["hard", "easy"] as const).flatMap((grade) => {
    const { harm, clusters } = harmOf(tracing, grade);
    const depth = harm.length < 2 ? undefined : bootstrapDepth(harm, { clusters, draws: 100 });
    return depth ? [`${formatPercent(depth.estimate)} (${grade})`] : [];
  });
  return depths.length === 0
    ? "Harm of corrupted visual tokens by depth"
    : `Half of the harm is gone from ${depths.join(" and ")} of the depth on`;
}

/** "Right answers with visual tokens truncated: 17% from 50% of the depth, 70% from 83% of the depth; never: 88%" */
export function truncationFinding({ by, blocks, right }: Truncation): string {
  const truncated = by.mean ?? Object.values(by)[0];
  if (!truncated) return `Right answers with the visual tokens: ${percentOf(right)}`;
  const { layers } = truncated;
  const middle = argmax(layers.map((l) => -Math.abs(l / blocks - 0.5)));
  const rates = [...new Set([middle, layers.length - 1])].map(
    (i) => `${percentOf(atLayer(truncated.right, i))} from ${formatPercent(layers[i] / blocks)} of the depth`,
  );
  return `Right answers with visual tokens truncated: ${rates.join(", ")}; never: ${percentOf(right)}`;
}

/** "Through the blocks visual ICC(1) goes from 0.17 to 0.24, the visual tokens' effective rank from 10.8 to 9.8" */
export function geometryFinding({ icc, visualRank }: Geometry): string {
  const ends = (curve: readonly number[], digits: number): string =>
    [curve[0], curve[curve.length - 1]].map((x) => x.toFixed(digits)).join(" to ");
  const rank = ends(meanOfRows(visualRank), 1);
  return `Through the blocks visual ICC(1) goes from ${ends(icc.curve, 2)}, the visual tokens' effective rank from ${rank}`;
}

/** "Text gives visual tokens most attention at 83% of the depth: 78%, if it were even 61%" */
export function flowFinding({ toImage, even }: Flow): string {
  const curve = meanOfRows(toImage);
  const peak = argmax(curve);
  const depth = formatPercent((peak + 1) / curve.length);
  return `Text gives visual tokens most attention at ${depth} of the depth: ${formatPercent(curve[peak])}, if it were even ${percentOf(even)}`;
}

/** "Probes read most off the last token at 33% of the depth: 89%, shuffled labels 12%" */
export function probesFinding(probes: Probes | undefined): string {
  if (!probes) return "Experts that visual and text tokens use";
  const curve = meanOfRows(probes.right);
  const best = argmax(curve);
  const depth = formatPercent(best / (curve.length - 1));
  return `Probes read most off the last token at ${depth} of the depth: ${formatPercent(curve[best])}, with shuffled labels ${formatPercent(probes.chance[best])}`;
}

/** "Truncated from 83% of the depth on: images 70% right, passages 51%. Kept, random 50%: 69%, attention 50%: 79%" */
export function twinsFinding(twins: Twins | undefined, pruning: Pruning | undefined): string {
  const kept = pruning?.plans.map(
    ({ rule, keep, right }) => `${rule} ${formatPercent(keep)}: ${percentOf(right)}`,
  );
  const last = twins && twins.image.layers.length - 1;
  const truncated =
    twins && last !== undefined && last >= 0
      ? `Truncated from ${formatPercent(twins.image.layers[last] / twins.blocks)} of the depth on: images ${percentOf(atLayer(twins.image.right, last))} right, passages ${percentOf(atLayer(twins.text.right, last))}`
      : "";
  const pruned = kept ? `Kept, ${kept.join(", ")}` : "";
  return [truncated, pruned].filter(Boolean).join(". ");
}

/** "Nine blocks without Image→Last cost most at 71% of the depth (1.50 nats), …" */
export function knockoutFinding(routes: readonly string[], nine: readonly Rows[]): string {
  const found = nine.map((rows, r) => {
    const curve = meanOfRows(rows);
    const worst = argmax(curve.map((x) => -x));
    const depth = formatPercent((worst + 0.5) / curve.length);
    return `without ${routes[r]} cost most at ${depth} of the depth (${(-curve[worst]).toFixed(2)} nats)`;
  });
  return `Nine blocks ${found.join(", ")}`;
}
