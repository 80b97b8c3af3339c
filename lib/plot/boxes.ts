/** Sizes of SVG elements, for a document that has no layout of its own: what plotly asks a browser for. */
import { ASCENT, DESCENT, textWidth } from "./fonts.js";

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
    const [x, y, width, height] = ["x", "y", "width", "height"].map((key) => number(element, key));
    return { left: x, top: y, right: x + width, bottom: y + height };
  }
  let all: Box | undefined;
  for (const child of element.children) {
    const box = contentBox(child);
    if (box) all = united(all, mapped(box, transformOf(child)));
  }
  return all;
}

/** Plotly writes one `tspan.line` per line of text, moved down by `dy`; in it, `tspan` with their own style. */
function textBox(text: Element): Box | undefined {
  const size = fontSize(text, 12);
  const lines = [...text.children].filter((child) => child.classList.contains("line"));
  const boxes = (lines.length > 0 ? lines : [text]).map((line) => {
    const width = runWidth(line, size, isBold(text));
    const anchor = text.getAttribute("text-anchor") ?? style(text, "text-anchor");
    const start = anchor === "middle" ? -width / 2 : anchor === "end" ? -width : 0;
    const left = number(line.hasAttribute("x") ? line : text, "x") + start;
    const baseline = number(text, "y") + em(line.getAttribute("dy"), size);
    return { left, right: left + width, top: baseline - ASCENT * size, bottom: baseline + DESCENT * size };
  });
  return boxes.reduce<Box | undefined>(united, undefined);
}

function runWidth(element: Element, size: number, bold: boolean): number {
  let width = 0;
  for (const node of element.childNodes) {
    if (node.nodeType === 3) width += textWidth(node.textContent ?? "", size, bold);
    else if (node.nodeType === 1)
      width += runWidth(node as Element, fontSize(node as Element, size), bold || isBold(node as Element));
  }
  return width;
}

/** A declaration from the `style` attribute: reading it as text is many times quicker than through the CSS parser. */
function style(element: Element, property: string): string | undefined {
  const declared = element.getAttribute("style") ?? "";
  return new RegExp(`(?:^|;)\\s*${property}:\\s*([^;]+)`).exec(declared)?.[1].trim();
}

function fontSize(element: Element, inherited: number): number {
  const value = style(element, "font-size") ?? element.getAttribute("font-size");
  return value ? em(value, inherited) : inherited;
}

const isBold = (element: Element): boolean => /^(bold|[6-9]00)$/.test(style(element, "font-weight") ?? "");

/** A length in `em`, `%` or pixels. */
function em(length: string | null | undefined, size: number): number {
  const value = Number.parseFloat(length ?? "");
  if (!Number.isFinite(value)) return 0;
  if (/em\s*$/.test(length ?? "")) return value * size;
  return /%\s*$/.test(length ?? "") ? (value * size) / 100 : value;
}

const number = (element: Element, name: string): number =>
  Number.parseFloat(element.getAttribute(name) ?? "") || 0;

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
