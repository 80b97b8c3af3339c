/** Captions without some blocks, and without as many others. */
import { controlPlan, type SkipPlan, skipPlans } from "../../analysis/index.js";
import type { Caption } from "./captions.js";
import type { EvolutionData, SkippedCaptions } from "./data.js";
import { type CaptionTruth, mentionsOf, wordOverlap, wrongShare } from "./mentions.js";
import type { EvolutionRules } from "./rules.js";
import { range } from "./summaries.js";

/** Captions of the same images without some blocks; without none, the original ones. */
export type WithoutBlocks = (blocks: readonly number[]) => Promise<readonly Caption[]>;

export interface SkipRunOptions {
  readonly rules: EvolutionRules;
  readonly seed: number;
  /** Names of the plans to run. Default all. */
  readonly skips?: readonly string[];
}

/** Runs the plans that skip something, held against what is true of each caption's image. */
export async function skipped(
  without: WithoutBlocks,
  { blocks, critical, mutations }: Pick<EvolutionData, "blocks" | "critical" | "mutations">,
  truths: readonly CaptionTruth[],
  { rules, seed, skips: names }: SkipRunOptions,
): Promise<EvolutionData["skips"]> {
  const run = async (plan: SkipPlan): Promise<SkippedCaptions> => {
    const texts = (await without([])).map(({ text }) => text);
    const now = await without(plan.skip);
    return {
      plan,
      texts: now.map(({ text }) => text),
      overlap: now.map(({ text }, c) => wordOverlap(text, texts[c])),
      elsewhere: now.map(({ text }, c) => wordOverlap(text, texts[(c + 1) % texts.length])),
      wrong: now.map(({ pieces }, c) => wrongShare(mentionsOf(pieces, truths[c]))),
    };
  };
  const skips: { own: SkippedCaptions; control?: SkippedCaptions }[] = [];
  for (const plan of skipPlans({ blocks, critical, mutations: mutations.layers, last: rules.lastBlocks })) {
    if (plan.skip.length === 0 || names?.includes(plan.name) === false) continue;
    const own = await run(plan);
    const free = (from: number): number[] => range(from, blocks).filter((b) => !plan.skip.includes(b));
    const candidates = [free(critical + 1), free(1)].find((some) => some.length >= plan.skip.length);
    const control = candidates && controlPlan(plan, { candidates, blocks, seed });
    skips.push({ own, ...(control ? { control: await run(control) } : {}) });
  }
  return skips;
}
