import onnxProto from "onnx-proto";
import { ModalscopeError } from "../../errors.js";
import { type Definition, definitionsOf } from "./check.js";
import { type Carrier, type Element, elementNamed, elementOf } from "./elements.js";
import { locateExternal } from "./external.js";
import { type GraphDef, type ModelDef, type NodeDef, scanModel, type ValueType } from "./scan.js";
import type { Origin } from "./source.js";
import { type Change, encodeField, splice } from "./splice.js";
import type { WeightDef } from "./tensors.js";
import type { Span } from "./wire.js";

const { onnx } = onnxProto;

/** A model that was scanned and checked. */
export interface Scanned {
  readonly origin: Origin;
  readonly model: ModelDef;
  readonly definitions: ReadonlyMap<string, Definition>;
  /** Side files' paths from the origin's root, by the location that the model gives. */
  readonly locations: ReadonlyMap<string, string>;
}

/** Which tensors a session gives and lets be changed. */
export interface Cut {
  /** Those of the graph's own outputs that are kept; what only the others need is not computed. */
  readonly outputs: ReadonlySet<string>;
  /** Optional inputs that are fed: they lose their own value, since the runtime's binding feeds no others. */
  readonly fed: ReadonlySet<string>;
  readonly captured: ReadonlySet<string>;
  readonly edited: ReadonlySet<string>;
}

/** A value's way in or out of the patched model. */
export interface Port {
  readonly name: string;
  readonly carrier: Carrier;
}

/** An edited tensor's inputs, and the outputs that tell its shape before and after. */
export interface EditPorts {
  readonly carrier: "float32" | "float64";
  readonly scale: string;
  readonly add: string;
  /** Where the edit keeps something of the value; undefined in opsets that have no Where for floats. */
  readonly keep?: string;
  readonly before: string;
  readonly after: string;
  /** Names of the nodes that an operand of the wrong shape makes fail. */
  readonly nodes: readonly string[];
}

export interface Patched {
  readonly bytes: Uint8Array;
  /** By the model's names for its inputs. */
  readonly fed: ReadonlyMap<string, Port>;
  /** By the names of the outputs and the captured tensors. */
  readonly given: ReadonlyMap<string, Port>;
  readonly edits: ReadonlyMap<string, EditPorts>;
}

/** Reads and checks a model; its weights are neither read nor copied. */
export function scanOrigin(origin: Origin): Scanned {
  const model = origin.read(scanModel);
  const definitions = definitionsOf(origin.label, model);
  return { origin, model, definitions, locations: locateExternal(origin, model.external) };
}

/** Weights below this stay in the model's bytes: the runtime wants small ones (shapes, axes) at hand. */
const smallest = 4096;

/**
 * The model with the captured tensors as outputs and, at each edited one, inputs that change it:
 * `y = where(keep, x·scale + add, add)`, with `keep` for where scale is not 0, so that 0 times infinity is 0.
 * The name of an edited tensor moves from what computed it to what the edit gives, so that everything that used
 * it, in subgraphs too, uses the edited value. Weights that lie in a file stay there: those inside the model
 * file become references to it, which the runtime maps.
 *
 * @param types - as far as known; a captured tensor without one comes out as it is
 */
export function patch(scanned: Scanned, types: ReadonlyMap<string, ValueType>, cut: Cut): Patched {
  const { origin, model } = scanned;
  const surgery = new Surgery(scanned, types, cut.fed);
  for (const name of cut.edited) surgery.edit(name);
  surgery.connectInputs();
  for (const { start, end, name } of model.graph.outputs) {
    if (!cut.outputs.has(name.name) || !surgery.isCarried(name.name)) surgery.change({ start, end }, []);
    if (cut.outputs.has(name.name)) surgery.give(name.name, true);
  }
  for (const name of cut.captured) surgery.give(name, false);
  surgery.placeWeights();
  const bytes = origin.read((source) => surgery.finish((span, changes) => splice(source, span, changes)));
  return { bytes, fed: surgery.fed, given: surgery.given, edits: surgery.edits };
}

class Surgery {
  readonly fed = new Map<string, Port>();
  readonly given = new Map<string, Port>();
  readonly edits = new Map<string, EditPorts>();
  private readonly changes: Change[] = [];
  /** New fields of the graph, put before its first node. */
  private readonly head: Uint8Array[] = [];
  /** New nodes, put after the one that they follow. */
  private readonly after = new Map<NodeDef, Uint8Array[]>();
  /** What defines a tensor now, where an edit took its name. */
  private readonly renamed = new Map<string, string>();
  private readonly taken: ReadonlySet<string>;
  private usesOwnOperators = false;

  constructor(
    private readonly scanned: Scanned,
    private readonly types: ReadonlyMap<string, ValueType>,
    private readonly fedOptions: ReadonlySet<string>,
  ) {
    this.taken = allNames(scanned.model.graph, new Set());
  }

  change(span: Span, put: readonly Uint8Array[]): void {
    this.changes.push({ start: span.start, end: span.end, put });
  }

  /** Whether a tensor's own type is the one that carries it. */
  isCarried(name: string): boolean {
    const element = this.elementOf(name);
    return element === undefined || element.name === element.carrier;
  }

  edit(name: string): void {
    const definition = this.scanned.definitions.get(name)!;
    const element = this.elementOf(name)!;
    const carrier = element.edited!;
    const { opset } = this.scanned.model;
    if (opset > 0 && opset < 7) {
      throw new ModalscopeError(
        `${this.scanned.origin.label} is too old to be edited: it uses opset ${opset}.`,
        "Before opset 7 the arithmetic operators do not broadcast.",
        "Convert it with onnx.version_converter, or export it again.",
      );
    }
    const own = (what: string): string => this.fresh(what, name);
    const ports: EditPorts = {
      carrier,
      scale: own("scale"),
      add: own("add"),
      keep: opset === 0 || opset >= 9 ? own("keep") : undefined,
      before: own("before"),
      after: own("after"),
      nodes: [own("scaling"), own("adding"), own("keeping")],
    };
    const unedited = this.rename(name, definition);
    const x = element.name === carrier ? unedited : own("wide");
    const y = element.name === carrier ? name : own("edited");
    const changed = ports.keep === undefined ? y : own("changed");
    const [scaling, adding, keeping] = ports.nodes;
    const nodes: Uint8Array[] = [];
    if (x !== unedited) nodes.push(cast(unedited, x, carrier, own("widening")));
    nodes.push(
      nodeField("Mul", [x, ports.scale], own("scaled"), scaling),
      nodeField("Add", [own("scaled"), ports.add], changed, adding),
    );
    if (ports.keep !== undefined)
      nodes.push(nodeField("Where", [ports.keep, changed, ports.add], y, keeping));
    if (y !== name) nodes.push(cast(y, name, element.name, own("narrowing")));
    nodes.push(
      nodeField("Shape", [unedited], ports.before, own("measuring before")),
      nodeField("Shape", [name], ports.after, own("measuring after")),
    );
    this.put(definition, nodes);
    this.head.push(input(ports.scale, carrier), input(ports.add, carrier));
    if (ports.keep !== undefined) this.head.push(input(ports.keep, "bool"));
    this.head.push(output(ports.before), output(ports.after));
    this.edits.set(name, ports);
  }

  /** The inputs that are fed: under their new name where they are edited, through a Cast where none carries them. */
  connectInputs(): void {
    for (const [name, definition] of this.scanned.definitions) {
      if (definition.kind !== "input") continue;
      const inside = this.renamed.get(name) ?? name;
      const element = this.elementOf(name);
      if (element?.carrier === undefined || !this.isFed(definition)) continue;
      if (definition.weight !== undefined) this.change(definition.weight, []);
      if (this.isCarried(name)) this.fed.set(name, { name: inside, carrier: element.carrier });
      else {
        const port = { name: this.fresh("fed", name), carrier: element.carrier };
        this.change(definition.value, []);
        this.head.unshift(
          input(port.name, port.carrier),
          cast(port.name, inside, element.name, this.fresh("feeding", name)),
        );
        this.usesOwnOperators = true;
        this.fed.set(name, port);
      }
    }
  }

  /** Makes a tensor an output; `stated` when the graph already has it as one. */
  give(name: string, stated: boolean): void {
    if (this.given.has(name)) return;
    const carrier = this.elementOf(name)?.carrier ?? "float32";
    if (this.isCarried(name)) {
      if (!stated) this.head.push(output(name));
      this.given.set(name, { name, carrier });
      return;
    }
    const port = { name: this.fresh("given", name), carrier };
    this.put(this.scanned.definitions.get(name)!, [
      cast(name, port.name, carrier, this.fresh("giving", name)),
    ]);
    this.head.push(output(port.name));
    this.given.set(name, port);
  }

  placeWeights(): void {
    const { origin, model, locations } = this.scanned;
    const { file, root } = origin;
    for (const { name: tensor, storage } of model.external) {
      if (storage.kind !== "external" || this.fedOptions.has(tensor)) continue;
      const location = locations.get(storage.location)!;
      if (location !== storage.location) this.change(storage.locationSpan, [encodeField(2, location)]);
    }
    if (file === undefined || root === undefined) return;
    const name = file.slice(root.length).replace(/^[\\/]+/, "");
    for (const weight of model.graph.weights)
      if (!this.fedOptions.has(weight.name)) this.pointTo(name, weight);
  }

  /** Turns a weight's bytes into a reference to where they lie in the model file. */
  private pointTo(file: string, { storage, sparse }: WeightDef): void {
    if (storage.kind !== "raw" || sparse || storage.end - storage.start < smallest) return;
    const [first, ...others] = storage.places;
    const entries = { location: file, offset: storage.start, length: storage.end - storage.start };
    const put = Object.entries(entries).map(([key, value]) =>
      encodeField(13, onnx.StringStringEntryProto.encode({ key, value: `${value}` }).finish()),
    );
    this.change(first, [...put, externalLocation]);
    for (const place of others) this.change(place, []);
  }

  finish(spliced: (span: Span, changes: readonly Change[]) => Uint8Array): Uint8Array {
    const { model } = this.scanned;
    const whole = { start: 0, end: model.size };
    let changes = this.changes;
    for (const [node, nodes] of this.after) {
      const within = ({ start, end }: Change): boolean => start > node.start && end <= node.end;
      const put = [spliced(node, changes.filter(within)), ...nodes];
      changes = [...changes.filter((change) => !within(change)), { start: node.start, end: node.end, put }];
    }
    const first = model.graph.nodes[0].start;
    changes.push({ start: first, end: first, put: this.head });
    if (this.usesOwnOperators && model.opset === 0) changes.push({ start: 0, end: 0, put: [opset17] });
    return spliced(whole, changes);
  }

  /** Whether an input is fed, or keeps the value it has. */
  private isFed({ value, weight }: Extract<Definition, { kind: "input" }>): boolean {
    return weight === undefined || this.fedOptions.has(value.name.name);
  }

  private elementOf(name: string): Element | undefined {
    return elementOf(this.types.get(name)?.element ?? 0);
  }

  /** Moves a tensor's definition to a new name. */
  private rename(name: string, definition: Definition): string {
    const to = this.fresh("unedited", name);
    this.renamed.set(name, to);
    if (definition.kind === "node") {
      this.change(definition.node.outputs[definition.output], [encodeField(2, to)]);
    } else if (definition.kind === "weight" || !this.isFed(definition)) {
      this.change(definition.weight!.nameSpan!, [encodeField(8, to)]);
      if (definition.kind === "input") this.change(definition.value.name, [encodeField(1, to)]);
    } else if (this.isCarried(name)) this.change(definition.value.name, [encodeField(1, to)]);
    return to;
  }

  /** Puts new nodes where their inputs are there: after the node that defines the tensor, or first of all. */
  private put(definition: Definition, nodes: readonly Uint8Array[]): void {
    this.usesOwnOperators = true;
    if (definition.kind === "node") {
      this.after.set(definition.node, [...(this.after.get(definition.node) ?? []), ...nodes]);
    } else this.head.push(...nodes);
  }

  /** A name of ours that no tensor or node has; the same one for the same purpose. */
  private fresh(what: string, name: string): string {
    let candidate = `modalscope/${what}/${name}`;
    while (this.taken.has(candidate)) candidate += "'";
    return candidate;
  }
}

/** data_location: EXTERNAL */
const externalLocation = Uint8Array.of(14 * 8, 1);
const opset17 = encodeField(8, onnx.OperatorSetIdProto.encode({ domain: "", version: 17 }).finish());

function nodeField(
  opType: string,
  from: readonly string[],
  to: string,
  name: string,
  attribute: object[] = [],
): Uint8Array {
  return encodeField(
    1,
    onnx.NodeProto.encode({ opType, input: [...from], output: [to], name, attribute }).finish(),
  );
}

function cast(from: string, to: string, type: string, name: string): Uint8Array {
  const attribute = { name: "to", type: onnx.AttributeProto.AttributeType.INT, i: elementNamed(type).code };
  return nodeField("Cast", [from], to, name, [attribute]);
}

function input(name: string, type: string): Uint8Array {
  const value = { name, type: { tensorType: { elemType: elementNamed(type).code } } };
  return encodeField(11, onnx.ValueInfoProto.encode(value).finish());
}

/** The runtime finds the type of an output that states none. */
function output(name: string): Uint8Array {
  return encodeField(12, onnx.ValueInfoProto.encode({ name }).finish());
}

/** Every name of a tensor or a node in the graph and in its subgraphs. */
function allNames(graph: GraphDef, names: Set<string>): Set<string> {
  for (const { name } of [...graph.inputs, ...graph.outputs]) names.add(name.name);
  for (const { name } of graph.weights) names.add(name);
  for (const node of graph.nodes) {
    names.add(node.name);
    for (const { name } of node.outputs) names.add(name);
    for (const { graph: inner } of node.subgraphs) allNames(inner, names);
  }
  return names;
}
