import { createSession, type SessionOptions } from "../runtime/index.js";
import { elementNamed, elementOf } from "./elements.js";
import type { NodeDef, ValueType } from "./scan.js";
import { patch, type Scanned } from "./splice-graph.js";
import type { WeightDef } from "./tensors.js";

/** Types of tensors that the file states. */
export function statedTypes({ model, definitions }: Scanned): Map<string, ValueType> {
  const types = new Map<string, ValueType>();
  for (const { name, type } of [...model.graph.values, ...model.graph.outputs, ...model.graph.inputs]) {
    if (type !== undefined) types.set(name.name, type);
  }
  for (const [name, definition] of definitions) {
    const weight = definition.kind === "node" ? constantOf(definition.node) : definition.weight;
    if (weight !== undefined) types.set(name, { element: weight.element.code, shape: weight.shape });
  }
  return types;
}

/** The value of a Constant node. */
export function constantOf(node: NodeDef): WeightDef | undefined {
  return node.op === "Constant" ? node.constants[0] : undefined;
}

/**
 * The types of all of the main graph's tensors: what the file states, and for the rest what onnxruntime infers.
 * For that it opens the model once with every tensor as an output, and runs nothing.
 * @throws ModalscopeError when the runtime refuses the model
 */
export async function inferTypes(scanned: Scanned, options: SessionOptions): Promise<Map<string, ValueType>> {
  const types = statedTypes(scanned);
  const unnamed = unnameable(scanned, types);
  const asked = new Set<string>();
  for (const [name, definition] of scanned.definitions) {
    if (definition.kind === "node" && !unnamed.has(name)) asked.add(name);
  }
  if (asked.size === 0) return types;
  const { bytes } = patch(scanned, new Map(), {
    outputs: new Set(),
    captured: asked,
    fed: new Set(),
    edited: new Set(),
  });
  const session = await createSession(bytes, { ...options, prepack: false });
  for (const { name, isTensor, type, shape } of session.outputMetadata) {
    const stated = types.get(name);
    if (!isTensor) types.set(name, { element: 0, kind: stated?.kind ?? "sequence, map or optional value" });
    else if (type !== undefined) {
      // The binding gives () for a scalar and for an unknown rank: only the file can say that it is the first.
      const known = shape !== undefined && shape.length > 0 ? shape : stated?.shape;
      types.set(name, { element: elementNamed(type).code, shape: known });
    }
  }
  await session.release();
  return types;
}

/**
 * Tensors that may have a type that the runtime's binding has no name for (bfloat16, float8): as outputs they
 * would make it fail. They are followed from where such types enter the graph.
 */
function unnameable({ model }: Scanned, types: ReadonlyMap<string, ValueType>): Set<string> {
  const found = new Set<string>();
  const isUnnamed = (name: string): boolean => {
    const element = elementOf(types.get(name)?.element ?? 0);
    return element === undefined ? found.has(name) : !element.named;
  };
  for (const node of model.graph.nodes) {
    const unnamed = node.outputs.map(({ name }) =>
      types.has(name) ? isUnnamed(name) : givesUnnamed(node, isUnnamed),
    );
    for (const [i, { name }] of node.outputs.entries()) if (unnamed[i]) found.add(name);
  }
  return found;
}

function givesUnnamed(node: NodeDef, isUnnamed: (name: string) => boolean): boolean {
  if (node.op === "Cast") return elementOf(node.integers.to)?.named === false;
  if (node.op === "CastLike" || node.op === "DequantizeLinear") return isUnnamed(node.inputs[1]);
  if (node.op === "Shape" || node.op === "Size" || node.op === "NonZero") return false;
  return node.inputs.some(isUnnamed);
}
