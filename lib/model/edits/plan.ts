/** Edits resolved: which hooks they are at, and whether they can hold there. */
import { ModalscopeError } from "../../errors.js";
import { sizeOf } from "../../tensor.js";
import type { Pass, Positions } from "../batch/index.js";
import { axesOf, type Hook, isVisual, matchRunning, overKeys } from "../hooks/index.js";
import { EXPERT_INDICES } from "../nn/index.js";
import { checkEdit, type Edit, type Edits } from "./edit.js";
import { checkFeatures } from "./features.js";
import { type BoundEdit, checkWidth, type FeatureMemory } from "./values.js";

/** Hook name → edits in order. */
export type Plan = ReadonlyMap<string, readonly BoundEdit[]>;

/** An edit of the batch's own rows. */
function bound(edit: Edit, memory: FeatureMemory): BoundEdit {
  const valueRowOf = (b: number): number | undefined => (!edit.rows || edit.rows.includes(b) ? b : undefined);
  return { edit, valueRowOf, ...(edit.kind === "features" && { memory }) };
}

/**
 * Resolves the hook patterns of edits.
 * @param runs whether a hook runs
 * @throws ModalscopeError for an unknown hook, one that does not run, a value or basis that does not fit,
 *   heads that
 * are not there, or a mask that is not at `attn.hook_attn_scores`
 */
export function planEdits(
  hooks: readonly Hook[],
  edits: Edits,
  runs: (hook: Hook) => boolean = () => true,
): Map<string, BoundEdit[]> {
  const plan = new Map<string, BoundEdit[]>();
  const memory: FeatureMemory = new Map();
  for (const [pattern, given] of Object.entries(edits)) {
    for (const hook of matchRunning(hooks, pattern, runs)) {
      const list = plan.get(hook.name) ?? [];
      for (const edit of Array.isArray(given) ? (given as readonly Edit[]) : [given as Edit]) {
        checkEdit(`The hook "${hook.name}"`, edit);
        checkAtHook(hook, edit);
        list.push(bound(edit, memory));
      }
      plan.set(hook.name, list);
    }
  }
  return plan;
}

/**
 * Checks that a plan's edits hold somewhere, before anything is computed.
 * @param passFor how a hook's rows and columns are counted
 * @param generated tokens that follow the prompt
 * @throws ModalscopeError for a row, position or value that cannot be
 */
export function checkPlan(
  hooks: readonly Hook[],
  plan: Plan,
  passFor: (hook: Hook) => Pass,
  generated = 0,
): void {
  for (const point of hooks.filter(({ name }) => plan.has(name))) {
    const hook = point.name;
    const batch = passFor(point);
    // Images are encoded with the prompt, and never again.
    const decoded = isVisual(point) || point.local === "hook_deepstack" ? 0 : generated;
    const length = batch.seqLength + decoded;
    for (const { edit } of plan.get(hook)!) {
      const row = edit.rows?.find((r) => !(Number.isInteger(r) && r >= 0 && r < batch.size));
      if (row !== undefined) {
        throw new ModalscopeError(
          `The edit at "${hook}" names row ${row}.`,
          `The batch has ${batch.size} rows.`,
          "Rows count from 0.",
        );
      }
      if (edit.phase === "decoding" && decoded === 0) {
        throw new ModalscopeError(
          `The edit at "${hook}" holds while tokens are generated.`,
          generated > 0
            ? "Images are encoded while the prompt is read, and never again."
            : "Here a prompt is read, and nothing more.",
          generated > 0 ? "Leave the phase out." : "Leave the phase out, or use generate.",
        );
      }
      checkPositions(point, edit, edit.positions, batch, length);
      if (edit.kind === "mean") checkMean(hook, edit, decoded);
      if (edit.kind === "blockAttention") checkPositions(point, edit, edit.to, batch, length);
      const value = "value" in edit ? edit.value : "factor" in edit ? edit.factor : undefined;
      if (typeof value === "object" && sizeOf(value.shape) !== value.data.length) {
        throw new ModalscopeError(
          `The edit at "${hook}" has ${value.data.length} values of shape (${value.shape.join(", ")}).`,
          `That shape holds ${sizeOf(value.shape)}.`,
        );
      }
    }
  }
}

/** @throws ModalscopeError for a mean over one token, which is that token */
function checkMean(hook: string, { positions, phase }: Edit, decoded: number): void {
  if (mostTokens(positions) !== 1 && !(decoded > 0 && phase === "decoding")) return;
  throw new ModalscopeError(
    `The mean at "${hook}" is over one token${phase === "decoding" ? ", the newest one" : ""}, and would change nothing.`,
    "An edit's mean is over the tokens of a row that it holds at.",
    "Name more of them, or fill in the mean over other prompts: edit.fill(await meanOf(model, prompts, hook)).",
  );
}

/** Tokens that positions name in a row at most; of all, there is no telling. */
function mostTokens(positions: Edit["positions"] = "all"): number {
  if (positions === "last") return 1;
  if (positions === "all") return Number.POSITIVE_INFINITY;
  const perRow = Array.isArray(positions[0]) ? (positions as readonly (readonly number[])[]) : [positions];
  return Math.max(...perRow.map((row) => row.length));
}

/**
 * @param length columns of the batch, with the tokens that follow the prompt
 * @throws ModalscopeError for a column that is not there, padding in a row's own list, or a list that names
 *   nothing else
 */
function checkPositions(
  { name }: Hook,
  { rows }: Edit,
  positions: Positions | undefined,
  { size, seqLength, last, tokenPositions }: Pass,
  length: number,
): void {
  if (positions === undefined || typeof positions === "string") return;
  const lists = positions as readonly (number | readonly number[])[];
  const perRow = Array.isArray(lists[0]);
  if (perRow && lists.length !== size) {
    throw new ModalscopeError(
      `The edit at "${name}" has positions for ${lists.length} rows.`,
      `The batch has ${size}.`,
      "Give one list for all rows, or one for each.",
    );
  }
  const edited = Array.from({ length: size }, (_, b) => b).filter((b) => !rows || rows.includes(b));
  /** The positions of a list that are tokens, or will be, in some row. */
  const held = new Set<number>();
  for (const b of edited) {
    const tokens = new Set(tokenPositions[b]);
    for (const p of (perRow ? lists[b] : lists) as readonly number[]) {
      const column = p < 0 ? last[b] + 1 + p : p;
      const first = p < 0 ? tokenPositions[b][0] : 0;
      if (!(Number.isInteger(column) && column >= first && column < length)) {
        throw new ModalscopeError(
          `The edit at "${name}" names position ${p}, which row ${b} does not have.`,
          `It has ${tokenPositions[b].length} tokens, and there are ${length} columns.`,
          "Positions are columns of the batch from 0; negative ones count back from a row's last token.",
        );
      }
      if (column >= seqLength || tokens.has(column)) held.add(p);
      else if (perRow) throw atPadding(name, p, `in row ${b}`);
    }
  }
  if (perRow && held.size === 0 && edited.length > 0) {
    throw new ModalscopeError(
      `The edit at "${name}" names no positions${edited.length > 1 ? " in any row" : ""}.`,
      "It would change nothing.",
      "Leave an edit out that is to change nothing.",
    );
  }
  if (perRow) return;
  // One list serves all rows, whose padding differs: it must hold in one of them.
  const nowhere = (lists as readonly number[]).find((p) => !held.has(p));
  if (nowhere !== undefined && edited.length > 0) throw atPadding(name, nowhere, "in every row");
}

function atPadding(hook: string, position: number, where: string): ModalscopeError {
  return new ModalscopeError(
    `The edit at "${hook}" names position ${position}, which is padding ${where}.`,
    "Padding is never edited.",
    "Count from a row's end (-1 is its last token), or take columns of batch.tokenPositions.",
  );
}

/** A plan whose batch is `size` rows of a larger one, from row `from` on. */
export function atRows(plan: Plan, from: number, size: number): Plan {
  const placed = ({ edit, valueRowOf, memory }: BoundEdit): BoundEdit => ({
    edit,
    memory,
    rowRange: { from, to: from + size },
    valueRowOf: (b) => (b >= from && b < from + size ? valueRowOf(b - from) : undefined),
  });
  return new Map([...plan].map(([name, edits]) => [name, edits.map(placed)]));
}

/** Several plans as one; edits of the same hook follow each other. */
export function mergePlans(plans: Iterable<Plan>): Map<string, BoundEdit[]> {
  const joined = new Map<string, BoundEdit[]>();
  for (const plan of plans)
    for (const [name, edits] of plan) joined.set(name, [...(joined.get(name) ?? []), ...edits]);
  return joined;
}

function checkAtHook(hook: Hook, edit: Edit): void {
  if (hook.local === EXPERT_INDICES) {
    throw new ModalscopeError(
      `"${hook.name}" cannot be edited.`,
      "It says which experts a token goes to; their weights decide it.",
      "Edit mlp.hook_expert_weights: an expert runs where its weight is not zero.",
    );
  }
  if (edit.kind === "blockAttention" && hook.local !== "attn.hook_attn_scores") {
    throw new ModalscopeError(
      `"${hook.name}" cannot be masked.`,
      "A mask hides keys from queries.",
      "Put it at attn.hook_attn_scores.",
    );
  }
  const { head } = axesOf(hook);
  if (edit.heads && head === undefined) {
    throw new ModalscopeError(`"${hook.name}" has no heads.`, "An edit asks for some.");
  }
  const missing = edit.heads?.find(
    (h) => !(Number.isInteger(h) && h >= 0 && h < (hook.shape[head!] as number)),
  );
  if (missing !== undefined) {
    throw new ModalscopeError(`"${hook.name}" has no head ${missing}.`, `It has ${hook.shape[head!]}.`);
  }
  const width = hook.shape[hook.shape.length - 1];
  if (typeof width === "number") checkWidth(edit, width);
  if (edit.kind === "features") checkFeatures(hook, edit);
}

/**
 * True for a hook whose edits read or change several queries at once, or keys that a part of the queries
 * would not reach;
 * or rows, of which a part of the queries may have fewer.
 */
export function needsAllQueries(hook: Hook, plan: Plan): boolean {
  const edits = hook.inside ? (plan.get(hook.name) ?? []) : [];
  return edits.some(
    ({ edit }) =>
      edit.kind !== "blockAttention" && (overKeys(hook) || edit.kind === "mean" || readsOtherRows(edit)),
  );
}

/** True for an edit that may read other rows than its own. */
export function readsOtherRows({ kind }: Edit): boolean {
  return kind === "apply" || kind === "resample";
}

/** The edits of some hooks, for a part of the batch whose rows begin at `from`. */
export function planFromRow(plan: Plan, hooks: readonly Hook[], from: number): Plan {
  const placed = ({ edit, valueRowOf, memory }: BoundEdit): BoundEdit => ({
    edit,
    memory,
    valueRowOf: (b) => valueRowOf(b + from),
  });
  return new Map(hooks.flatMap(({ name }) => (plan.has(name) ? [[name, plan.get(name)!.map(placed)]] : [])));
}
