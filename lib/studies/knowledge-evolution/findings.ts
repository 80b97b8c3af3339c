/** Titles of the study's figures: what was found, in one line. */
import { dispersion, emergence, trend } from "../../analysis/index.js";
import { formatPercent } from "../../plot/index.js";
import type { EvolutionData } from "./data.js";
import type { TokenKind } from "./mentions.js";
import { at, captionCurves, columnsOf, fallOf, mean, perCaption, range } from "./summaries.js";

/** Kinds of tokens in the order in which figures show them. */
export const KINDS: readonly TokenKind[] = ["easy", "content", "true", "hallucinated"];

/** "Tokens have half of their largest probability from 20% of the depth on (easy), 45% (content), 55% (true)" */
export function probabilityFinding({ exit, tokens, blocks }: EvolutionData): string {
  const emerged = emergence(exit.probability);
  const depths = KINDS.flatMap((kind) => {
    const own = emerged.filter((_, t) => tokens.kind[t] === kind);
    return own.length > 0 ? [`${formatPercent((mean(own) + 1) / blocks)} (${kind})`] : [];
  });
  return `Tokens have half of their largest probability from this part of the depth on: ${depths.join(", ")}`;
}

/** "Blocks 1 to 6 change distributions 2.9 times as much as those behind them; random weights 2.4, before visual training 3" */
export function changeFinding(data: EvolutionData): string {
  const { exit, twin, language, critical } = data;
  const times = (change: EvolutionData["exit"]["change"]): string =>
    (2 ** mean(captionCurves(data, change).map(fallOf(data)))).toFixed(1);
  const others = [
    twin ? `random weights ${times(twin.change)}` : "",
    language ? `before visual training ${times(language.change)}` : "",
  ].filter(Boolean);
  const own = `Blocks 1 to ${critical} change distributions ${times(exit.change)} times as much as those behind them`;
  return [own, others.join(", ")].filter(Boolean).join("; ");
}

/** "Mutation layers: block 7 (18% of the tokens); shuffled blocks stay below 9%" */
export function mutationFinding({ mutations: { layers, mutated, chance } }: EvolutionData): string {
  const count = mutated.shape[1];
  const shares = layers.map((b) => {
    const share = mean(range(0, count).map((t) => at(mutated, b, t)));
    return `block ${b} (${formatPercent(share)} of the tokens)`;
  });
  const found = shares.length > 0 ? `Mutation layers: ${shares.join(", ")}` : "No mutation layers";
  return `${found}; shuffled blocks stay below ${formatPercent(chance)}`;
}

/** "Of the words remain 90% (skip.2), 89% (skip.3); wrong is 15%, 13% of what is said (original: 11%)" */
export function skipFinding({ skips, wrong }: EvolutionData): string {
  const own = skips.map((skip) => skip.own);
  const kept = own.map(({ plan, overlap }) => `${formatPercent(mean(overlap))} (${plan.name})`).join(", ");
  const said = own.map((skip) => formatPercent(mean(skip.wrong))).join(", ");
  return `Of the words remain ${kept}; wrong is ${said} of what is said (original: ${formatPercent(mean(wrong))})`;
}

/** "With depth the tokens of a caption spread by distance (τ 1.00) and draw together by angle (τ −0.46)" */
export function encodingFinding(data: EvolutionData): string {
  const spreads = perCaption(data).map((tokens) => dispersion(columnsOf(data.states, tokens)));
  const said = (["distance", "angle"] as const).map((by) => {
    const tau = mean(spreads.map((own) => trend(own[by])));
    return `${tau < 0 ? "draw together" : "spread"} by ${by} (τ ${tau.toFixed(2).replace("-", "−")})`;
  });
  return `With depth the tokens of a caption ${said.join(" and ")}`;
}
