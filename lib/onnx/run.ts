import { setImmediate } from "node:timers/promises";
import { didYouMean, ModalscopeError } from "../errors.js";
import type { TaskOptions } from "../progress.js";
import type { Value } from "../runtime/index.js";
import { type Affine, checkedEdit, checkTensor, editFeeds, unfit } from "./edits.js";
import { arrays, type Element, elementOf } from "./elements.js";
import { type OnnxInput, type OnnxTensor, showShape, whyNot } from "./listing.js";
import { type NamePattern, picked } from "./pattern.js";
import type { OnnxArray, OnnxRequest, OnnxResult } from "./request.js";
import type { ValueType } from "./scan.js";
import type { OpenCut, Sessions } from "./sessions.js";
import type { Cut, Port, Scanned } from "./splice-graph.js";

/** Parts of an open model that running needs. */
export interface Runnable {
  readonly scanned: Scanned;
  readonly types: ReadonlyMap<string, ValueType>;
  readonly list: readonly OnnxTensor[];
  readonly inputs: readonly OnnxInput[];
  readonly sessions: Sessions;
}

/** Request with its patterns resolved to names and its edits checked. */
interface Resolved extends Cut {
  readonly edits: ReadonlyMap<string, Affine>;
}

/** @throws ModalscopeError for a name that is not there or a tensor that cannot be captured or edited */
export function resolveCut(
  model: Runnable,
  request: OnnxRequest,
  feeds: Readonly<Record<string, unknown>> = {},
): Resolved {
  const outputs = chosenOutputs(model, request.outputs);
  const captured = new Set<string>();
  const patterns: readonly NamePattern[] = [request.capture ?? []].flat() as NamePattern[];
  for (const pattern of patterns) for (const name of capturedBy(model, pattern)) captured.add(name);
  const edits = resolveEdits(model, request.edits ?? {});
  if (outputs.size === 0 && captured.size === 0) {
    throw new ModalscopeError("Nothing is asked for.", "No output and no capture.", "Name one of them.");
  }
  const chosen = model.inputs.filter(({ name, optional }) => optional && Object.hasOwn(feeds, name));
  const fed = new Set(chosen.map(({ name }) => name));
  return { outputs, captured, fed, edited: new Set(edits.keys()), edits };
}

function chosenOutputs({ scanned, types }: Runnable, chosen: readonly string[] | undefined): Set<string> {
  const all = scanned.model.graph.outputs.map(({ name }) => name.name);
  if (chosen === undefined) return new Set(all.filter((name) => whyNot(types.get(name)) === undefined));
  for (const name of chosen) {
    if (!all.includes(name))
      throw new ModalscopeError(`The model has no output "${name}".`, `It has ${all.join(", ")}.`);
    const why = whyNot(types.get(name));
    if (why !== undefined) throw new ModalscopeError(`The output "${name}" cannot be fetched.`, why);
  }
  return new Set(chosen);
}

function capturedBy({ list }: Runnable, pattern: NamePattern): string[] {
  const found = picked(list, pattern);
  const capturable = found.filter((tensor) => tensor.capturable);
  if (capturable.length === 0) {
    const [{ name, why }] = found;
    throw new ModalscopeError(`The tensor "${name}" cannot be captured.`, why);
  }
  return capturable.map(({ name }) => name);
}

function resolveEdits(model: Runnable, edits: OnnxRequest["edits"] & object): Map<string, Affine> {
  const { scanned, types } = model;
  const names = [...scanned.definitions.keys()].map((name) => ({ name }));
  const elementAt = (name: string): Element | undefined => elementOf(types.get(name)?.element ?? 0);
  const resolved = new Map<string, Affine>();
  for (const [pattern, edit] of Object.entries(edits)) {
    const hidden =
      names.every(({ name }) => name !== pattern) && model.list.find(({ name }) => name === pattern);
    if (hidden) throw new ModalscopeError(`The tensor "${pattern}" cannot be edited.`, hidden.why);
    const found = picked(names, pattern);
    const floats = found.filter(({ name }) => elementAt(name)?.edited !== undefined);
    if (floats.length === 0) {
      const [{ name }] = found;
      throw new ModalscopeError(
        `The tensor "${name}" cannot be edited.`,
        `Edits compute with floats, and its type is ${elementAt(name)?.name ?? "not known"}.`,
        "Edit a float tensor before or after it.",
      );
    }
    for (const { name } of floats) {
      if (resolved.has(name)) {
        throw new ModalscopeError(
          `The tensor "${name}" is edited twice.`,
          `"${pattern}" names it again.`,
          "Give one edit for it, or patterns that do not overlap.",
        );
      }
      resolved.set(name, checkedEdit(name, edit, types.get(name)!));
    }
  }
  return resolved;
}

/** Runs the model as the request asks. */
export async function runCut(
  model: Runnable,
  feeds: Readonly<Record<string, OnnxArray>>,
  request: OnnxRequest & TaskOptions,
): Promise<OnnxResult> {
  const { onProgress, signal } = request;
  signal?.throwIfAborted();
  const resolved = resolveCut(model, request, feeds);
  checkFeeds(model, feeds);
  onProgress?.(0, 2, "opening a session");
  const cut = await model.sessions.at(resolved);
  await setImmediate(); // lets an abort come through before the runtime holds the thread
  signal?.throwIfAborted();
  onProgress?.(1, 2, "running");
  const values = await runSession(cut, feeds, resolved);
  signal?.throwIfAborted();
  onProgress?.(2, 2, "done");
  return { outputs: named(resolved.outputs, cut, values), captures: named(resolved.captured, cut, values) };
}

async function runSession(
  cut: OpenCut,
  feeds: Readonly<Record<string, OnnxArray>>,
  { edits, outputs, captured }: Resolved,
): Promise<Record<string, Value>> {
  const all: Record<string, Value> = {};
  for (const [name, { shape, data }] of Object.entries(feeds)) {
    const port = cut.fed.get(name)!;
    all[port.name] = { type: port.carrier, dims: shape, data };
  }
  for (const [name, ports] of cut.edits) Object.assign(all, editFeeds(ports, edits.get(name)));
  const wanted = [...outputs, ...captured].map((name) => cut.given.get(name)!.name);
  const shapes = [...edits.keys()].flatMap((name) => [
    cut.edits.get(name)!.before,
    cut.edits.get(name)!.after,
  ]);
  const values = await cut.session.run(all, [...new Set([...wanted, ...shapes])]).catch((error: Error) => {
    throw runError(error, cut, edits);
  });
  for (const name of edits.keys()) {
    const { before, after } = cut.edits.get(name)!;
    const [was, is] = [shapeIn(values[before]), shapeIn(values[after])];
    if (was.join() !== is.join()) throw unfit(`The edit of "${name}" enlarged it: it now`, is, was);
  }
  return values;
}

function runError(error: Error, cut: OpenCut, edits: ReadonlyMap<string, Affine>): ModalscopeError {
  const guilty = [...edits.keys()].find((name) =>
    cut.edits.get(name)!.nodes.some((node) => error.message.includes(`'${node}'`)),
  );
  return new ModalscopeError(
    guilty === undefined
      ? "onnxruntime could not run the model."
      : `The edit of "${guilty}" does not fit the tensor's shape.`,
    error.message,
    guilty === undefined
      ? "Check the inputs' shapes against each other."
      : "Capture the tensor to see its shape.",
    { cause: error },
  );
}

function shapeIn(value: Value): number[] {
  return Array.from(value.data as BigInt64Array, Number);
}

function named(
  names: ReadonlySet<string>,
  { given }: { readonly given: ReadonlyMap<string, Port> },
  values: Readonly<Record<string, Value>>,
): Record<string, OnnxArray> {
  const found = [...names].map((name): [string, OnnxArray] => {
    const { dims, data } = values[given.get(name)!.name];
    return [name, { shape: dims, data: data as OnnxArray["data"] }];
  });
  return Object.fromEntries(found);
}

function checkFeeds(model: Runnable, feeds: Readonly<Record<string, OnnxArray>>): void {
  const inputs = new Map(model.inputs.map((input) => [input.name, input]));
  for (const name of Object.keys(feeds)) {
    if (inputs.has(name)) continue;
    const hint = didYouMean(name, inputs.keys()) || `It takes ${[...inputs.keys()].join(", ")}.`;
    throw new ModalscopeError(`The model has no input "${name}".`, "", hint);
  }
  for (const { name, optional, shape } of inputs.values()) {
    const fed = Object.hasOwn(feeds, name) ? feeds[name] : undefined;
    if (fed !== undefined) checkFeed(name, fed, shape, model.types.get(name));
    else if (!optional) {
      const size = shape === undefined ? "of any shape" : showShape(shape);
      const dtype = elementOf(model.types.get(name)?.element ?? 0)?.name ?? "a value of unknown type";
      throw new ModalscopeError(`The input "${name}" is missing.`, `The model takes ${dtype} ${size} there.`);
    }
  }
}

function checkFeed(
  name: string,
  fed: OnnxArray,
  shape: readonly (number | string)[] | undefined,
  type: ValueType | undefined,
): void {
  const why = whyNot(type);
  if (why !== undefined) throw new ModalscopeError(`The input "${name}" cannot be fed.`, why);
  const element = elementOf(type!.element)!;
  const ArrayType = arrays[element.carrier!];
  if (!(fed?.data instanceof ArrayType)) {
    throw new ModalscopeError(
      `The input "${name}" takes ${element.name}, so { shape, data } with a ${ArrayType.name}.`,
      `It was given ${fed?.data?.constructor.name ?? typeof fed}.`,
    );
  }
  checkTensor(`The input "${name}"`, fed);
  const fits =
    shape === undefined ||
    (shape.length === fed.shape.length &&
      shape.every((size, i) => typeof size === "string" || size === fed.shape[i]));
  if (shape !== undefined && !fits) {
    throw new ModalscopeError(
      `The input "${name}" has the shape ${showShape(fed.shape)}.`,
      `The model takes ${showShape(shape)}.`,
    );
  }
}
