/** Sizes of SVG elements, for a document that has no layout of its own: what plotly asks a browser for. */
import { coordinate, extentOf, runsOf } from "./text-runs.js";

/** A rectangle, in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Rows of a 2×3 matrix: (x, y) ↦ (a·x + c·y + e, b·x + d·y + f). */
type Transform = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

const IDENTITY: Transform = [1, 0, 0, 1, 0, 0];

/** Box of an element in its own coordinates: its text, rectangles and images; paths are left out. */
export function ownBox(element: Element): Box {
  return contentBox(element) ?? { left: 0, top: 0, right: 0, bottom: 0 };
}

/** Box of an element after its own transform and those around it, up to the outermost SVG element. */
export function placedBox(element: Element): Box {
  let transform = IDENTITY;
  for (let at: Element | null = element; at; at = at.parentElement)
    transform = after(transformOf(at), transform);
  return mapped(ownBox(element), transform);
}

function contentBox(element: Element): Box | undefined {
  const name = element.tagName.toLowerCase();
  if (name === "text") return textBox(element);
  if (name === "rect" || name === "image") {
    const [x, y, width, height] = ["x", "y", "width", "height"].map((key) => coordinate(element, key));
    return { left: x, top: y, right: x + width, bottom: y + height };
  }
  let all: Box | undefined;
  for (const child of element.children) {
    const box = contentBox(child);
    if (box) all = united(all, mapped(box, transformOf(child)));
  }
  return all;
}

function textBox(text: Element): Box | undefined {
  const boxes = runsOf(text).map((run) => ({ left: run.x, right: run.x + run.width, ...extentOf(run) }));
  return boxes.reduce<Box | undefined>(united, undefined);
}

function transformOf(element: Element): Transform {
  let result = IDENTITY;
  for (const [, name, inside] of (element.getAttribute("transform") ?? "").matchAll(/(\w+)\(([^)]*)\)/g)) {
    const v = inside
      .split(/[\s,]+/)
      .filter(Boolean)
      .map(Number);
    result = after(result, single(name, v));
  }
  return result;
}

function single(name: string, v: readonly number[]): Transform {
  if (name === "translate") return [1, 0, 0, 1, v[0], v[1] ?? 0];
  if (name === "scale") return [v[0], 0, 0, v[1] ?? v[0], 0, 0];
  if (name === "matrix") return [v[0], v[1], v[2], v[3], v[4], v[5]];
  if (name !== "rotate") return IDENTITY;
  const angle = (v[0] * Math.PI) / 180;
  const [cos, sin, x, y] = [Math.cos(angle), Math.sin(angle), v[1] ?? 0, v[2] ?? 0];
  return [cos, sin, -sin, cos, x - cos * x + sin * y, y - sin * x - cos * y];
}

/** `inner` first, then `outer`. */
function after(outer: Transform, inner: Transform): Transform {
  const [a, b, c, d, e, f] = outer;
  const [p, q, r, s, t, u] = inner;
  return [a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * t + c * u + e, b * t + d * u + f];
}

function mapped(box: Box, [a, b, c, d, e, f]: Transform): Box {
  const corners = [box.left, box.right].flatMap((x) =>
    [box.top, box.bottom].map((y) => [a * x + c * y + e, b * x + d * y + f] as const),
  );
  const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

function united(a: Box | undefined, b: Box): Box {
  if (!a) return b;
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}
