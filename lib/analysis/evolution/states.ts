/** Hidden states by depth: with L blocks there are L+1, state 0 enters block 0 and state j leaves block j−1. */

import { ModalscopeError } from "../../errors.js";
import { checkOptions, numeric } from "../../options.js";
import type { Tensor } from "../../tensor.js";
import { checkSame } from "../linalg/matrix.js";

/** States `(tokens, width)` one over the other, `(states, tokens, width)`: first what enters block 0, then what each block leaves. */
export function stackStates(states: readonly Tensor[]): Tensor {
  const [first] = states;
  if (first === undefined) throw new ModalscopeError("No states were given.");
  const data = new Float32Array(states.length * first.data.length);
  states.forEach((state, s) => {
    if (state.shape.length !== 2 || state.shape.some((size, axis) => size !== first.shape[axis])) {
      throw new ModalscopeError(
        `State ${s} has the shape (${state.shape.join(", ")}), state 0 (${first.shape.join(", ")}).`,
        "Each must be (tokens, width), and all alike.",
      );
    }
    data.set(state.data, s * first.data.length);
  });
  return { data, shape: [states.length, ...first.shape] };
}

/** The tokens of several texts side by side, `(states, Σ tokens, width)`, from the states of each. */
export function joinTokens(texts: readonly Tensor[]): Tensor {
  if (texts.length === 0) throw new ModalscopeError("No texts were given.");
  const [depth, , width] = checkStates(texts[0]);
  const total = texts.reduce((sum, { shape }) => sum + shape[1], 0);
  const data = new Float32Array(depth * total * width);
  let start = 0;
  for (const text of texts) {
    const [states, count, columns] = checkStates(text);
    checkSame("joinTokens", states, depth, "states");
    checkSame("joinTokens", columns, width, "dimensions");
    for (let s = 0; s < depth; s++) {
      const own = text.data.subarray(s * count * width, (s + 1) * count * width);
      data.set(own, (s * total + start) * width);
    }
    start += count;
  }
  return { data, shape: [depth, total, width] };
}

/**
 * States of generated tokens, `(states, tokens, width)`, from what a generation kept at the last position of each step.
 * @param steps by token, captures `(rows, 1, width)` under the hooks' names.
 * @param hooks in the order of the states: `blocks.0.hook_resid_pre`, then each `blocks.N.hook_resid_post`.
 * @param row of the batch. @param tokens how many, where other rows went on for longer. Default: all steps.
 */
export function statesOfSteps(
  steps: readonly { get(hook: string): Tensor }[],
  hooks: readonly string[],
  options: { readonly row?: number; readonly tokens?: number } = {},
): Tensor {
  checkOptions("statesOfSteps", options, { row: numeric, tokens: numeric });
  const { row = 0, tokens = steps.length } = options;
  return stackStates(
    hooks.map((hook) => {
      const vectors = steps.slice(0, tokens).map((step) => {
        const kept = step.get(hook);
        const [rows, positions, width] = kept.shape;
        if (kept.shape.length !== 3 || positions !== 1 || !(row < rows)) {
          throw new ModalscopeError(
            `A step kept "${hook}" with the shape (${kept.shape.join(", ")}), and row ${row} is wanted.`,
            "One position of each row is needed.",
            `Capture it at the last one: { hook: "${hook}", positions: "last" }.`,
          );
        }
        return kept.data.subarray(row * width, (row + 1) * width);
      });
      const width = vectors[0]?.length ?? 0;
      const data = new Float32Array(vectors.length * width);
      vectors.forEach((vector, t) => {
        data.set(vector, t * width);
      });
      return { data, shape: [vectors.length, width] };
    }),
  );
}

/** @throws ModalscopeError unless `states` is `(states, tokens, width)` with two states or more. */
export function checkStates({ shape }: Tensor): readonly [states: number, tokens: number, width: number] {
  if (shape.length !== 3 || shape[0] < 2 || shape[1] < 1) {
    throw new ModalscopeError(
      `The states have the shape (${shape.join(", ")}).`,
      "It must be (states, tokens, width), with two states or more.",
      "Stack the layers with stackStates.",
    );
  }
  return [shape[0], shape[1], shape[2]];
}

/** All states of one position, `(states, width)`. */
export function pathOf({ data, shape }: Tensor, t: number, width: number): Tensor {
  const [depth, count] = shape;
  const path = new Float32Array(depth * width);
  for (let s = 0; s < depth; s++) {
    const start = (s * count + t) * width;
    path.set(data.subarray(start, start + width), s * width);
  }
  return { data: path, shape: [depth, width] };
}
