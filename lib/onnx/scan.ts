import { ModalscopeError } from "../errors.js";
import { elementOf } from "./elements.js";
import type { Source } from "./source.js";
import { scanSparse, scanTensor, type WeightDef } from "./tensors.js";
import { damaged, expectBytes, type Field, fields, integer, type Span, text } from "./wire.js";

/** A name together with the field that holds it, so that it can be replaced there. */
export interface Named extends Span {
  readonly name: string;
}

/** A type: a tensor's element type and shape as far as stated, or another kind of value. */
export interface ValueType {
  /** TensorProto.DataType; 0 when not stated. */
  readonly element: number;
  /** Undefined when the rank is not known; an entry is a size, a symbol, or "" when not known. */
  readonly shape?: readonly (number | string)[];
  /** For what is no tensor: "sequence", "map", "optional", "sparse tensor". */
  readonly kind?: string;
}

/** A graph's input, output or value_info. */
export interface ValueDef extends Span {
  readonly name: Named;
  readonly type?: ValueType;
}

export interface NodeDef extends Span {
  readonly name: string;
  /** With its domain where that is not ONNX's own: "MatMul", "com.microsoft.FusedMatMul". */
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly Named[];
  /** The graphs in its attributes (the branches of an If, the body of a Loop). */
  readonly subgraphs: readonly { readonly attribute: string; readonly graph: GraphDef }[];
  /** Integer attributes ("to" of a Cast). */
  readonly integers: Readonly<Record<string, number>>;
  /** The tensors in its attributes (a Constant's value). */
  readonly constants: readonly WeightDef[];
}

export interface GraphDef {
  readonly nodes: NodeDef[];
  readonly weights: WeightDef[];
  readonly inputs: ValueDef[];
  readonly outputs: ValueDef[];
  readonly values: ValueDef[];
}

/** An operator that the model defines itself. */
export interface FunctionDef {
  /** With its domain, as nodes that call it have it. */
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly NodeDef[];
}

/** Contents of an ONNX file and their positions; the weights' bytes stay where they are. */
export interface ModelDef {
  readonly size: number;
  readonly irVersion: number;
  readonly producer: string;
  /** Version of ONNX's own operators; 0 when the model imports none. */
  readonly opset: number;
  readonly graph: GraphDef;
  readonly functions: readonly FunctionDef[];
  /** Every tensor that lies in a side file, in subgraphs and attributes too. */
  readonly external: readonly WeightDef[];
}

const deepest = 32;
const mostEntries = 5_000_000;

/** Counts what is taken into memory, so that a small hostile file cannot fill it. */
interface Scan {
  readonly source: Source;
  readonly external: WeightDef[];
  entries: number;
}

/** Reads a model's structure. @throws ModalscopeError when the bytes are no ONNX model. */
export function scanModel(source: Source): ModelDef {
  const scan: Scan = { source, external: [], entries: 0 };
  const graph = emptyGraph();
  const functions: FunctionDef[] = [];
  let [irVersion, opset, opsets, hasGraph, producer] = [0, 0, 0, false, ""];
  for (const field of fields(source, 0, source.size)) {
    count(scan, field);
    if (field.number === 1) irVersion = integer(source, field);
    else if (field.number === 2) producer = text(source, field);
    else if (field.number === 7) {
      expectBytes(source, field);
      hasGraph = true;
      // Protobuf merges a message that comes in several pieces.
      scanGraph(scan, field, graph, 0);
    } else if (field.number === 8) {
      opsets++;
      opset = Math.max(opset, scanOpset(source, field));
    } else if (field.number === 25) functions.push(scanFunction(scan, field));
  }
  const missing = !hasGraph ? "graph" : irVersion < 1 ? "ONNX version" : "set of operators";
  if (irVersion < 1 || !hasGraph || (opsets === 0 && irVersion >= 3)) {
    throw new ModalscopeError(
      `${source.label} is not an ONNX model, or not a whole one.`,
      `It holds no ${missing}.`,
      source.hint() || "Give a file written by an ONNX exporter, or get it again.",
    );
  }
  return { size: source.size, irVersion, producer, opset, graph, functions, external: scan.external };
}

function emptyGraph(): GraphDef {
  return { nodes: [], weights: [], inputs: [], outputs: [], values: [] };
}

function scanGraph(scan: Scan, span: Span, graph: GraphDef, depth: number): GraphDef {
  const { source } = scan;
  if (depth > deepest) throw damaged(source, span.start, `graphs nested more than ${deepest} deep`);
  for (const field of fields(source, span.start, span.end)) {
    count(scan, field);
    if (field.number === 1) graph.nodes.push(scanNode(scan, field, depth));
    else if (field.number === 5) graph.weights.push(kept(scan, scanTensor(source, field)));
    else if (field.number === 11) graph.inputs.push(scanValue(source, field));
    else if (field.number === 12) graph.outputs.push(scanValue(source, field));
    else if (field.number === 13) graph.values.push(scanValue(source, field));
    else if (field.number === 15) graph.weights.push(kept(scan, scanSparse(source, field)));
  }
  return graph;
}

function scanNode(scan: Scan, node: Field, depth: number): NodeDef {
  const { source } = scan;
  expectBytes(source, node);
  const inputs: string[] = [];
  const outputs: Named[] = [];
  const subgraphs: NodeDef["subgraphs"][number][] = [];
  const integers: Record<string, number> = {};
  const constants: WeightDef[] = [];
  let [name, op, domain] = ["", "", ""];
  for (const field of fields(source, node.start, node.end)) {
    count(scan, field);
    if (field.number === 1) inputs.push(text(source, field));
    else if (field.number === 2) outputs.push(named(source, field));
    else if (field.number === 3) name = text(source, field);
    else if (field.number === 4) op = text(source, field);
    else if (field.number === 7) domain = text(source, field);
    else if (field.number === 5) {
      const attribute = scanAttribute(scan, field, depth);
      for (const graph of attribute.graphs) subgraphs.push({ attribute: attribute.name, graph });
      if (attribute.integer !== undefined) integers[attribute.name] = attribute.integer;
      for (const tensor of attribute.tensors) constants.push(tensor);
    }
  }
  if (op === "") throw damaged(source, node.at, "a node without an operator");
  return {
    start: node.at,
    end: node.end,
    name,
    op: qualified(domain, op),
    inputs,
    outputs,
    subgraphs,
    integers,
    constants,
  };
}

function qualified(domain: string, op: string): string {
  return domain === "" || domain === "ai.onnx" ? op : `${domain}.${op}`;
}

interface Attribute {
  readonly name: string;
  readonly graphs: readonly GraphDef[];
  readonly tensors: readonly WeightDef[];
  readonly integer?: number;
}

function scanAttribute(scan: Scan, attribute: Field, depth: number): Attribute {
  const { source } = scan;
  expectBytes(source, attribute);
  const graphs: GraphDef[] = [];
  const tensors: WeightDef[] = [];
  let name = "";
  let value: number | undefined;
  for (const field of fields(source, attribute.start, attribute.end)) {
    count(scan, field);
    if (field.number === 1) name = text(source, field);
    else if (field.number === 3) value = integer(source, field);
    else if (field.number === 5 || field.number === 10) tensors.push(kept(scan, scanTensor(source, field)));
    else if (field.number === 6 || field.number === 11) {
      expectBytes(source, field);
      graphs.push(scanGraph(scan, field, emptyGraph(), depth + 1));
    } else if (field.number === 22 || field.number === 23)
      tensors.push(kept(scan, scanSparse(source, field)));
  }
  return { name, graphs, tensors, integer: value };
}

function scanFunction(scan: Scan, span: Field): FunctionDef {
  const { source } = scan;
  expectBytes(source, span);
  const [nodes, inputs, outputs]: [NodeDef[], string[], string[]] = [[], [], []];
  let [name, domain] = ["", ""];
  for (const field of fields(source, span.start, span.end)) {
    count(scan, field);
    if (field.number === 1) name = text(source, field);
    else if (field.number === 4) inputs.push(text(source, field));
    else if (field.number === 5) outputs.push(text(source, field));
    else if (field.number === 7) nodes.push(scanNode(scan, field, 0));
    else if (field.number === 10) domain = text(source, field);
  }
  return { op: qualified(domain, name), inputs, outputs, nodes };
}

function scanOpset(source: Source, opset: Field): number {
  expectBytes(source, opset);
  let domain = "";
  let version = 0;
  for (const field of fields(source, opset.start, opset.end)) {
    if (field.number === 1) domain = text(source, field);
    else if (field.number === 2) version = integer(source, field);
  }
  return domain === "" || domain === "ai.onnx" ? version : 0;
}

function scanValue(source: Source, value: Field): ValueDef {
  expectBytes(source, value);
  let name: Named | undefined;
  let type: ValueType | undefined;
  for (const field of fields(source, value.start, value.end)) {
    if (field.number === 1) name = named(source, field);
    else if (field.number === 2) type = scanType(source, field);
  }
  if (name === undefined) throw damaged(source, value.at, "a graph input or output without a name");
  return { start: value.at, end: value.end, name, type };
}

const otherTypes: Readonly<Record<number, string>> = {
  4: "sequence",
  5: "map",
  8: "sparse tensor",
  9: "optional",
};

function scanType(source: Source, type: Field): ValueType | undefined {
  expectBytes(source, type);
  for (const field of fields(source, type.start, type.end)) {
    if (field.number === 1) return scanTensorType(source, field);
    const kind = otherTypes[field.number];
    if (kind !== undefined) return { element: 0, kind };
  }
  return undefined;
}

function scanTensorType(source: Source, type: Field): ValueType {
  expectBytes(source, type);
  let element = 0;
  let shape: (number | string)[] | undefined;
  for (const field of fields(source, type.start, type.end)) {
    if (field.number === 1) element = integer(source, field);
    else if (field.number === 2) {
      expectBytes(source, field);
      shape = [];
      for (const dim of fields(source, field.start, field.end)) {
        if (shape.length >= 64) throw damaged(source, dim.at, "more than 64 dimensions");
        if (dim.number === 1) shape.push(scanDimension(source, dim));
      }
    }
  }
  if (element !== 0 && elementOf(element) === undefined) {
    throw damaged(source, type.at, `${element} is no element type that ONNX has`);
  }
  return { element, shape };
}

/** A size or a symbol; "" for one that is not known (some exporters write −1 for that). */
function scanDimension(source: Source, dim: Field): number | string {
  expectBytes(source, dim);
  for (const field of fields(source, dim.start, dim.end)) {
    if (field.number === 1) return integer(source, field) < 0 ? "" : field.value;
    if (field.number === 2) return text(source, field);
  }
  return "";
}

function kept(scan: Scan, tensor: WeightDef): WeightDef {
  if (tensor.storage.kind === "external") scan.external.push(tensor);
  return tensor;
}

function named(source: Source, field: Field): Named {
  return { name: text(source, field), start: field.at, end: field.end };
}

function count(scan: Scan, field: Field): void {
  if (++scan.entries > mostEntries)
    throw damaged(scan.source, field.at, `more than ${mostEntries} nodes and names`);
}
