/** From evidence to a verdict. */
import {
  detectableFromInterval,
  detectableRate,
  detectableRateDifference,
  type Estimate,
} from "../analysis/index.js";
import { didYouMean, ModalscopeError } from "../errors.js";
import { checkOptions, record } from "../options.js";
import { formatInterval } from "../plot/index.js";
import { LEAST_NULLS } from "./arms.js";
import type { Claim, Test, Verdict } from "./claims.js";
import type { Evidence, Untestable } from "./evidence.js";
import { type Gate, gateStops } from "./gate.js";
import { rangeOf, ruleText } from "./rules.js";

/** Evidence by the names of a claim's tests; or why there can be none. */
export type ClaimEvidence = Readonly<Record<string, Evidence | Untestable>> | Untestable;

/** Result of one test. */
export interface TestResult {
  readonly test: string;
  readonly verdict: Verdict;
  readonly because: string;
  readonly evidence?: Evidence;
  /**
   * Minimum detectable effect: the distance beyond the rule's limit that 80% of samples like this one would show, in the
   * unit of `evidence.contrast`.
   */
  readonly detectable?: number;
}

/** On how many of several runs a verdict was the same. */
export interface Agreement {
  readonly agree: number;
  readonly of: number;
}

export interface Judgement {
  readonly claim: string;
  readonly verdict: Verdict;
  readonly because: string;
  /** Everything was measured: a step that merely ran is done, whatever its verdict. */
  readonly done: boolean;
  readonly tests: readonly TestResult[];
  /** Over data seeds, and over configurations. */
  readonly seeds?: Agreement;
  readonly configurations?: Agreement;
}

const LEVEL = 0.95;

/**
 * The verdict on a claim: *supported* when the interval of every test lies inside its rule's range, *contradicted* when that of
 * one lies outside, *not testable* when one cannot be measured, a precondition does not hold or the gate was not passed,
 * otherwise *undecided*. No significance is no contradiction: that takes an interval that leaves the range out.
 * @throws ModalscopeError when the evidence is not what the claim's tests ask for.
 */
export function judge(
  claim: Claim,
  evidence: ClaimEvidence,
  options: { readonly gate?: Gate } = {},
): Judgement {
  checkOptions("judge", options, { gate: record });
  const { gate } = options;
  if (isUntestable(evidence))
    return {
      claim: claim.id,
      verdict: "not testable",
      because: evidence.untestable,
      done: false,
      tests: [],
    };
  checkNames(claim, evidence);
  const tests = [...claim.tests].map(([name, test]) => judgeTest(name, test, evidence[name]));
  const done = tests.every((result) => result.evidence !== undefined);
  const stop = gate && gateStops(claim.gate, gate);
  if (stop) return { claim: claim.id, verdict: "not testable", because: stop, done, tests };
  const unmet = tests.filter(
    ({ test, verdict }) => claim.tests.get(test)?.precondition && verdict !== "supported",
  );
  const verdict = verdictOf(unmet.length > 0 ? unmet.map(unmetVerdict) : tests.map((own) => own.verdict));
  const deciding =
    unmet.length > 0
      ? unmet.filter((own) => unmetVerdict(own) === verdict)
      : tests.filter((own) => own.verdict === verdict);
  const because = deciding.map((own) =>
    claim.tests.size === 1 ? own.because : `${own.test}: ${own.because}`,
  );
  return { claim: claim.id, verdict, because: because.join("; "), done, tests };
}

/** A precondition that is contradicted says nothing of the claim. */
const unmetVerdict = ({ verdict }: TestResult): Verdict =>
  verdict === "contradicted" ? "not testable" : verdict;

/** One test that fails decides; then one that cannot be made; then one that is open. */
function verdictOf(verdicts: readonly Verdict[]): Verdict {
  const order = ["contradicted", "not testable", "undecided"] as const;
  return order.find((one) => verdicts.includes(one)) ?? "supported";
}

function judgeTest(name: string, test: Test, evidence: Evidence | Untestable): TestResult {
  if (isUntestable(evidence)) return { test: name, verdict: "not testable", because: evidence.untestable };
  checkEvidence(test, evidence);
  const { contrast, ceiling, counts } = evidence;
  const detectable = detectableBy(test, evidence);
  const result = (verdict: Verdict, because: string): TestResult => ({
    test: name,
    verdict,
    because,
    evidence,
    detectable,
  });
  const shows = `the minimum detectable effect is ${rounded(detectable)} beyond the limit`;
  const few = tooFew(test, evidence);
  if (few) return result("undecided", `${few}; ${shows}`);
  if (ceiling) {
    const { estimate, low, high, level } = ceiling.effect;
    const least = detectableFromInterval(Math.max(estimate - low, high - estimate), { level });
    if (!(distanceFromZero(ceiling.full) > least))
      return result(
        "undecided",
        `the full edit itself does ${formatInterval(ceiling.full)}, not more than the detectable effect of ${rounded(least)}`,
      );
  }
  const { from, to } = rangeOf(test.rule);
  const found = `${formatInterval(contrast)} (n = ${counts?.samples ?? contrast.n})`;
  if (contrast.low > from && contrast.high < to)
    return result("supported", `${found} is ${ruleText(test.rule)}`);
  if (contrast.high < from || contrast.low > to)
    return result("contradicted", `${found} is not ${ruleText(test.rule)}`);
  return result(
    "undecided",
    `${found} reaches over the limit of the rule (${ruleText(test.rule)}); ${shows}`,
  );
}

/** By the side of the interval that faces the limit; of two limits the wider. A rate's spread is that at the effect. */
function detectableBy({ rule, quantity }: Test, { contrast, measured, against, ceiling }: Evidence): number {
  const { from, to } = rangeOf(rule);
  const { estimate, low, high, level } = contrast;
  const [rises, falls] = [Number.isFinite(from), Number.isFinite(to)];
  const half = Math.max(rises ? estimate - low : 0, falls ? high - estimate : 0);
  const plain = detectableFromInterval(half, { level });
  if (quantity !== "rate" || rises === falls || against === "random contrasts") return plain;
  const direction = rises ? 1 : -1;
  if (!ceiling)
    return against === undefined
      ? detectableRate(measured, rises ? from : to, { direction })
      : detectableRateDifference(contrast, measured, { direction });
  const full = ceiling.full.estimate;
  const own = detectableRateDifference(ceiling.effect, measured, { direction: rises === full > 0 ? 1 : -1 });
  return full === 0 ? plain : Math.max(plain, own / Math.abs(full));
}

/** The end of the interval that is nearer to 0; 0 where it holds 0. */
const distanceFromZero = ({ low, high }: Estimate): number =>
  low <= 0 && high >= 0 ? 0 : Math.min(Math.abs(low), Math.abs(high));

const rounded = (value: number): string => String(Number(value.toPrecision(2)));

function tooFew(test: Test, { counts, contrast, against }: Evidence): string | undefined {
  const samples = counts?.samples ?? contrast.n;
  if (samples < test.least.samples) return `${samples} of at least ${test.least.samples} samples`;
  const compares = against !== undefined && test.rule.kind !== "equivalent";
  if (counts && compares && counts.events < test.least.events)
    return `${counts.events} of at least ${test.least.events} events of the rarer kind`;
  return undefined;
}

/** @throws ModalscopeError unless the evidence is one that the test's rule can be asked of. */
function checkEvidence(test: Test, evidence: Evidence): void {
  const { rule, quantity, measures } = test;
  const refuse = (what: string, why = ""): never => {
    throw new ModalscopeError(`The evidence for "${measures}" ${what}.`, why);
  };
  const { estimate, low, high, n, level } = evidence.contrast;
  if (!(low <= estimate && estimate <= high && Number.isFinite(high - low)))
    refuse(`has the interval ${estimate} [${low}, ${high}]`, "An estimate lies within its finite limits.");
  if (level < LEVEL) refuse(`has an interval of level ${level}`, `Verdicts take ${LEVEL} or more.`);
  if (!(n >= 2)) refuse(`rests on ${n} samples`);
  if (evidence.against !== rule.against)
    refuse(`is ${comparison(evidence.against)}`, `Its rule is asked of a value ${comparison(rule.against)}.`);
  if (
    rule.against &&
    !["control", "group"].includes(rule.against) &&
    !((evidence.nulls?.length ?? 0) >= LEAST_NULLS)
  )
    refuse(`has ${evidence.nulls?.length ?? 0} nulls`, `${LEAST_NULLS} or more tell how far chance goes.`);
  if ((evidence.ceiling === undefined) !== (rule.shareOf === undefined))
    refuse(
      `has ${evidence.ceiling ? "a" : "no"} ceiling`,
      `Its rule asks ${rule.shareOf ? "for one" : "for none"}.`,
    );
  if (quantity === "rate" && !evidence.counts) refuse("is a rate without counts of samples and events");
}

const comparison = (against: Test["rule"]["against"]): string =>
  against ? `compared with ${against}` : "compared with nothing";

function checkNames(claim: Claim, evidence: Readonly<Record<string, Evidence | Untestable>>): void {
  const names = [...claim.tests.keys()];
  const missing = names.find((name) => !Object.hasOwn(evidence, name));
  if (missing !== undefined)
    throw new ModalscopeError(
      `The claim "${claim.id}" has no evidence for its test "${missing}".`,
      "",
      "Give it, or say why it cannot be had: { untestable: … }.",
    );
  const odd = Object.keys(evidence).find((name) => !claim.tests.has(name));
  if (odd !== undefined)
    throw new ModalscopeError(`The claim "${claim.id}" has no test "${odd}".`, "", didYouMean(odd, names));
}

function isUntestable(evidence: ClaimEvidence | Evidence): evidence is Untestable {
  return Object.hasOwn(evidence, "untestable");
}
