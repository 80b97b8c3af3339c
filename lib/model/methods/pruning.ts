/** Token pruning: visual tokens that are dropped at a block, as plans whose edits any run takes. */
import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  integer,
  integers,
  list,
  type OptionChecks,
  required,
  some,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Batch } from "../batch/index.js";
import { type Edits, edit } from "../edits/index.js";
import { pieceOperations } from "../engine/index.js";
import type { Model } from "../model.js";
import { visualPositions } from "../vision/index.js";
import { type KeptColumns, keptColumns, receivedAttention, type TokenRule } from "./token-rules.js";

export interface PruningOptions extends TaskOptions {
  /** Rules by which tokens are kept. */
  readonly rules: readonly TokenRule[];
  /** Shares of each row's visual tokens that are kept, 0–1. */
  readonly keep: readonly number[];
  /** Blocks before which the others are dropped. */
  readonly from: readonly number[];
  /** Block before which they come back, as they were when they were dropped (default: never). */
  readonly until?: number;
}

const shares = (value: unknown): string | undefined =>
  Array.isArray(value) && value.every((v) => typeof v === "number" && v >= 0 && v <= 1)
    ? undefined
    : "a list of shares from 0 to 1";

const PRUNING_OPTIONS: OptionChecks<PruningOptions> = {
  ...TASK_OPTIONS,
  rules: required(some(list), 'a list of rules, such as [{ kind: "random" }]'),
  keep: required(some(shares), "a list of shares from 0 to 1"),
  from: required(some(integers), "a list of blocks"),
  until: integer(1),
};

/** Visual tokens that go on at a block, and those that are dropped. */
export interface PruningPlan {
  readonly rule: TokenRule;
  /** Share of the visual tokens that is kept. */
  readonly keep: number;
  /** The tokens are dropped before this block, and come back before `until`, or never. */
  readonly from: number;
  readonly until: number;
  /** Columns by row. */
  readonly kept: KeptColumns;
  readonly dropped: KeptColumns;
  /**
   * No token attends to a dropped one at the blocks in between, and none that comes back has changed there: the others
   * are computed as if it had been taken out. DeepStack still adds to those that come back.
   */
  readonly edits: Edits;
  /** Visual tokens in the mean over blocks, `Σᵢ Lᵢ·Tᵢ / L`, and over rows: what such methods are compared by. */
  readonly equivalentTokens: number;
  /**
   * Multiplications of the language model's blocks while the prompt is read, as a share of those without pruning,
   * if dropped tokens were not computed. The edits themselves save nothing.
   */
  readonly compute: number;
}

/**
 * Plans that keep some of the visual tokens from a block on: one for each rule, share and block, in this order, the
 * block running fastest. Rows of the batch keep the same share.
 * @example
 * const rules = [{ kind: "attention" }, { kind: "random" }, { kind: "grid" }] as const;
 * const plans = await pruningPlans(model, batch, { rules, keep: [0.5, 0.25], from: [2, 8] });
 * const { values } = await sweep(model, batch, { over: plans, edit: ({ edits }) => edits, metric });
 * @throws ModalscopeError for a batch without images, a block that the model has not, and a rule by attention at block 0
 */
export async function pruningPlans(
  model: Model,
  batch: Batch,
  options: PruningOptions,
): Promise<PruningPlan[]> {
  checkOptions("pruningPlans", options, PRUNING_OPTIONS);
  const { rules, keep, from: froms, until = model.layers.length, onProgress, signal } = options;
  // Refuses a batch without images.
  visualPositions(batch);
  checkRules(rules);
  checkBlocks(model, froms, until);
  const received = await receivedAttention(model, batch, rules, froms, { onProgress, signal });
  return rules.flatMap((rule) =>
    keep.flatMap((share) =>
      froms.map((from) => {
        const kept = keptColumns(rule, { batch, from, keep: share, received });
        const dropped = batch.visual.map((columns, b) => without(columns, kept[b]));
        return {
          rule,
          keep: share,
          from,
          until,
          kept,
          dropped,
          edits: droppingEdits(model, dropped, from, until),
          ...costOf(model, batch, dropped, [from, until]),
        };
      }),
    ),
  );
}

const KINDS: readonly unknown[] = ["attention", "random", "grid"] satisfies TokenRule["kind"][];

function checkRules(rules: readonly TokenRule[]): void {
  const unknown = rules.find((rule) => !KINDS.includes(rule?.kind));
  if (unknown === undefined) return;
  throw new ModalscopeError(
    `${JSON.stringify(unknown)} is no rule for keeping tokens.`,
    `Rules are of the kinds ${KINDS.join(", ")}.`,
  );
}

function checkBlocks({ layers }: Model, froms: readonly number[], until: number): void {
  if (until > layers.length)
    throw new ModalscopeError(
      `Tokens cannot come back before block ${until}.`,
      `There are ${layers.length}.`,
    );
  const bad = froms.find((from) => from < 0 || from >= until);
  if (bad === undefined) return;
  throw new ModalscopeError(
    `Tokens cannot be dropped from block ${bad} to block ${until}.`,
    `The model has ${layers.length} blocks, counted from 0.`,
  );
}

function without(columns: readonly number[], some: readonly number[]): number[] {
  const set = new Set(some);
  return columns.filter((c) => !set.has(c));
}

function droppingEdits(model: Model, dropped: KeptColumns, from: number, until: number): Edits {
  if (dropped.every((columns) => columns.length === 0)) return {};
  const hidden = edit.blockAttention({ to: dropped });
  const unchanged = edit.zero({ positions: dropped });
  const comeBack = until < model.layers.length;
  return Object.fromEntries(
    model.layers.slice(from, until).flatMap((l) => [
      [`blocks.${l}.attn.hook_attn_scores`, hidden],
      ...(comeBack
        ? [
            [`blocks.${l}.hook_attn_out`, unchanged],
            [`blocks.${l}.hook_mlp_out`, unchanged],
          ]
        : []),
    ]),
  );
}

function costOf(
  { engine, layers }: Model,
  { tokenPositions, visual }: Batch,
  dropped: KeptColumns,
  [from, until]: readonly [number, number],
): Pick<PruningPlan, "equivalentTokens" | "compute"> {
  let [tokens, pruned, whole] = [0, 0, 0];
  for (const l of layers) {
    const { perToken, perPair } = pieceOperations(engine, l);
    const operations = (n: number): number => n * perToken + ((n * (n + 1)) / 2) * perPair;
    tokenPositions.forEach(({ length: all }, b) => {
      const out = l >= from && l < until ? dropped[b].length : 0;
      tokens += visual[b].length - out;
      pruned += operations(all - out);
      whole += operations(all);
    });
  }
  return { equivalentTokens: tokens / (layers.length * visual.length), compute: pruned / whole };
}
