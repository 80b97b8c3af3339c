/** The part of a hook's tensor that a capture keeps; the tensor may arrive in parts. */

import { ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";
import { sizeOf as elements, type Tensor, zerosLike } from "../../tensor.js";
import { MASKED_SCORE, type Pass, type Positions, resolvePositions } from "../batch/index.js";
import { axesOf, type Hook } from "../hooks/index.js";

/** A capture that keeps less than whole tensors. */
export interface CaptureSpec {
  readonly hook: string | RegExp;
  /** Only these tokens (for scores and patterns: these queries); the same number in every row. Padding is refused. */
  readonly positions?: Positions;
  /**
   * Takes rows that name fewer positions than others, as prompts with one image and with two do: what is kept is as
   * long as the longest row's, and zero after the end of the shorter ones (`positions[row].length` of them count).
   */
  readonly padRows?: boolean;
  readonly heads?: readonly number[];
  /**
   * The mean over the chosen tokens (padding left out), kept as `<hook>/mean`; the norm of each vector, `<hook>/norm`;
   * the largest elements and where they are, `<hook>/values` and `<hook>/indices`; or, of scores and patterns, sums over
   * groups of keys, `<hook>/keys`: a vector has one element for each group, whose columns are given by row.
   */
  readonly reduce?:
    | "mean"
    | "norm"
    | { readonly top: number }
    | { readonly keys: readonly (readonly (readonly number[])[])[] };
  /** Kept as `<hook>/<as>` instead: for several captures of one hook, such as means over different tokens. */
  readonly as?: string;
}

/** The lengths that shapes of captures follow from. */
export type Extent = Pick<Pass, "size" | "seqLength" | "start" | "phase">;

/** Shapes of what is kept, by the suffix of its name. */
export function captureShapes(hook: Hook, request: CaptureSpec, pass: Extent): [string, number[]][] {
  const lengths: Record<string, number> = {
    batch: pass.size,
    time: pass.seqLength,
    keys: pass.start + pass.seqLength,
  };
  const { time, head } = axesOf(hook);
  const { reduce, heads } = request;
  const shape = hook.shape.map((d) => (typeof d === "number" ? d : (own(lengths, d) ?? pass.seqLength)));
  shape[time] = countOf(positionsIn(request, pass), pass.seqLength);
  if (heads && head !== undefined) shape[head] = heads.length;
  if (reduce === "mean") return [["", shape.filter((_, i) => i !== time)]];
  if (reduce === "norm") return [["", shape.slice(0, -1)]];
  if (!reduce) return [["", shape]];
  if ("keys" in reduce) return [["/keys", [...shape.slice(0, -1), reduce.keys.length]]];
  const top = [...shape.slice(0, -1), Math.min(reduce.top, shape[shape.length - 1])];
  return [
    ["/values", top],
    ["/indices", top],
  ];
}

/** Number of columns that positions name in a row of `time`. */
function countOf(positions: Positions, time: number): number {
  if (positions === "all") return time;
  if (positions === "last") return 1;
  if (!Array.isArray(positions[0])) return positions.length;
  return Math.max(...(positions as readonly (readonly number[])[]).map((row) => row.length));
}

/** While tokens are generated, each pass has one column: that is the one that is kept. */
function positionsIn({ positions = "all" }: CaptureSpec, { phase }: Extent): Positions {
  return phase === "decoding" ? "all" : positions;
}

/**
 * Sees that a request can be met, before anything is computed.
 * @throws ModalscopeError for heads or positions that are not there, padding, or rows of different lengths
 */
export function checkRequest(hook: Hook, request: CaptureSpec, pass: Pass): void {
  const { heads, reduce, padRows = false } = request;
  const { head } = axesOf(hook);
  if (heads && head === undefined) {
    throw new ModalscopeError(`"${hook.name}" has no heads.`, "The capture asks for some.");
  }
  const count = head === undefined ? 0 : (hook.shape[head] as number);
  const missing = heads?.find((h) => !(Number.isInteger(h) && h >= 0 && h < count));
  if (missing !== undefined) {
    throw new ModalscopeError(`"${hook.name}" has no head ${missing}.`, `It has ${count}.`);
  }
  if (typeof reduce === "object" && "keys" in reduce) checkKeyGroups(hook, reduce.keys, pass);
  else if (typeof reduce === "object" && !(Number.isInteger(reduce.top) && reduce.top > 0)) {
    throw new ModalscopeError(
      `The capture of "${hook.name}" asks for the ${reduce.top} largest elements.`,
      "It must be a positive integer.",
    );
  }
  const positions = positionsIn(request, pass);
  if (typeof positions === "string") return;
  const columns = resolvePositions(positions, { ...pass, seqLength: pass.start + pass.seqLength });
  const empty = columns.map((row) => row.length === 0);
  if (empty.includes(true) && (!padRows || reduce === "mean" || !empty.includes(false))) {
    throw new ModalscopeError(
      `The capture of "${hook.name}" names no positions${columns.length > 1 ? ` in row ${empty.indexOf(true)}` : ""}.`,
      "",
      empty.includes(false) && reduce !== "mean" ? "Say padRows: true to keep zeros for such a row." : "",
    );
  }
  if (!padRows && reduce !== "mean" && columns.some((row) => row.length !== columns[0].length)) {
    throw new ModalscopeError(
      "The rows name different numbers of positions.",
      "A captured tensor has one length for all rows.",
      'Say padRows: true to have the shorter ones end in zeros, use reduce: "mean", or capture everything.',
    );
  }
}

function checkKeyGroups(hook: Hook, groups: readonly (readonly (readonly number[])[])[], pass: Pass): void {
  if (hook.shape[hook.shape.length - 1] !== "keys") {
    throw new ModalscopeError(
      `"${hook.name}" has no keys to sum over.`,
      "",
      "Scores and patterns have: attn.hook_attn_scores and attn.hook_pattern.",
    );
  }
  const keys = pass.start + pass.seqLength;
  for (const rows of groups) {
    const bad = rows.flat().find((key) => !(Number.isInteger(key) && key >= 0 && key < keys));
    if (rows.length === pass.size && bad === undefined) continue;
    throw new ModalscopeError(
      bad === undefined
        ? `A group of keys has columns for ${rows.length} rows.`
        : `A group of keys names the column ${bad}.`,
      `The batch has ${pass.size} rows of ${keys} columns.`,
    );
  }
}

type Floats = Float32Array | Float64Array;

/** The capture of one hook in one pass, filled part by part. */
export class CaptureBuffer {
  private readonly tensors: readonly [string, Tensor<Floats>][];
  /** For each row, the absolute columns that are kept, and where each goes along time. */
  private readonly columns: readonly (readonly { column: number; place: number }[])[];

  constructor(
    private readonly hook: Hook,
    private readonly request: CaptureSpec,
    private readonly pass: Pass,
    private readonly zeros: (n: number) => Float32Array,
  ) {
    const positions = positionsIn(request, pass);
    const placeOf = (column: number, i: number): number =>
      request.reduce === "mean" ? 0 : positions === "all" ? column - pass.start : i;
    const rows = resolvePositions(positions, { ...pass, seqLength: pass.start + pass.seqLength });
    this.columns = rows.map((row) => row.map((column, i) => ({ column, place: placeOf(column, i) })));
    // Means add up in double precision.
    const made = request.reduce === "mean" ? (n: number): Floats => new Float64Array(n) : zeros;
    this.tensors = captureShapes(hook, request, pass).map(([suffix, shape]) => [
      suffix,
      { data: made(elements(shape)), shape },
    ]);
  }

  /** Takes the hook's tensor of some columns of the pass. Columns of padding stay zero. */
  add(x: Tensor, part: Pass): void {
    const { time, head } = axesOf(this.hook);
    const { reduce, heads: chosen } = this.request;
    const width = x.shape[x.shape.length - 1];
    const all = head === undefined ? 1 : x.shape[head];
    const heads = chosen ?? Array.from({ length: all }, (_, h) => h);
    const places = reduce === "mean" ? 1 : this.tensors[0][1].shape[time];
    const vectorAt = (index: number): Float32Array => x.data.subarray(index * width, (index + 1) * width);
    this.columns.forEach((row, b) => {
      const own = b - (part.rowOffset ?? 0);
      if (own < 0 || own >= part.size) return;
      for (const { column, place } of row) {
        const t = column - part.start;
        if (t < 0 || t >= part.seqLength) continue;
        heads.forEach((h, j) => {
          const headsFirst = head === 1;
          const from = headsFirst
            ? (own * all + h) * part.seqLength + t
            : (own * part.seqLength + t) * all + h;
          const to = headsFirst
            ? (b * heads.length + j) * places + place
            : (b * places + place) * heads.length + j;
          this.write(this.padKeys(vectorAt(from)), to, b);
        });
      }
    });
  }

  /** The tensors, by the suffix of their names. */
  finish(): [string, Tensor][] {
    return this.tensors.map(([suffix, { data, shape }]) => {
      if (this.request.reduce !== "mean") return [suffix, { data: data as Float32Array, shape }];
      const own = this.zeros(data.length);
      own.set(data);
      return [suffix, { data: own, shape }];
    });
  }

  /** A row of scores or of a pattern at full length, where a part of the pass attends to its first keys only. */
  private padKeys(vector: Float32Array): Float32Array {
    const { shape, local } = this.hook;
    const keys = this.pass.start + this.pass.seqLength;
    if (shape[shape.length - 1] !== "keys" || vector.length === keys) return vector;
    const out = zerosLike(vector, keys);
    out.set(vector);
    if (local === "attn.hook_attn_scores") out.fill(MASKED_SCORE, vector.length);
    return out;
  }

  private write(vector: Float32Array, index: number, row: number): void {
    const [[, { data }], indices] = this.tensors;
    const { reduce } = this.request;
    const count = this.columns[row].length;
    const from = index * vector.length;
    if (!reduce) data.set(vector, from);
    else if (reduce === "norm") data[index] = Math.sqrt(vector.reduce((sum, v) => sum + v * v, 0));
    else if (reduce === "mean") for (let i = 0; i < vector.length; i++) data[from + i] += vector[i] / count;
    else if ("keys" in reduce) {
      reduce.keys.forEach((rows, group) => {
        data[index * reduce.keys.length + group] = rows[row].reduce((sum, key) => sum + vector[key], 0);
      });
    } else {
      const order = Array.from(vector.keys()).sort((a, b) => vector[b] - vector[a]);
      const top = Math.min(reduce.top, vector.length);
      for (let i = 0; i < top; i++) {
        data[index * top + i] = vector[order[i]];
        indices[1].data[index * top + i] = order[i];
      }
    }
  }
}
