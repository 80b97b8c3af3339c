import { ModalscopeError } from "../errors.js";
import { type Definition, definitionsOf } from "./check.js";
import { type Carrier, type Element, elementOf } from "./elements.js";
import { emitCast, emitInput, emitNode, emitOutput, emitReference, opset17 } from "./emit.js";
import { locateExternal } from "./external.js";
import { type GraphDef, type ModelDef, scanModel, type ValueType } from "./scan.js";
import type { Origin } from "./source.js";
import { type Change, encodeField, splice } from "./splice-bytes.js";
import type { WeightDef } from "./tensors.js";
import type { Span } from "./wire.js";

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
  /** Mask of the elements of which the edit keeps something; undefined in opsets without Where for floats. */
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
  const changes = surgery.finish();
  const bytes = origin.read((source) => splice(source, { start: 0, end: source.size }, changes));
  return { bytes, fed: surgery.fed, given: surgery.given, edits: surgery.edits };
}

class Surgery {
  readonly fed = new Map<string, Port>();
  readonly given = new Map<string, Port>();
  readonly edits = new Map<string, EditPorts>();
  private readonly changes: Change[] = [];
  /** New fields of the graph, put before its first node. */
  private readonly head: Uint8Array[] = [];
  /** New names of unedited tensors whose own names an edit took. */
  private readonly renamed = new Map<string, string>();
  /** Prefix of the names that the patch adds; no other name begins with it. */
  private readonly prefix: string;
  private usesOwnOperators = false;

  constructor(
    private readonly scanned: Scanned,
    private readonly types: ReadonlyMap<string, ValueType>,
    private readonly fedOptions: ReadonlySet<string>,
  ) {
    const taken = [...allNames(scanned.model.graph, new Set())];
    let prefix = "modalscope";
    while (taken.some((name) => name.startsWith(`${prefix}/`))) prefix += "'";
    this.prefix = prefix;
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
    if (x !== unedited) nodes.push(emitCast(unedited, x, carrier, own("widening")));
    nodes.push(
      emitNode("Mul", [x, ports.scale], own("scaled"), scaling),
      emitNode("Add", [own("scaled"), ports.add], changed, adding),
    );
    if (ports.keep !== undefined) nodes.push(emitNode("Where", [ports.keep, changed, ports.add], y, keeping));
    if (y !== name) nodes.push(emitCast(y, name, element.name, own("narrowing")));
    nodes.push(
      emitNode("Shape", [unedited], ports.before, own("measuring before")),
      emitNode("Shape", [name], ports.after, own("measuring after")),
    );
    this.put(definition, nodes);
    this.head.push(emitInput(ports.scale, carrier), emitInput(ports.add, carrier));
    if (ports.keep !== undefined) this.head.push(emitInput(ports.keep, "bool"));
    this.head.push(emitOutput(ports.before), emitOutput(ports.after));
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
          emitInput(port.name, port.carrier),
          emitCast(port.name, inside, element.name, this.fresh("feeding", name)),
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
      if (!stated) this.head.push(emitOutput(name));
      this.given.set(name, { name, carrier });
      return;
    }
    const port = { name: this.fresh("given", name), carrier };
    this.put(this.scanned.definitions.get(name)!, [
      emitCast(name, port.name, carrier, this.fresh("giving", name)),
    ]);
    this.head.push(emitOutput(port.name));
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
    this.change(first, emitReference(file, storage));
    for (const place of others) this.change(place, []);
  }

  finish(): readonly Change[] {
    const { model } = this.scanned;
    const first = model.graph.nodes[0].start;
    this.change({ start: first, end: first }, this.head);
    if (this.usesOwnOperators && model.opset === 0) this.change({ start: 0, end: 0 }, [opset17]);
    return this.changes;
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
      const { start, end } = definition.node;
      this.changes.push({ start, end, put: nodes, behind: true });
    } else this.head.push(...nodes);
  }

  /** A name of ours, the same one for the same purpose. */
  private fresh(what: string, name: string): string {
    return `${this.prefix}/${what}/${name}`;
  }
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
