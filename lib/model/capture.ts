import { didYouMean, ModalscopeError } from "../errors.js";
import { sizeOf as elements, type Tensor, zerosLike } from "../tensor.js";
import { type Positions, resolvePositions } from "./batch.js";
import { type Hook, matchHooks } from "./hooks.js";
import type { Pass } from "./pass.js";
import { readSafetensors, writeSafetensors } from "./weights/index.js";

/** What to keep of a run. A bare pattern keeps whole tensors. */
export type CaptureRequest =
  | string
  | RegExp
  | {
      readonly hook: string | RegExp;
      /** Only these tokens (for scores and patterns: these queries); the same number in every row. */
      readonly positions?: Positions;
      readonly heads?: readonly number[];
      /** Mean over the chosen tokens (padding left out), the norm of each vector, or the largest elements with their indices. */
      readonly reduce?: "mean" | "norm" | { readonly top: number };
    };

/** What one run kept, by hook name. */
export class Cache {
  constructor(private readonly tensors: Map<string, Tensor> = new Map()) {}

  /** @throws ModalscopeError naming the nearest names when the run kept no such hook */
  get(name: string): Tensor {
    const found = this.tensors.get(name);
    if (found) return found;
    throw new ModalscopeError(
      `The run kept nothing under "${name}".`,
      "",
      didYouMean(name, this.tensors.keys()) || `Ask for it: capture: ["${name}"].`,
    );
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  set(name: string, value: Tensor): void {
    this.tensors.set(name, value);
  }

  get names(): string[] {
    return [...this.tensors.keys()];
  }

  entries(): IterableIterator<[string, Tensor]> {
    return this.tensors.entries();
  }

  /** Bytes of all tensors. */
  get bytes(): number {
    let total = 0;
    for (const { data } of this.tensors.values()) total += data.byteLength;
    return total;
  }

  /** Writes all tensors to a safetensors file, which Python opens too. */
  save(path: string, metadata: Readonly<Record<string, string>> = {}): void {
    writeSafetensors(path, Object.fromEntries(this.tensors), metadata);
  }

  /** Opens what `save` wrote. */
  static open(path: string): Cache {
    return new Cache(readSafetensors(path));
  }
}

interface Wanted {
  readonly key: string;
  readonly request: Exclude<CaptureRequest, string | RegExp>;
}

/** Takes what was asked for while a pass runs. */
export class Sink {
  readonly cache: Cache = new Cache();
  private readonly wanted = new Map<string, Wanted[]>();

  constructor(
    private readonly hooks: readonly Hook[],
    requests: readonly CaptureRequest[],
  ) {
    for (const given of requests) {
      const request = typeof given === "string" || given instanceof RegExp ? { hook: given } : given;
      for (const { name } of matchHooks(hooks, request.hook)) {
        const list = this.wanted.get(name) ?? [];
        list.push({ key: keyOf(name, request), request });
        this.wanted.set(name, list);
      }
    }
  }

  wants(name: string): boolean {
    return this.wanted.has(name);
  }

  /** Local names of what is wanted of a piece. */
  localNames(piece: Hook["piece"]): string[] {
    return this.hooks.filter((h) => h.piece === piece && this.wanted.has(h.name)).map((h) => h.local);
  }

  /** Bytes that the captures of a pass will take. */
  estimate(pass: Pick<Pass, "size" | "time" | "start">, elementBytes: number): number {
    let bytes = 0;
    for (const hook of this.hooks) {
      for (const { request } of this.wanted.get(hook.name) ?? [])
        bytes += sizeOf(hook, request, pass) * elementBytes;
    }
    return bytes;
  }

  /** `pass` tells which columns the tensor's time axis stands for. */
  take(name: string, x: Tensor, pass: Pass): void {
    const hook = this.hooks.find((h) => h.name === name)!;
    for (const { key, request } of this.wanted.get(name) ?? []) {
      for (const [suffix, value] of reduced(x, hook, request, pass)) this.cache.set(key + suffix, value);
    }
  }
}

/** Requests that differ for one hook are kept under names of their own. */
function keyOf(name: string, request: Wanted["request"]): string {
  return typeof request.reduce === "string" ? `${name}/${request.reduce}` : name;
}

function sizeOf(hook: Hook, request: Wanted["request"], pass: Pick<Pass, "size" | "time" | "start">): number {
  const lengths: Record<string, number> = { batch: pass.size, time: pass.time, keys: pass.start + pass.time };
  const { positions, reduce } = request;
  if (reduce === "mean") lengths.time = 1;
  else if (Array.isArray(positions))
    lengths.time = Array.isArray(positions[0]) ? positions[0].length : positions.length;
  else if (positions === "last") lengths.time = 1;
  const shape = hook.shape.map((d) => (typeof d === "number" ? d : (lengths[d] ?? 1)));
  const { head } = axesOf(hook);
  if (request.heads && head !== undefined) shape[head] = request.heads.length;
  if (reduce === "norm") shape[shape.length - 1] = 1;
  else if (typeof reduce === "object") shape[shape.length - 1] = 2 * reduce.top;
  return elements(shape);
}

/** Which axis of a hook's tensor counts tokens, and which heads. */
export function axesOf(hook: Hook): { time: number; head?: number } {
  const time = hook.shape.indexOf("time");
  if (hook.shape.length !== 4) return { time };
  return { time, head: time === 1 ? 2 : 1 };
}

function reduced(x: Tensor, hook: Hook, request: Wanted["request"], pass: Pass): [string, Tensor][] {
  const { time, head } = axesOf(hook);
  const local = { ...pass, time: pass.start + pass.time };
  const columns = resolvePositions(request.positions ?? "all", local).map((row) =>
    row.map((c) => c - pass.start),
  );
  if (request.heads && head === undefined) {
    throw new ModalscopeError(`"${hook.name}" has no heads.`, "The capture asks for some.");
  }
  let chosen = x;
  if (request.heads) chosen = pick(chosen, head!, new Array(x.shape[0]).fill(request.heads));
  if (request.reduce === "mean") return [["", meanOver(chosen, time, columns)]];
  if (request.positions !== undefined && request.positions !== "all") chosen = pick(chosen, time, columns);
  else if (columns.some((row) => row.length < pass.time)) chosen = withoutPadding(chosen, time, columns);
  if (request.reduce === "norm") return [["", norms(chosen)]];
  if (request.reduce) return largest(chosen, request.reduce.top);
  return [["", chosen]];
}

/** Chosen indices of one axis (after the first), a list for each row. */
function pick(x: Tensor, axis: number, indices: readonly (readonly number[])[]): Tensor {
  const n = indices[0].length;
  if (indices.some((row) => row.length !== n)) {
    throw new ModalscopeError(
      "The rows name different numbers of positions.",
      "A captured tensor has one length for all rows.",
      'Use reduce: "mean", or capture everything.',
    );
  }
  const shape = x.shape.map((d, i) => (i === axis ? n : d));
  const inner = elements(shape.slice(axis + 1));
  const outer = elements(shape.slice(1, axis));
  const length = x.shape[axis];
  const data = zerosLike(x.data, elements(shape));
  for (let b = 0; b < shape[0]; b++) {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < n; i++) {
        const from = ((b * outer + o) * length + indices[b][i]) * inner;
        if (!(indices[b][i] >= 0 && indices[b][i] < length)) {
          throw new ModalscopeError(
            `Axis ${axis} has no index ${indices[b][i]}.`,
            `Its length is ${length}.`,
          );
        }
        data.set(x.data.subarray(from, from + inner), ((b * outer + o) * n + i) * inner);
      }
    }
  }
  return { data, shape };
}

function meanOver(x: Tensor, axis: number, columns: readonly (readonly number[])[]): Tensor {
  const shape = x.shape.filter((_, i) => i !== axis);
  const inner = elements(x.shape.slice(axis + 1));
  const outer = elements(x.shape.slice(1, axis));
  const total = new Float64Array(elements(shape));
  for (let b = 0; b < x.shape[0]; b++) {
    for (let o = 0; o < outer; o++) {
      const to = (b * outer + o) * inner;
      for (const c of columns[b]) {
        const from = ((b * outer + o) * x.shape[axis] + c) * inner;
        for (let i = 0; i < inner; i++) total[to + i] += x.data[from + i] / columns[b].length;
      }
    }
  }
  const data = zerosLike(x.data, total.length);
  data.set(total);
  return { data, shape };
}

/** A copy with zeros at padding. */
function withoutPadding(x: Tensor, axis: number, columns: readonly (readonly number[])[]): Tensor {
  const data = x.data.slice();
  const inner = elements(x.shape.slice(axis + 1));
  const outer = elements(x.shape.slice(1, axis));
  for (let b = 0; b < x.shape[0]; b++) {
    const tokens = new Set(columns[b]);
    for (let o = 0; o < outer; o++) {
      for (let c = 0; c < x.shape[axis]; c++) {
        const from = ((b * outer + o) * x.shape[axis] + c) * inner;
        if (!tokens.has(c)) data.fill(0, from, from + inner);
      }
    }
  }
  return { data, shape: x.shape };
}

function norms(x: Tensor): Tensor {
  const width = x.shape[x.shape.length - 1];
  const data = zerosLike(x.data, x.data.length / width);
  for (let i = 0; i < data.length; i++) {
    let square = 0;
    for (let j = 0; j < width; j++) square += x.data[i * width + j] ** 2;
    data[i] = Math.sqrt(square);
  }
  return { data, shape: x.shape.slice(0, -1) };
}

function largest(x: Tensor, n: number): [string, Tensor][] {
  const width = x.shape[x.shape.length - 1];
  const top = Math.min(n, width);
  const rows = x.data.length / width;
  const values = new Float32Array(rows * top);
  const indices = new Float32Array(rows * top);
  for (let r = 0; r < rows; r++) {
    const row = x.data.subarray(r * width, (r + 1) * width);
    const order = Array.from(row.keys()).sort((a, b) => row[b] - row[a]);
    for (let i = 0; i < top; i++) {
      indices[r * top + i] = order[i];
      values[r * top + i] = row[order[i]];
    }
  }
  const shape = [...x.shape.slice(0, -1), top];
  return [
    ["/values", { data: values, shape }],
    ["/indices", { data: indices, shape }],
  ];
}
