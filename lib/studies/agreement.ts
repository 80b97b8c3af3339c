/** One verdict from several runs: other data seeds, other configurations. */
import { ModalscopeError } from "../errors.js";
import { type Claim, VERDICTS, type Verdict } from "./claims.js";
import type { Judgement } from "./judge.js";

/** Data seeds that a headline verdict takes. */
export const LEAST_SEEDS = 3;

/**
 * The verdict on a claim over data seeds: the one that more than half of them gave, provided that none gave its opposite.
 * A headline claim is decided on three or more.
 * @param runs the claim's judgement by data seed, the document's configuration in each.
 * @throws ModalscopeError without runs, and when one is of another claim.
 */
export function acrossSeeds(claim: Claim, runs: readonly Judgement[]): Judgement {
  if (runs.length === 0) throw new ModalscopeError(`The claim "${claim.id}" was judged on no data seed.`);
  const odd = runs.find((run) => run.claim !== claim.id);
  if (odd) throw new ModalscopeError(`A judgement of "${odd.claim}" stands among those of "${claim.id}".`);
  const gave = (verdict: Verdict): number => runs.filter((run) => run.verdict === verdict).length;
  const most = VERDICTS.reduce((best, verdict) => (gave(verdict) > gave(best) ? verdict : best));
  const seeds = { agree: gave(most), of: runs.length };
  const example = runs.find((run) => run.verdict === most) ?? runs[0];
  const base = { ...example, done: runs.every((run) => run.done), seeds };
  const undecided = (why: string): Judgement => ({ ...base, verdict: "undecided", because: why });
  const tally = VERDICTS.filter((verdict) => gave(verdict) > 0)
    .map((verdict) => `${verdict} on ${gave(verdict)}`)
    .join(", ");
  if ((gave("supported") > 0 && gave("contradicted") > 0) || seeds.agree <= runs.length / 2)
    return undecided(`the data seeds disagree: ${tally} of ${runs.length}`);
  if (claim.headline && runs.length < LEAST_SEEDS && (most === "supported" || most === "contradicted"))
    return undecided(
      `${tally} of ${runs.length} data ${runs.length === 1 ? "seed" : "seeds"}; a headline takes ${LEAST_SEEDS} (${example.because})`,
    );
  return base;
}

/**
 * The headline judgement with the number of other configurations (layers, sizes, pooling) that give the same verdict. They do
 * not change it.
 */
export function acrossConfigurations(headline: Judgement, others: readonly Judgement[]): Judgement {
  const agree = others.filter(({ verdict }) => verdict === headline.verdict).length;
  return others.length === 0 ? headline : { ...headline, configurations: { agree, of: others.length } };
}
