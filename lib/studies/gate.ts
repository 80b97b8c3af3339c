/** The gate: which kinds of task the model does at all, with the image and better than without it. */
import { type Estimate, rateDifferenceInterval, rateInterval } from "../analysis/index.js";
import { ModalscopeError } from "../errors.js";
import { checkOptions, number } from "../options.js";
import type { GateRule } from "./claims.js";

/** Answers to one kind of task. */
export interface GateSamples {
  readonly kind: string;
  readonly correct: readonly boolean[];
  /** The same questions without their image; or the share that guessing gets right, such as the majority baseline's. */
  readonly blind: readonly boolean[] | number;
  /** Cluster of each question: its image, its problem. */
  readonly clusters?: ArrayLike<number | string>;
}

export interface GateRow {
  readonly kind: string;
  readonly accuracy: Estimate;
  readonly blind: Estimate | number;
  /** Accuracy less the blind one, paired by question; its interval is for all kinds together (Bonferroni). */
  readonly difference: Estimate;
  readonly passed: boolean;
}

export interface Gate {
  readonly rows: readonly GateRow[];
  readonly passed: ReadonlySet<string>;
}

/**
 * Accuracy by kind, with and without the image. A kind passes when the lower limit of the difference is above 0 and that of
 * its accuracy above the blind accuracy.
 * @throws ModalscopeError without kinds, when a kind stands twice, and when the two runs have different numbers of questions.
 */
export function gate(samples: readonly GateSamples[], options: { readonly level?: number } = {}): Gate {
  checkOptions("gate", options, { level: number(0, 1) });
  const { level = 0.95 } = options;
  if (samples.length === 0) throw new ModalscopeError("The gate got no kinds of task.");
  const kinds = samples.map(({ kind }) => kind);
  const twice = kinds.find((kind, i) => kinds.indexOf(kind) !== i);
  if (twice !== undefined) throw new ModalscopeError(`The gate got the kind "${twice}" twice.`);
  const all = 1 - (1 - level) / samples.length;
  const rows = samples.map((own) => gateRow(own, level, all));
  return { rows, passed: new Set(rows.filter(({ passed }) => passed).map(({ kind }) => kind)) };
}

function gateRow({ kind, correct, blind, clusters }: GateSamples, level: number, all: number): GateRow {
  const accuracy = rateInterval(correct, { clusters, level });
  if (typeof blind === "number") {
    const wide = rateInterval(correct, { clusters, level: all });
    const less = (value: number): number => value - blind;
    const difference = {
      ...wide,
      estimate: less(wide.estimate),
      low: less(wide.low),
      high: less(wide.high),
    };
    return { kind, accuracy, blind, difference, passed: difference.low > 0 };
  }
  if (blind.length !== correct.length)
    throw new ModalscopeError(
      `The gate got ${correct.length} answers of the kind "${kind}" and ${blind.length} without images.`,
      "They are compared question by question.",
    );
  const without = rateInterval(blind, { clusters, level });
  const difference = rateDifferenceInterval(
    correct.map((right, i) => Number(right) - Number(blind[i])),
    { clusters, level: all },
  );
  const passed = difference.low > 0 && accuracy.low > without.estimate;
  return { kind, accuracy, blind: without, difference, passed };
}

/**
 * Why a claim cannot be tested behind this gate; undefined where it can.
 * @throws ModalscopeError when the claim names a kind that the gate has not seen.
 */
export function gateStops(rule: GateRule, { rows, passed }: Gate): string | undefined {
  if (rule === "none") return undefined;
  const asked = rule === "any" ? rows.map(({ kind }) => kind) : rule;
  const unseen = asked.find((kind) => !rows.some((row) => row.kind === kind));
  if (unseen !== undefined)
    throw new ModalscopeError(
      `The gate has no kind "${unseen}".`,
      `It has ${rows.map(({ kind }) => kind).join(", ")}.`,
    );
  const failed = rows.filter(({ kind }) => asked.includes(kind) && !passed.has(kind));
  if (failed.length === 0 || (rule === "any" && failed.length < rows.length)) return undefined;
  return `the model does not do the task: ${failed.map(rowText).join("; ")}`;
}

function rowText({ kind, accuracy, blind }: GateRow): string {
  const percent = (share: number): string => `${Math.round(100 * share)}%`;
  const other =
    typeof blind === "number" ? `chance, ${percent(blind)}` : `without images, ${percent(blind.estimate)}`;
  return `${kind} ${percent(accuracy.estimate)} [${percent(accuracy.low)}, ${percent(accuracy.high)}], not above ${other}`;
}
