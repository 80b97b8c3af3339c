import type { Family, TextConfig } from "./families/index.js";
import { input, type Node, sorted, weight } from "./graph/node.js";
import { add, mul } from "./graph/ops.js";
import type { Scope } from "./layers.js";

/** How one graph of a block differs from its plain one. */
export interface Variant {
  /** Hooks whose value x becomes x · scale + shift, both given at run time as `<hook>.scale` and `<hook>.shift`. */
  readonly edited?: readonly string[];
  /** Hooks whose value is given at run time as `frozen.<hook>` instead of computed. */
  readonly frozen?: readonly string[];
  /** Leaves out the keys and values of earlier positions. */
  readonly withoutPast?: boolean;
  /** Put before the names of the angles and the mask, where pieces of one graph have different ones. */
  readonly inputPrefix?: string;
}

/** A piece of the model as a graph: what goes in, what comes out, and every named point between. */
export interface Piece {
  readonly x: Node;
  readonly out: Node;
  /** Named points in the order in which they are computed. */
  readonly taps: ReadonlyMap<string, Node>;
}

export const HEAD = "head";
/** A block by its number, or the final norm with the language head. */
export type PieceId = number | typeof HEAD;

/** Builds a block or the head. The residual stream enters as `x`: (batch, time, hidden_size). */
export function buildPiece(
  family: Family,
  config: TextConfig,
  id: PieceId,
  variant: Variant = {},
  x?: Node,
): Piece {
  const taps = new Map<string, Node>();
  const prefix = id === HEAD ? "" : family.names.layer(id);
  const scope: Scope = {
    hook(name, value) {
      const hooked = applied(name, value, variant);
      taps.set(name, hooked);
      return hooked;
    },
    weight: (name, shape) => weight(prefix + name, shape),
  };
  const source = x ?? input("x", ["batch", "time", config.hidden_size]);
  const out =
    id === HEAD
      ? family.head(config, scope, source)
      : family.block(config, id, scope, { x: source, ...sharedInputs(config, variant) });
  return { x: source, out, taps };
}

function sharedInputs(
  config: TextConfig,
  variant: Variant,
): { cos: Node; sin: Node; mask: Node; past?: { key: Node; value: Node } } {
  const keys = variant.withoutPast ? "time" : "keys";
  const angles = ["batch", "time", config.head_dim];
  const prefix = variant.inputPrefix ?? "";
  const cached = ["batch", config.num_key_value_heads, "past", config.head_dim];
  return {
    cos: input(`${prefix}cos`, angles),
    sin: input(`${prefix}sin`, angles),
    mask: input(`${prefix}mask`, ["batch", "mask heads", "time", keys]),
    past: variant.withoutPast
      ? undefined
      : { key: input("past.key", cached), value: input("past.value", cached) },
  };
}

function applied(name: string, value: Node, variant: Variant): Node {
  if (variant.frozen?.includes(name)) return input(`frozen.${name}`, value.shape);
  if (!variant.edited?.includes(name)) return value;
  const free = (part: string): Node =>
    input(
      `${name}.${part}`,
      value.shape.map((_, i) => `${name}.${part}.${i}`),
    );
  return add(mul(value, free("scale"), value.shape), free("shift"), value.shape);
}

/** The weights that nodes depend on: checkpoint name → shape. */
export function weightsOf(outputs: Iterable<Node>): Map<string, readonly number[]> {
  const found = new Map<string, readonly number[]>();
  for (const n of sorted(outputs)) {
    if (n.op === "Weight") found.set(n.attributes.name as string, n.shape as readonly number[]);
  }
  return found;
}

/** Names of the inputs that nodes depend on. */
export function inputsOf(outputs: Iterable<Node>): Set<string> {
  const found = new Set<string>();
  for (const n of sorted(outputs)) if (n.op === "Input") found.add(n.attributes.name as string);
  return found;
}
