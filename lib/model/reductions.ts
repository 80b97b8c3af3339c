/** What a capture request keeps of a hook's tensor. */
import { ModalscopeError } from "../errors.js";
import { sizeOf as elements, type Tensor, zerosLike } from "../tensor.js";
import { resolvePositions } from "./batch.js";
import type { CaptureSpec } from "./capture.js";
import { axesOf, type Hook } from "./hooks.js";
import type { Pass } from "./pass.js";

/** Shapes of what `reduced` returns, by the suffix of its name. */
export function reducedShapes(
  hook: Hook,
  request: CaptureSpec,
  pass: Pick<Pass, "size" | "time" | "start">,
): [string, number[]][] {
  const lengths: Record<string, number> = { batch: pass.size, time: pass.time, keys: pass.start + pass.time };
  const { positions, reduce } = request;
  if (reduce !== "mean" && Array.isArray(positions)) {
    lengths.time = Array.isArray(positions[0]) ? positions[0].length : positions.length;
  } else if (positions === "last") lengths.time = 1;
  const { time, head } = axesOf(hook);
  const shape = hook.shape.map((d) => (typeof d === "number" ? d : (lengths[d] ?? 1)));
  if (request.heads && head !== undefined) shape[head] = request.heads.length;
  if (reduce === "mean") return [["", shape.filter((_, i) => i !== time)]];
  if (reduce === "norm") return [["", shape.slice(0, -1)]];
  if (!reduce) return [["", shape]];
  const top = [...shape.slice(0, -1), Math.min(reduce.top, shape[shape.length - 1])];
  return [
    ["/values", top],
    ["/indices", top],
  ];
}

/** What a request keeps of a hook's tensor, by the suffix of its name. */
export function reduced(x: Tensor, hook: Hook, request: CaptureSpec, pass: Pass): [string, Tensor][] {
  const { time, head } = axesOf(hook);
  const local = { ...pass, time: pass.start + pass.time };
  // While tokens are generated, each pass has one column: that is the one that is kept.
  const positions = pass.phase === "decoding" ? "all" : (request.positions ?? "all");
  const columns = resolvePositions(positions, local).map((row) => row.map((c) => c - pass.start));
  if (request.heads && head === undefined) {
    throw new ModalscopeError(`"${hook.name}" has no heads.`, "The capture asks for some.");
  }
  let chosen = x;
  if (request.heads) chosen = pick(chosen, head!, new Array(x.shape[0]).fill(request.heads));
  if (request.reduce === "mean") return [["", meanOver(chosen, time, columns)]];
  if (positions !== "all") chosen = pick(chosen, time, columns);
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
