/**
 * A computation as immutable data: a node knows its operation, its operands and its shape.
 * Nodes are built by the functions of `ops.ts`, differentiated by `vjp.ts` and written as ONNX by `onnx.ts`.
 */

/** A known length, or the name of one that is known only when the graph runs ("batch", "time"). */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** `float` is float32 or float64: the emitted model decides. */
export type NodeType = "float" | "int64" | "bool";

export type Attribute = number | string | boolean | readonly number[];

export interface Node {
  readonly id: number;
  readonly op: string;
  readonly inputs: readonly Node[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly shape: Shape;
  readonly type: NodeType;
  /** Of a node made by `withPullback`. */
  readonly pull?: Pull;
}

/** Cotangents by the operands of a value, from the cotangent at it; none where an operand is a constant. */
export type Pull = (cotangent: Node) => readonly (Node | undefined)[];

let nextId = 0;

export function node(
  op: string,
  inputs: readonly Node[],
  shape: Shape,
  attributes: Readonly<Record<string, Attribute>> = {},
  type: NodeType = "float",
): Node {
  return { id: nextId++, op, inputs, attributes, shape, type };
}

/** A value that every run is given. */
export function input(name: string, shape: Shape, type: NodeType = "float"): Node {
  return node("Input", [], shape, { name }, type);
}

/** A parameter of the model, under its checkpoint's name. The emitted model holds it as initialiser or as input. */
export function weight(name: string, shape: readonly number[]): Node {
  return node("Weight", [], shape, { name });
}

/** A scalar that is part of the graph. */
export function scalar(value: number): Node {
  return node("Scalar", [], [], { value });
}

/**
 * `value`, whose derivatives by `operands` are written out, where that costs less than what follows from how it is
 * computed. Not for several targets at once.
 */
export function withPullback(value: Node, operands: readonly Node[], pull: Pull): Node {
  return { ...node("WithPullback", [...operands, value], value.shape, {}, value.type), pull };
}

/** The name of an input or a weight. */
export function nameOf(leaf: Node): string {
  return leaf.attributes.name as string;
}

/** The nodes that `outputs` depend on, operands before their users. */
export function sorted(outputs: Iterable<Node>): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  for (const output of outputs) {
    if (!seen.has(output)) {
      seen.add(output);
      stack.push({ node: output, next: 0 });
    }
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (top.next === top.node.inputs.length) {
        order.push(top.node);
        stack.pop();
        continue;
      }
      const operand = top.node.inputs[top.next++];
      if (!seen.has(operand)) {
        seen.add(operand);
        stack.push({ node: operand, next: 0 });
      }
    }
  }
  return order;
}

export function showShape(shape: Shape): string {
  return `(${shape.join(", ")})`;
}
