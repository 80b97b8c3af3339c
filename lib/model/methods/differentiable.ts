/** Hooks that are held constant, and edits that derivatives can pass. */

import { ModalscopeError } from "../../errors.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import type { BackwardHooks } from "../backward/index.js";
import type { Pass } from "../batch/index.js";
import { captureShapes } from "../captures/index.js";
import { type Edit, type Edits, fill, type Plan } from "../edits/index.js";
import type { Engine } from "../engine/index.js";
import { type Hook, matchHooks } from "../hooks/index.js";
import { EXPERT_INDICES, EXPERT_POST } from "../nn/index.js";

/** A hook held at a value, such as another run's. */
export interface FrozenHook {
  readonly hook: string;
  /** Of the hook's shape; what it has at padding does not count. */
  readonly value: Tensor;
}

/**
 * The hooks that are held constant, and the values that some of them are held at.
 * @throws ModalscopeError for an unknown hook, or a value of another shape
 */
export function frozenHooks(
  { hooks }: Engine,
  given: readonly (string | RegExp | FrozenHook)[],
  counted: (hook: Hook) => Pass,
): Required<Pick<BackwardHooks, "frozen" | "frozenValues">> {
  const values = new Map<string, Tensor>();
  const frozen = given.flatMap((one) => {
    if (typeof one === "string" || one instanceof RegExp) return matchHooks(hooks, one);
    const found = matchHooks(hooks, one.hook);
    for (const hook of found) {
      const [[, shape]] = captureShapes(hook, { hook: hook.name }, counted(hook));
      if (shape.join() !== one.value.shape.join() || sizeOf(shape) !== one.value.data.length) {
        throw new ModalscopeError(
          `The value for "${hook.name}" has the shape (${one.value.shape.join(", ")}).`,
          `In this batch the hook has (${shape.join(", ")}).`,
        );
      }
      values.set(hook.name, one.value);
    }
    return found;
  });
  return { frozen, frozenValues: values };
}

/** The edits, and after them the values of frozen hooks. */
export function editsWithFrozen(edits: Edits, values: ReadonlyMap<string, Tensor>): Edits {
  const all: Record<string, Edit | readonly Edit[]> = { ...edits };
  for (const [name, value] of values) {
    delete all[name];
    all[name] = fill(value);
  }
  return all;
}

/** @throws ModalscopeError for a hook that is a choice, or an edit that no gradient passes */
export function checkDifferentiable({ hooks }: Engine, wanted: readonly Hook[], plan: Plan): void {
  for (const { name, local } of wanted) {
    if (local === EXPERT_INDICES) {
      throw new ModalscopeError(
        `There is no derivative by "${name}".`,
        "It says which experts were chosen, which is taken as a constant.",
        "Ask for mlp.hook_expert_weights or mlp.hook_router_logits.",
      );
    }
  }
  const first = Math.min(...wanted.map((h) => hooks.indexOf(h)));
  for (const hook of hooks.slice(first + 1)) {
    const opaque = plan.get(hook.name)?.find(({ edit }) => isOpaque(hook, edit));
    if (!opaque) continue;
    throw new ModalscopeError(
      `No gradient passes the edit "${opaque.edit.kind}" at "${hook.name}".`,
      `"${hooks[first].name}" comes before it.`,
      "Replace the value by one that is captured, which is a constant, or differentiate by hooks after it.",
    );
  }
}

/** Experts' inner values are edited between two graphs of each expert, which are not differentiated apart. */
function isOpaque(hook: Hook, { kind }: Edit): boolean {
  return kind === "apply" || kind === "resample" || (hook.local === EXPERT_POST && !hook.inside);
}
