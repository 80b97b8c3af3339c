import { didYouMean, ModalscopeError } from "../errors.js";
import type { GraphDef, ModelDef, NodeDef, ValueDef } from "./scan.js";
import type { WeightDef } from "./tensors.js";

/** Source of the value of a name in the main graph. */
export type Definition =
  /** An input; `weight` is the value it has when it is not fed. */
  | { readonly kind: "input"; readonly value: ValueDef; readonly weight?: WeightDef }
  | { readonly kind: "weight"; readonly weight: WeightDef }
  | { readonly kind: "node"; readonly node: NodeDef; readonly output: number };

/**
 * Checks that the main graph is one that can run: every name has one definition, and no value needs itself.
 * Subgraphs may use the names around them, and are checked for undefined ones too.
 * @throws ModalscopeError that names the tensor
 */
export function definitionsOf(label: string, model: ModelDef): Map<string, Definition> {
  const { graph } = model;
  if (graph.nodes.length === 0)
    throw new ModalscopeError(`${label} has no nodes.`, "There is nothing to run.");
  const definitions = new Map<string, Definition>();
  const inputs = new Map(graph.inputs.map((value) => [value.name.name, value]));
  const define = (name: string, definition: Definition): void => {
    if (definitions.has(name)) throw twice(label, name);
    definitions.set(name, definition);
  };
  const weights = new Map<string, WeightDef>();
  for (const weight of graph.weights) {
    if (weights.has(weight.name)) throw twice(label, weight.name);
    weights.set(weight.name, weight);
    if (!inputs.has(weight.name)) define(weight.name, { kind: "weight", weight });
  }
  for (const value of graph.inputs)
    define(value.name.name, { kind: "input", value, weight: weights.get(value.name.name) });
  for (const node of graph.nodes) {
    for (const [output, { name }] of node.outputs.entries()) {
      if (name !== "") define(name, { kind: "node", node, output });
    }
  }
  checkUses(label, graph, definitions);
  checkOrder(label, graph, definitions);
  checkFunctions(label, model);
  return definitions;
}

function twice(label: string, name: string): ModalscopeError {
  return new ModalscopeError(
    `${label} defines the tensor "${name}" twice.`,
    "In ONNX each name has one definition.",
    "Export the model again, or rename one of the two.",
  );
}

function checkUses(label: string, graph: GraphDef, definitions: ReadonlyMap<string, Definition>): void {
  const check = (name: string, where: string): void => {
    if (definitions.has(name)) return;
    throw new ModalscopeError(
      `${label} uses a tensor that it does not define: "${name}", in ${where}.`,
      "",
      didYouMean(name, definitions.keys()),
    );
  };
  for (const node of graph.nodes) for (const name of usedBy(node)) check(name, calledNode(node));
  for (const { name } of graph.outputs) check(name.name, "the graph's outputs");
}

/** The outer names that a node needs: its inputs, and what its subgraphs take from around them. */
export function usedBy(node: NodeDef): Set<string> {
  const used = new Set(node.inputs.filter((name) => name !== ""));
  for (const { graph } of node.subgraphs) for (const name of freeNames(graph)) used.add(name);
  return used;
}

function freeNames(graph: GraphDef): Set<string> {
  const own = new Set([...graph.inputs.map((v) => v.name.name), ...graph.weights.map((w) => w.name)]);
  for (const node of graph.nodes) for (const { name } of node.outputs) own.add(name);
  const free = new Set<string>();
  for (const node of graph.nodes) for (const name of usedBy(node)) if (!own.has(name)) free.add(name);
  for (const { name } of graph.outputs) if (!own.has(name.name)) free.add(name.name);
  return free;
}

/** Kahn's algorithm: nodes whose inputs are all there, until none is left; what is left then needs itself. */
function checkOrder(label: string, graph: GraphDef, definitions: ReadonlyMap<string, Definition>): void {
  const users = new Map<NodeDef, NodeDef[]>();
  const missing = new Map<NodeDef, number>();
  for (const node of graph.nodes) {
    let count = 0;
    for (const name of usedBy(node)) {
      const definition = definitions.get(name);
      if (definition?.kind !== "node") continue;
      const waiting = users.get(definition.node) ?? [];
      users.set(definition.node, waiting);
      waiting.push(node);
      count++;
    }
    missing.set(node, count);
  }
  const ready = graph.nodes.filter((node) => missing.get(node) === 0);
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    missing.delete(node);
    for (const user of users.get(node) ?? []) {
      const left = (missing.get(user) ?? 0) - 1;
      missing.set(user, left);
      if (left === 0) ready.push(user);
    }
  }
  const [stuck] = missing.keys();
  if (stuck !== undefined) {
    throw new ModalscopeError(
      `${label} has a cycle: a tensor is computed from itself.`,
      `${missing.size} of ${graph.nodes.length} nodes wait for each other, ${calledNode(stuck)} among them.`,
      "The file is damaged, or was put together wrongly: export it again.",
    );
  }
}

/** Checks the functions and their calls: the runtime aborts the process on some that do not fit. */
function checkFunctions(label: string, { graph, functions }: ModelDef): void {
  const known = new Map(functions.map((own) => [own.op, own]));
  const check = (node: NodeDef): void => {
    const called = known.get(node.op);
    if (
      called &&
      (node.inputs.length > called.inputs.length || node.outputs.length > called.outputs.length)
    ) {
      throw new ModalscopeError(
        `${label} calls its function "${node.op}" with more than it takes.`,
        `${calledNode(node)} has ${node.inputs.length} inputs and ${node.outputs.length} outputs, the function ${called.inputs.length} and ${called.outputs.length}.`,
        "Export the model again.",
      );
    }
    for (const { graph } of node.subgraphs) graph.nodes.forEach(check);
  };
  graph.nodes.forEach(check);
  for (const { op, inputs, outputs, nodes } of functions) {
    nodes.forEach(check);
    const there = new Set(inputs);
    for (const node of nodes) {
      for (const name of usedBy(node)) if (!there.has(name)) throw unknownInFunction(label, op, name);
      for (const { name } of node.outputs) there.add(name);
    }
    for (const name of outputs) if (!there.has(name)) throw unknownInFunction(label, op, name);
  }
}

function unknownInFunction(label: string, op: string, name: string): ModalscopeError {
  return new ModalscopeError(
    `${label} has a function, "${op}", that uses what it does not have: "${name}".`,
    "No input of the function and no node before gives it.",
    "Export the model again.",
  );
}

/** Name of a node in errors and lists. */
export function calledNode(node: NodeDef): string {
  return node.name === "" ? `a ${node.op} node` : `the ${node.op} node "${node.name}"`;
}
