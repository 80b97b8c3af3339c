/** Patches read continuously: how far they move the answer towards the donor's, in log-probability. */
import { directedShift, type ShiftCase } from "../../analysis/index.js";
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import { logSumExp } from "../../model/methods/index.js";
import {
  checkOptions,
  integer,
  list,
  listOf,
  type OptionChecks,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import { type Arm, armEdit, type Case, sourcesOf } from "./arms.js";
import { byLength } from "./patch.js";
import { residPre, type Subject } from "./subject.js";

export interface ShiftOptions extends TaskOptions {
  /** By problem the tokens before its number in the unpatched answer; undefined where that gives no number. */
  readonly words: readonly (readonly number[] | undefined)[];
  /** By problem the first token of its answer. */
  readonly firstTokens: readonly number[];
  /** Cases run at once. Default 160. */
  readonly rowsPerCall?: number;
}

/** One arm's cases: every problem from every other one with another answer. Own and donor are candidates. */
export interface ShiftedArm {
  readonly arm: Omit<Arm, "donors">;
  readonly cases: readonly (ShiftCase & Pick<Case, "problem">)[];
}

const SHIFT_OPTIONS: OptionChecks<ShiftOptions> = {
  ...TASK_OPTIONS,
  words: required(list, "a list of tokens by problem"),
  firstTokens: required(listOf(integer(0), 1), "a list of tokens"),
  rowsPerCall: integer(1),
};

/**
 * Each problem, patched from all donors whose answer begins otherwise, is followed by the unpatched answer's own words, and the
 * log-probability of every problem's first token is read where the number comes. `change` is that less the unpatched one's.
 */
export async function allDonorShifts(
  subject: Subject,
  arms: readonly Omit<Arm, "donors">[],
  options: ShiftOptions,
): Promise<ShiftedArm[]> {
  checkOptions("allDonorShifts", options, SHIFT_OPTIONS);
  const { words, firstTokens, rowsPerCall = 160, onProgress, signal } = options;
  const candidates = [...new Set(firstTokens)];
  const { ids, model } = subject;
  const texts = ids.en.map((own, i) => [...own, ...(words[i] ?? [])]);
  const cases = casesOf(subject, words, firstTokens);
  const found = arms.map((arm) => ({ arm, cases: [] as (ShiftCase & Pick<Case, "problem">)[] }));
  const candidateOf = (problem: number): number => candidates.indexOf(firstTokens[problem]);
  const layers = [...new Set(arms.map(({ layer }) => layer))];
  const order = byLength(texts).flatMap((problem) => cases.filter((one) => one.problem === problem));
  for (let start = 0; start < order.length; start += rowsPerCall) {
    const some = order.slice(start, start + rowsPerCall);
    // Unpatched, a problem is the same for all its donors: it is read once.
    const problems = [...new Set(some.map(({ problem }) => problem))];
    const read = model.batch(problems.map((problem) => texts[problem]));
    const clean = await model.run(read, { capture: layers.map(residPre), logits: "last", signal });
    const before = candidateLogProbs(clean.logits, candidates);
    const batch = model.batch(some.map(({ problem }) => texts[problem]));
    const prompt = batch.tokenPositions.map((columns, row) =>
      columns.slice(0, ids.en[some[row].problem].length),
    );
    const rows = new Map(some.map((one, row) => [row, one] as const));
    const places = some.map(({ problem }) => problems.indexOf(problem));
    const patched = { rows, prompt, source: sourcesOf(subject) };
    for (const own of found) {
      const { layer } = own.arm;
      const { logits } = await model.run(batch, {
        startAtLayer: layer,
        residual: repeated(clean.cache.get(residPre(layer)), places),
        edits: { [residPre(layer)]: [await armEdit(subject, own.arm, batch, patched)] },
        logits: "last",
        signal,
      });
      const after = candidateLogProbs(logits, candidates);
      some.forEach((one, row) => {
        const change = after[row].map((value, c) => value - before[places[row]][c]);
        const [mine, donor] = [one.problem, one.donor].map(candidateOf);
        own.cases.push({ problem: one.problem, change, own: mine, donor });
      });
    }
    onProgress?.(Math.min(start + rowsPerCall, order.length), order.length, "shifts");
  }
  return found;
}

/** Rows of `(rows, positions, width)`, each as often as it is named. */
function repeated({ data, shape: [, time, width] }: Tensor, places: readonly number[]): Tensor {
  const size = time * width;
  const out = new Float32Array(places.length * size);
  places.forEach((place, row) => {
    out.set(data.subarray(place * size, (place + 1) * size), row * size);
  });
  return { data: out, shape: [places.length, time, width] };
}

/**
 * The tokens of a generated answer before its number, where the number is as this tokenizer writes it; undefined where it is not
 * there.
 */
export function wordsBefore(
  model: Model,
  generated: readonly number[],
  answer: number,
): readonly number[] | undefined {
  const [first] = model.tokenizer?.encode(String(answer), { add_special_tokens: false }) ?? [];
  for (let m = generated.length - 1; m >= 0; m--) {
    const rest = model.decode(generated.slice(m)).trimStart();
    if (generated[m] === first && rest.startsWith(String(answer))) return generated.slice(0, m);
  }
  return undefined;
}

/** Directed shift of each case towards its donor's answer, nats, with the problems as clusters: evidence's values. */
export function shiftValues({ cases }: ShiftedArm): {
  readonly values: number[];
  readonly clusters: number[];
} {
  return {
    values: cases.map((one) => directedShift(one, one.donor)),
    clusters: cases.map(({ problem }) => problem),
  };
}

/** All pairs whose answers begin with other tokens, of problems with words before their number. */
function casesOf(
  { answers }: Subject,
  words: ShiftOptions["words"],
  firstTokens: readonly number[],
): readonly Case[] {
  const all = [...answers.keys()];
  const cases = all.flatMap((problem) =>
    words[problem] === undefined
      ? []
      : all
          .filter((donor) => firstTokens[donor] !== firstTokens[problem])
          .map((donor) => ({ problem, donor })),
  );
  if (cases.length === 0 || new Set(firstTokens).size < 3)
    throw new ModalscopeError(
      "Shifts need problems with an answer, and three answers that begin with other tokens.",
      `There are ${cases.length} pairs and ${new Set(firstTokens).size} first tokens.`,
    );
  return cases;
}

/** Log-probabilities of some tokens at the last position, `(rows, candidates)`. */
function candidateLogProbs(logits: Tensor | undefined, candidates: readonly number[]): number[][] {
  if (!logits) throw new ModalscopeError("The run gave no logits.");
  const { data, shape } = logits;
  const width = shape[shape.length - 1];
  return Array.from({ length: shape[0] }, (_, row) => {
    const own = data.subarray(row * width, (row + 1) * width);
    const total = logSumExp(own);
    return candidates.map((id) => own[id] - total);
  });
}
