import { elementOf } from "./elements.js";
import type { GraphDef, NodeDef, ValueType } from "./scan.js";
import type { Scanned } from "./splice-graph.js";
import { constantOf } from "./types.js";

/** A size, a symbol of the file's, or "" for one that is not known; undefined for an unknown rank. */
export type KnownShape = readonly (number | string)[];

/** A tensor that a node of the model computes. */
export interface OnnxTensor {
  readonly name: string;
  /** The operator that gives it, with its domain unless that is ONNX's own: "MatMul", "com.microsoft.Gelu". */
  readonly op: string;
  /** The node's name; "" for one without. */
  readonly node: string;
  /** Operands of the node: tensors, inputs and weights; "" stands for an operand left out. */
  readonly from: readonly string[];
  /** ONNX's element type ("float16"); undefined when it is not known, or when it is no tensor. */
  readonly dtype?: string;
  readonly shape?: KnownShape;
  readonly capturable: boolean;
  /** Whether it can be edited too: a float. */
  readonly editable: boolean;
  /** Why it cannot be captured. */
  readonly why?: string;
}

/** An input, an output or a weight of the model. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype?: string;
  readonly shape?: KnownShape;
}

/** An input; an optional one has a value of its own. */
export interface OnnxInput extends OnnxValue {
  readonly optional: boolean;
}

/**
 * Every tensor that a node computes, in the file's order: the main graph's, then those inside of subgraphs and
 * functions, which cannot be captured. Constants count as weights.
 */
export function listTensors({ model }: Scanned, types: ReadonlyMap<string, ValueType>): OnnxTensor[] {
  const list: OnnxTensor[] = [];
  for (const node of model.graph.nodes) {
    if (node.op === "Constant") continue;
    for (const { name } of node.outputs) if (name !== "") list.push(listed(name, node, types.get(name)));
  }
  for (const node of model.graph.nodes) listInner(list, node, "");
  for (const { op, nodes } of model.functions) {
    const why = `It is inside of the function "${op}", and only the main graph's tensors can be captured. onnx.inliner puts functions into the graph.`;
    listHidden(list, nodes, why, "");
  }
  return list;
}

function listed(name: string, { op, name: node, inputs }: NodeDef, type: ValueType | undefined): OnnxTensor {
  const element = elementOf(type?.element ?? 0);
  const why = whyNot(type);
  return {
    name,
    op,
    node,
    from: inputs,
    dtype: element?.name,
    shape: type?.shape,
    capturable: why === undefined,
    editable: element?.edited !== undefined,
    why,
  };
}

/** Why a value of this type cannot be fetched; undefined when it can. */
export function whyNot(type: ValueType | undefined): string | undefined {
  if (type?.kind !== undefined) return `It is a ${type.kind}, not a tensor.`;
  const element = elementOf(type?.element ?? 0);
  if (element === undefined)
    return "Its type is not known: the file does not state it, and it was not inferred.";
  return element.carrier === undefined ? `No numeric array holds its type, ${element.name}.` : undefined;
}

/** Lists the tensors in a node's subgraphs; `path` leads to the node. */
function listInner(list: OnnxTensor[], node: NodeDef, path: string): void {
  for (const { attribute, graph } of node.subgraphs) {
    const here = `${path}${node.name === "" ? node.op : node.name}/${attribute}`;
    const why = `It is inside of a subgraph (${here} of the ${node.op} node), and only the main graph's tensors can be captured.`;
    listHidden(list, graph.nodes, why, `${here}/`, graph);
  }
}

function listHidden(
  list: OnnxTensor[],
  nodes: readonly NodeDef[],
  why: string,
  path: string,
  graph?: GraphDef,
): void {
  const stated = new Map(
    [...(graph?.values ?? []), ...(graph?.outputs ?? [])].map((v) => [v.name.name, v.type]),
  );
  for (const node of nodes) {
    if (node.op !== "Constant") {
      for (const { name } of node.outputs) {
        if (name === "") continue;
        list.push({ ...listed(name, node, stated.get(name)), capturable: false, editable: false, why });
      }
    }
    listInner(list, node, path);
  }
}

/** Weights: stored ones, and the values of Constant nodes. */
export function listWeights({ definitions }: Scanned, types: ReadonlyMap<string, ValueType>): OnnxValue[] {
  const list: OnnxValue[] = [];
  for (const [name, definition] of definitions) {
    const isWeight =
      definition.kind === "node"
        ? constantOf(definition.node) !== undefined
        : definition.weight !== undefined;
    if (isWeight) list.push(namedValue(name, types));
  }
  return list;
}

/** Before IR 4 every weight was an input too: there, those are no inputs to be fed. */
export function listInputs(
  { model, definitions }: Scanned,
  types: ReadonlyMap<string, ValueType>,
): OnnxInput[] {
  const list: OnnxInput[] = [];
  for (const [name, definition] of definitions) {
    if (definition.kind !== "input") continue;
    const optional = definition.weight !== undefined;
    if (!optional || model.irVersion >= 4) list.push({ ...namedValue(name, types), optional });
  }
  return list;
}

export function namedValue(name: string, types: ReadonlyMap<string, ValueType>): OnnxValue {
  const type = types.get(name);
  return { name, dtype: elementOf(type?.element ?? 0)?.name ?? type?.kind, shape: type?.shape };
}

/** "(batch, ?, 128)" */
export function showShape(shape: KnownShape): string {
  return `(${shape.map((size) => (size === "" ? "?" : size)).join(", ")})`;
}
