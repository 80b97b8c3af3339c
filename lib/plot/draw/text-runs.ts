/** Layout of the text of an SVG `<text>`, as plotly writes it, and the same text with its places written out. */
import { ASCENT, DESCENT, piecesByFont, textWidth } from "./fonts.js";

/** A stretch of text in one font. */
export interface Run {
  readonly text: string;
  /** Left end. */
  readonly x: number;
  readonly baseline: number;
  readonly width: number;
  readonly size: number;
  /** Declarations of the elements around it, inside the `<text>`. */
  readonly style: string;
}

interface Font {
  readonly size: number;
  readonly bold: boolean;
  readonly style: string;
}

/** Height of a run above and below its baseline. */
export const extentOf = (run: Run): { top: number; bottom: number } => ({
  top: run.baseline - ASCENT * run.size,
  bottom: run.baseline + DESCENT * run.size,
});

/**
 * The runs of a `<text>`. Plotly writes one `tspan.line` per line, moved down by `dy`; inside a line, `tspan`
 * with their own style; a superscript moves up by its `dy`, and an empty `tspan` after it moves down again.
 */
export function runsOf(text: Element): Run[] {
  const lines = [...text.children].filter((child) => child.classList.contains("line"));
  return (lines.length > 0 ? lines : [text]).flatMap((line) => lineRuns(line, text));
}

/**
 * Rewrites a `<text>` in place so that each run has a place of its own, with neither `dy` nor nesting. Not every
 * reader of SVG follows those, and one that draws 10⁻⁶ as 10−6 shows a wrong number.
 */
export function placeRuns(text: Element): void {
  const plain = text.childElementCount === 0 && !text.hasAttribute("dy");
  if (plain && piecesByFont(text.textContent ?? "").every((piece) => piece.family === undefined)) return;
  const spans = runsOf(text).map((run) => {
    const span = text.ownerDocument.createElementNS(text.namespaceURI, "tspan");
    span.setAttribute("x", run.x.toFixed(2));
    span.setAttribute("y", run.baseline.toFixed(2));
    span.setAttribute("style", `${run.style}font-size: ${run.size}px`);
    span.textContent = run.text;
    return span;
  });
  text.removeAttribute("dy");
  text.setAttribute("text-anchor", "start");
  text.replaceChildren(...spans);
}

function lineRuns(line: Element, text: Element): Run[] {
  const font = fontOf(text, { size: 12, bold: false, style: "" });
  const runs: Run[] = [];
  let x = 0;
  let shift = 0;
  const collect = (element: Element, inherited: Font) => {
    for (const node of element.childNodes) {
      if (node.nodeType === 1) {
        const child = node as Element;
        const own = fontOf(child, inherited);
        shift += length(child.getAttribute("dy"), own.size);
        collect(child, own);
      } else if (node.nodeType === 3) {
        // Plotly's zero-width spaces carry a `dy` and nothing to see.
        for (const { text, family } of piecesByFont((node.textContent ?? "").replaceAll("\u200b", ""))) {
          const width = textWidth(text, inherited.size, inherited.bold);
          const style = family ? `${inherited.style}font-family: ${family}; ` : inherited.style;
          runs.push({ text, x, baseline: shift, width, size: inherited.size, style });
          x += width;
        }
      }
    }
  };
  // What the text element declares is inherited by the spans anyway.
  collect(line, { ...font, style: "" });
  const anchor = text.getAttribute("text-anchor") ?? declared(text, "text-anchor");
  const start = anchor === "middle" ? -x / 2 : anchor === "end" ? -x : 0;
  const left = coordinate(line.hasAttribute("x") ? line : text, "x") + start;
  const baseline = coordinate(text, "y") + length(line.getAttribute("dy"), font.size);
  return runs.map((run) => ({ ...run, x: left + run.x, baseline: baseline + run.baseline }));
}

function fontOf(element: Element, inherited: Font): Font {
  const size = declared(element, "font-size") ?? element.getAttribute("font-size");
  const weight = declared(element, "font-weight");
  const style = element.getAttribute("style");
  return {
    size: size ? length(size, inherited.size) : inherited.size,
    bold: weight ? /^(bold|[6-9]00)$/.test(weight) : inherited.bold,
    style: style ? `${inherited.style}${style.replace(/;?\s*$/, "; ")}` : inherited.style,
  };
}

/** A declaration from the `style` attribute: reading it as text is many times quicker than through the CSS parser. */
function declared(element: Element, property: string): string | undefined {
  const style = element.getAttribute("style");
  return style ? new RegExp(`(?:^|;)\\s*${property}:\\s*([^;]+)`).exec(style)?.[1].trim() : undefined;
}

/** A length in `em`, `%` or pixels, in pixels. */
function length(value: string | null, size: number): number {
  const number = Number.parseFloat(value ?? "") || 0;
  if (/em\s*$/.test(value ?? "")) return number * size;
  return /%\s*$/.test(value ?? "") ? (number * size) / 100 : number;
}

export const coordinate = (element: Element, name: string): number =>
  Number.parseFloat(element.getAttribute(name) ?? "") || 0;
