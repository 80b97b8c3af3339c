/** Claims × checkpoints: every claim on the model and on everything that should not, or should, support it. */
import { didYouMean, ModalscopeError } from "../errors.js";
import { checkOptions, listOf, type OptionChecks, TASK_OPTIONS, text } from "../options.js";
import type { Progress, TaskOptions } from "../progress.js";
import { SEEDS } from "../study-options.js";
import { acrossConfigurations, acrossSeeds } from "./agreement.js";
import type { Checkpoint, Claim, Study, Verdict } from "./claims.js";
import type { Gate } from "./gate.js";
import { type ClaimEvidence, type Judgement, judge } from "./judge.js";

/** Measurements on one checkpoint with one data seed: evidence by claim. */
export interface Measured {
  readonly evidence: Readonly<Record<string, ClaimEvidence>>;
  /** Abilities of the checkpoint; the model's must be given when a claim has a gate. */
  readonly gate?: Gate;
  /** Evidence by configuration and claim, of those claims that were measured in others than the document's. */
  readonly configurations?: Readonly<Record<string, Readonly<Record<string, ClaimEvidence>>>>;
}

export interface MatrixOptions extends TaskOptions {
  /** Data seeds: each draws new samples. Default 0, 1 and 2. */
  readonly seeds?: readonly number[];
  /** Seeds for all but the model. Default the same. */
  readonly otherSeeds?: readonly number[];
  /** Ids of the checkpoints to run, the model among them; default all. A claim is not supported before its nulls were run. */
  readonly only?: readonly string[];
}

/** A verdict that was taken back, and the checkpoints that forbid it. */
export interface Downgrade {
  readonly from: Verdict;
  readonly checkpoints: readonly string[];
}

export interface Cell extends Judgement {
  /** Of the model: what its evidence alone would have given. */
  readonly downgraded?: Downgrade;
  /** Of the others: it is not what the checkpoint was made for. */
  readonly unexpected: boolean;
}

/** The verdicts of a study. Tables and figures take it whole, so that none shows a verdict that was not tried on nothing. */
export interface ClaimsMatrix {
  readonly title: string;
  readonly claims: readonly Claim[];
  readonly checkpoints: readonly Checkpoint[];
  /** `(claims, checkpoints)` */
  readonly cells: readonly (readonly Cell[])[];
}

const MATRIX_OPTIONS: OptionChecks<MatrixOptions> = {
  ...TASK_OPTIONS,
  seeds: SEEDS,
  otherSeeds: SEEDS,
  only: listOf(text, 1),
};

/**
 * Runs a study's claims on its checkpoints and judges them, the model last of all: a claim that a null of it, or a checkpoint
 * built to hold its opposite, supports too cannot be supported on the model; and one that no checkpoint built to hold it
 * supports cannot be contradicted. Nulls are judged without the gate, which they would not pass, so that rules are tried.
 * @param measure opens a checkpoint, draws the seed's samples and returns the evidence of every claim. What it says of its own
 *   progress is that of its share of the whole.
 * @throws ModalscopeError when evidence for a claim is missing or there is some for none; whatever `measure` throws.
 */
export async function claimsMatrix(
  study: Study,
  measure: (checkpoint: Checkpoint, seed: number, onProgress?: Progress) => Promise<Measured> | Measured,
  options: MatrixOptions = {},
): Promise<ClaimsMatrix> {
  checkOptions("claimsMatrix", options, MATRIX_OPTIONS);
  const { seeds = [0, 1, 2], otherSeeds = seeds, onProgress, signal } = options;
  const checkpoints = chosen(study, options.only);
  const seedsOf = ({ role }: Checkpoint): readonly number[] => (role === "model" ? seeds : otherSeeds);
  const total = checkpoints.reduce((sum, checkpoint) => sum + seedsOf(checkpoint).length, 0);
  const columns: Judgement[][] = [];
  let done = 0;
  for (const checkpoint of checkpoints) {
    const runs: Measured[] = [];
    for (const seed of seedsOf(checkpoint)) {
      signal?.throwIfAborted();
      onProgress?.(done, total, checkpoint.name);
      const measured = await measure(
        checkpoint,
        seed,
        onProgress && within(onProgress, done, total, checkpoint),
      );
      checkMeasured(study, checkpoint, measured);
      runs.push(measured);
      done++;
    }
    columns.push(study.claims.map((claim) => judgeRuns(claim, checkpoint, runs)));
  }
  onProgress?.(total, total, "claims");
  const cells = study.claims.map((claim, i) => {
    const row = columns.map((column) => column[i]);
    return checkpoints.map((checkpoint, j) => cellOf(claim, checkpoint, row[j], { checkpoints, row, study }));
  });
  return { title: study.title, claims: study.claims, checkpoints, cells };
}

/** Progress of one checkpoint as its share of the whole, up to its end. */
const within =
  (whole: Progress, before: number, total: number, { name }: Checkpoint): Progress =>
  (done, parts, label) => {
    if (done < parts) whole(before + done / parts, total, `${name}: ${label}`);
  };

/** The model's cell of each claim. */
export function modelCells({ checkpoints, cells }: ClaimsMatrix): Cell[] {
  const model = checkpoints.findIndex(({ role }) => role === "model");
  return cells.map((row) => row[model]);
}

function judgeRuns(claim: Claim, { role }: Checkpoint, runs: readonly Measured[]): Judgement {
  const gated = (run: Measured): { readonly gate?: Gate } => (role === "null" ? {} : { gate: run.gate });
  const headline = acrossSeeds(
    role === "model" ? claim : { ...claim, headline: false },
    runs.map((run) => judge(claim, run.evidence[claim.id], gated(run))),
  );
  const names = [...new Set(runs.flatMap(({ configurations = {} }) => Object.keys(configurations)))];
  const others = names.flatMap((name) => {
    const own = runs.flatMap((run) => {
      const found = run.configurations?.[name]?.[claim.id];
      return found ? [judge(claim, found, gated(run))] : [];
    });
    return own.length > 0 ? [acrossSeeds({ ...claim, headline: false }, own)] : [];
  });
  return acrossConfigurations(headline, others);
}

/** Judgements of one claim by checkpoint that was run, in a study that may have more. */
interface Tried {
  readonly study: Study;
  readonly checkpoints: readonly Checkpoint[];
  readonly row: readonly Judgement[];
}

function cellOf(claim: Claim, checkpoint: Checkpoint, found: Judgement, tried: Tried): Cell {
  if (checkpoint.role !== "model") {
    const expected = claim.planted.get(checkpoint.id);
    const unexpected =
      expected === undefined
        ? (checkpoint.role === "null" || claim.nulls.includes(checkpoint.id)) && found.verdict === "supported"
        : found.verdict !== expected;
    return { ...found, unexpected };
  }
  const forbidden = objection(claim, found.verdict, tried);
  if (!forbidden) return { ...found, unexpected: false };
  return {
    ...found,
    verdict: "not testable",
    because: `${forbidden.why}; its evidence alone: ${found.verdict}, ${found.because}`,
    downgraded: { from: found.verdict, checkpoints: forbidden.checkpoints },
    unexpected: false,
  };
}

interface Objection {
  readonly why: string;
  readonly checkpoints: readonly string[];
}

/** Reason in the other columns against this verdict on the model. */
function objection(
  claim: Claim,
  verdict: Verdict,
  { study, checkpoints, row }: Tried,
): Objection | undefined {
  const verdictOn = (id: string): Verdict | undefined =>
    row[checkpoints.findIndex((own) => own.id === id)]?.verdict;
  const planted = (wanted: (expected: Verdict) => boolean): string[] =>
    [...claim.planted].filter(([, expected]) => wanted(expected)).map(([id]) => id);
  const names = (ids: readonly string[]): string =>
    ids.map((id) => study.checkpoints.find((own) => own.id === id)?.name ?? id).join(", ");
  const because = (why: string, ids: readonly string[]): Objection => ({
    why: `${why} ${names(ids)}`,
    checkpoints: ids,
  });
  if (verdict === "supported") {
    const holding = planted((expected) => expected === "supported");
    const without = checkpoints
      .filter(({ role }) => role === "null")
      .map(({ id }) => id)
      .concat(
        claim.nulls,
        planted((expected) => expected !== "supported"),
      )
      .filter((id, i, all) => all.indexOf(id) === i && !holding.includes(id));
    const fooled = without.filter((id) => verdictOn(id) === "supported");
    if (fooled.length > 0) return because("the rule is met as well by", fooled);
    const untried = claim.nulls.filter((id) => verdictOn(id) === undefined);
    if (untried.length > 0) return because("not tried on", untried);
    const measured = claim.nulls.some((id) => row[checkpoints.findIndex((own) => own.id === id)]?.done);
    return measured ? undefined : because("could not be measured where nothing is to be found:", claim.nulls);
  }
  if (verdict !== "contradicted") return undefined;
  const holding = planted((expected) => expected === "supported");
  if (holding.some((id) => verdictOn(id) === "supported")) return undefined;
  return holding.every((id) => verdictOn(id) === undefined)
    ? because("not tried where the claim was planted:", holding)
    : because("the rule did not find the claim where it was planted:", holding);
}

function chosen(study: Study, only: readonly string[] | undefined): readonly Checkpoint[] {
  if (!only) return study.checkpoints;
  const ids = study.checkpoints.map(({ id }) => id);
  const odd = only.find((id) => !ids.includes(id));
  if (odd !== undefined)
    throw new ModalscopeError(
      `There is no checkpoint "${odd}".`,
      `There are ${ids.join(", ")}.`,
      didYouMean(odd, ids),
    );
  const found = study.checkpoints.filter(({ id }) => only.includes(id));
  if (!found.some(({ role }) => role === "model"))
    throw new ModalscopeError("The model is not among the checkpoints to run.");
  return found;
}

function checkMeasured({ claims }: Study, { role, name }: Checkpoint, measured: Measured): void {
  const ids = claims.map(({ id }) => id);
  const missing = ids.find((id) => !Object.hasOwn(measured.evidence, id));
  if (missing !== undefined)
    throw new ModalscopeError(
      `There is no evidence for the claim "${missing}" on ${name}.`,
      "Every claim is judged on every checkpoint.",
      "Give it, or say why it cannot be had: { untestable: … }.",
    );
  const named = [measured.evidence, ...Object.values(measured.configurations ?? {})].flatMap(Object.keys);
  const odd = named.find((id) => !ids.includes(id));
  if (odd !== undefined) throw new ModalscopeError(`There is no claim "${odd}".`, "", didYouMean(odd, ids));
  const gated = claims.find(({ gate }) => gate !== "none");
  if (role === "model" && gated && !measured.gate)
    throw new ModalscopeError(
      `The claim "${gated.id}" stands behind a gate, and ${name} was measured without one.`,
      "",
      "Measure accuracies with `gate` first.",
    );
}
