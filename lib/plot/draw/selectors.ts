/** Look-ups by an element's name and classes, which is nearly all that plotly asks for: jsdom's engine for whole CSS takes longer. */
import type { DOMWindow } from "jsdom";

/** A selector such as `text`, `.ytick` or `g.trace.scatter`. */
interface Simple {
  readonly name: string;
  readonly classes: readonly string[];
}

/** Gives the window's documents and elements such look-ups; any other selector goes to jsdom. */
export function provideSelectors(window: DOMWindow): void {
  const known = new Map<string, Simple | undefined>();
  const read = (selector: string): Simple | undefined => {
    if (!known.has(selector)) known.set(selector, simple(selector));
    return known.get(selector);
  };
  for (const { prototype } of [window.Element, window.Document]) {
    const { querySelector, querySelectorAll } = prototype;
    Object.assign(prototype, {
      querySelector(this: Element | Document, selector: string) {
        const wanted = read(selector);
        return wanted ? (search(this, wanted, 1)[0] ?? null) : querySelector.call(this, selector);
      },
      querySelectorAll(this: Element | Document, selector: string) {
        const wanted = read(selector);
        return wanted ? search(this, wanted) : querySelectorAll.call(this, selector);
      },
    });
  }
}

/** Undefined for any other selector; names in capitals match in HTML what they do not in SVG. */
function simple(selector: string): Simple | undefined {
  const match = /^([a-z][a-z0-9]*)?((?:\.[A-Za-z_][\w-]*)*)$/.exec(selector);
  if (!match || selector === "") return undefined;
  return { name: match[1] ?? "", classes: match[2].split(".").slice(1) };
}

/** The first of the elements below `root` that match, in the document's order. */
function search(root: Node, wanted: Simple, limit = Number.POSITIVE_INFINITY): Element[] {
  const found: Element[] = [];
  let at: Node | null = root.firstChild;
  while (at !== null && found.length < limit) {
    if (at.nodeType === 1 && isMatch(at as Element, wanted)) found.push(at as Element);
    let next: Node | null = at.firstChild;
    for (let from: Node | null = at; next === null && from !== null && from !== root; from = from.parentNode)
      next = from.nextSibling;
    at = next;
  }
  return found;
}

function isMatch(element: Element, { name, classes }: Simple): boolean {
  if (name !== "" && element.localName !== name) return false;
  if (classes.length === 0) return true;
  const own = (element.getAttribute("class") ?? "").split(/\s+/);
  return classes.every((wanted) => own.includes(wanted));
}
