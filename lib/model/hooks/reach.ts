/** Which hooks a run passes: it may start late, stop early and leave blocks out. */
import { ModalscopeError } from "../../errors.js";
import { HEAD } from "../families/pieces.js";
import { type Hook, isVisual, matchHooks } from "./hooks.js";

export interface Course {
  /** First block, whose stream is given; undefined where the run begins with the embedding. */
  readonly start?: number;
  /** Block before which it stops. */
  readonly stop?: number;
  readonly skip?: readonly number[];
  /** Whether pictures are looked at (default true). */
  readonly sees?: boolean;
  /** Whether the final norm and the language head run (default true). */
  readonly head?: boolean;
}

/** Points that the stream passes even where its block is left out. */
const BETWEEN: readonly string[] = ["hook_resid_pre", "hook_deepstack", "hook_resid_post"];

export function runsIn({
  start,
  stop,
  skip = [],
  sees = true,
  head = true,
}: Course): (hook: Hook) => boolean {
  return ({ piece, local }) => {
    if (piece === HEAD) return head && stop === undefined;
    if (piece === "embed") return start === undefined;
    if (typeof piece !== "number") return sees;
    if (local === "hook_deepstack" && !sees) return false;
    if (piece < (start ?? 0) || piece >= (stop ?? Number.POSITIVE_INFINITY)) return false;
    return !skip.includes(piece) || BETWEEN.includes(local);
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
      `Nothing would happen at "${pattern}".`,
      `${named.length === 1 ? "This hook is" : `These ${named.length} hooks are`} passed only where the run looks at a picture: the batch has no picture, or the run starts, stops or skips so that none is looked at there.`,
      "Give prompts with pictures, or do not ask for it.",
    );
  }
  throw new ModalscopeError(
    `Nothing would happen at "${pattern}".`,
    `${named.length === 1 ? "This hook does" : `Its ${named.length} hooks do`} not run: the run starts after it, stops before it, or leaves its block or the language head out.`,
    "Change start, stop, skip or logits, or do not ask for it.",
  );
}
