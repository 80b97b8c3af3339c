import { ModalscopeError } from "../../errors.js";
import {
  anything,
  checkOptions,
  flag,
  integers,
  type OptionChecks,
  optional,
  positions,
  required,
  some,
  text,
} from "../../options.js";
import { sizeOf, type Tensor, zerosLike } from "../../tensor.js";
import type { Pass } from "../batch/index.js";
import { createSafetensors, type SafetensorsWriter } from "../checkpoint/index.js";
import { type Hook, matchRunning } from "../hooks/index.js";
import { ActivationCache } from "./activation-cache.js";
import { CaptureBuffer, type CaptureSpec, captureShapes, checkRequest, type Extent } from "./reductions.js";

/** A capture: a hook's name or pattern, which keeps whole tensors, or a request that keeps less. */
export type CaptureRequest = string | RegExp | CaptureSpec;

const CAPTURE_OPTIONS: OptionChecks<CaptureSpec> = {
  hook: required(anything, "a hook's name or pattern"),
  positions,
  padRows: flag,
  heads: some(integers),
  reduce: optional(
    '"mean", "norm", { top: count } or { keys: groups of columns by row }',
    (value) => value === "mean" || value === "norm" || isReduction(value),
  ),
  as: text,
};

/** One of the two reductions that have a value of their own, and nothing else beside it. */
function isReduction(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const [[name, of] = [], ...more] = Object.entries(value);
  if (more.length > 0) return false;
  return name === "top" ? Number.isInteger(of) && of > 0 : name === "keys" && Array.isArray(of);
}

interface WantedCapture {
  readonly key: string;
  readonly request: CaptureSpec;
}

/** Records captures while a pass runs, into memory or straight into a file. */
export class CaptureRecorder {
  private readonly memory = new ActivationCache();
  private file?: { readonly path: string; readonly writer: SafetensorsWriter };
  private readonly wanted = new Map<string, WantedCapture[]>();
  /** Captures that arrive in parts, by hook. */
  private readonly pending = new Map<string, CaptureBuffer[]>();

  /**
   * @param runs whether a hook is passed at all
   * @throws ModalscopeError for an unknown hook, one that does not run, or two captures under one name
   */
  constructor(
    private readonly hooks: readonly Hook[],
    requests: readonly CaptureRequest[],
    runs: (hook: Hook) => boolean = () => true,
  ) {
    for (const given of requests) {
      const request = typeof given === "string" || given instanceof RegExp ? { hook: given } : given;
      checkOptions("A capture", request, CAPTURE_OPTIONS);
      for (const { name } of matchRunning(hooks, request.hook, runs)) {
        const list = this.wanted.get(name) ?? [];
        const key = captureName(name, request);
        const others = list.filter((other) => other.key === key);
        if (others.some((other) => sameKept(other.request, request))) continue;
        if (others.length > 0) {
          throw new ModalscopeError(
            `Two captures of "${name}" would be kept under one name.`,
            "They differ in positions, heads or the number of largest elements only.",
            "Give one of them a name of its own: as.",
          );
        }
        list.push({ key, request });
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

  /**
   * Sees that every request can be met, before anything is computed.
   * @throws ModalscopeError for heads or positions that are not there, padding, or rows of different lengths
   */
  check(passFor: (hook: Hook) => Pass): void {
    for (const hook of this.hooks)
      for (const { request } of this.wanted.get(hook.name) ?? []) checkRequest(hook, request, passFor(hook));
  }

  /** Bytes that the captures of a pass will take in memory. */
  estimate(extentOf: (hook: Hook) => Extent, elementBytes: number): number {
    return this.expected(extentOf).reduce((n, { shape }) => n + sizeOf(shape) * elementBytes, 0);
  }

  /** Sends what a pass brings to a safetensors file; memory then holds one tensor at a time. */
  toFile(path: string, extentOf: (hook: Hook) => Extent, dtype: "F32" | "F64"): void {
    const listed = this.expected(extentOf).map(({ name, shape }) => ({ name, shape, dtype }));
    this.file = { path, writer: createSafetensors(path, listed) };
  }

  /** `pass` tells which rows and columns the tensor holds: all, or a part of those of `pass.parent`, which come in order. */
  record(name: string, x: Tensor, pass: Pass): void {
    const wanted = this.wanted.get(name);
    if (!wanted) return;
    const whole = pass.parent ?? pass;
    if (whole === pass && wanted.length === 1 && keepsAll(wanted[0].request, pass)) {
      this.put(wanted[0].key, x);
      return;
    }
    const hook = this.hooks.find((h) => h.name === name)!;
    const zeros = (n: number): Float32Array => zerosLike(x.data, n);
    const kept =
      this.pending.get(name) ?? wanted.map(({ request }) => new CaptureBuffer(hook, request, whole, zeros));
    for (const one of kept) one.add(x, pass);
    const { rowOffset = 0, keys = whole.start + whole.seqLength } = pass;
    if (rowOffset + pass.size < whole.size || pass.start + pass.seqLength < keys) {
      this.pending.set(name, kept);
      return;
    }
    this.pending.delete(name);
    kept.forEach((one, i) => {
      for (const [suffix, value] of one.finish()) this.put(wanted[i].key + suffix, value);
    });
  }

  /** The captures; their file appears in its place now. */
  finish(): ActivationCache {
    if (!this.file) return this.memory;
    this.file.writer.finish();
    return ActivationCache.open(this.file.path);
  }

  /** Drops a file that was not finished. */
  abort(): void {
    this.file?.writer.abort();
  }

  private put(name: string, { data, shape }: Tensor): void {
    if (!this.file) this.memory.set(name, { data, shape });
    else this.file.writer.write(name, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }

  private expected(extentOf: (hook: Hook) => Extent): { name: string; shape: number[] }[] {
    return this.hooks.flatMap((hook) =>
      (this.wanted.get(hook.name) ?? []).flatMap(({ key, request }) =>
        captureShapes(hook, request, extentOf(hook)).map(([suffix, shape]) => ({
          name: key + suffix,
          shape,
        })),
      ),
    );
  }
}

/** True where a tensor is kept as it is: there is no padding in it to clear. */
function keepsAll(
  { positions, heads, reduce }: CaptureSpec,
  { tokenPositions, seqLength: time }: Pass,
): boolean {
  const whole = positions === undefined || positions === "all";
  return whole && !heads && !reduce && tokenPositions.every((row) => row.length === time);
}

/** True for two requests that keep the same of a hook. */
function sameKept(a: CaptureSpec, b: CaptureSpec): boolean {
  const kept = ({ positions, heads, reduce }: CaptureSpec): string =>
    JSON.stringify([positions, heads, reduce]);
  return kept(a) === kept(b);
}

/** Requests that differ for one hook are kept under names of their own. */
function captureName(name: string, request: WantedCapture["request"]): string {
  if (request.as !== undefined) return `${name}/${request.as}`;
  return typeof request.reduce === "string" ? `${name}/${request.reduce}` : name;
}
