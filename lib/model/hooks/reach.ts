/** Hooks that a run reaches: it may start late, stop early and skip blocks. */
import { ModalscopeError } from "../../errors.js";
import { HEAD } from "../families/index.js";
import { type Hook, isVisual, matchHooks } from "./hooks.js";

/** The part of the model that a run computes. */
export interface RunRange {
  /** First block, whose residual stream is given; undefined for a run that begins with the embedding. */
  readonly startAtLayer?: number;
  /** Block before which it stops. */
  readonly stopAtLayer?: number;
  /** Blocks that are left out: the residual stream passes them unchanged. */
  readonly skipLayers?: readonly number[];
  /** Whether the vision tower runs (default true). */
  readonly withVision?: boolean;
  /** Whether the final norm and the language head run (default true). */
  readonly head?: boolean;
}

/** Hooks between the blocks: the residual stream passes them even where its block is skipped. */
const BETWEEN: readonly string[] = ["hook_resid_pre", "hook_deepstack", "hook_resid_post"];

/** Predicate of the hooks that a run over this range reaches. */
export function reaches({
  startAtLayer,
  stopAtLayer,
  skipLayers = [],
  withVision = true,
  head = true,
}: RunRange): (hook: Hook) => boolean {
  return ({ piece, local }) => {
    if (piece === HEAD) return head && stopAtLayer === undefined;
    if (piece === "embed") return startAtLayer === undefined;
    if (typeof piece !== "number") return withVision;
    if (local === "hook_deepstack" && !withVision) return false;
    if (piece < (startAtLayer ?? 0) || piece >= (stopAtLayer ?? Number.POSITIVE_INFINITY)) return false;
    return !skipLayers.includes(piece) || BETWEEN.includes(local);
  };
}

/**
 * The hooks of a pattern that run; a pattern for many blocks means those of them that do.
 * @throws ModalscopeError when there is no such hook, or when none of them runs
 */
export function matchRunning(
  hooks: readonly Hook[],
  pattern: string | RegExp,
  runs: (hook: Hook) => boolean,
): Hook[] {
  const named = matchHooks(hooks, pattern);
  const found = named.filter(runs);
  if (found.length > 0) return found;
  if (named.every((hook) => isVisual(hook) || hook.local === "hook_deepstack")) {
    throw new ModalscopeError(
      `${named.length === 1 ? `Hook "${pattern}" does` : `The ${named.length} hooks of "${pattern}" do`} not run with these options.`,
      "The vision tower runs only for images: the batch has none, or the run starts, stops or skips so that none is needed there.",
      "Give prompts with images, or leave the hook out.",
    );
  }
  throw new ModalscopeError(
    `${named.length === 1 ? `Hook "${pattern}" does` : `The ${named.length} hooks of "${pattern}" do`} not run with these options.`,
    "The run starts after, stops before, or leaves out the block or the language head.",
    "Change startAtLayer, stopAtLayer, skipLayers or logits, or leave the hook out.",
  );
}
