/** Formulas as MathML, which needs no fonts and no script. */

import katex from "katex";
import type { MarkdownIt } from "markdown-it";
import { own } from "../../own.js";

/** `tex` as a `<math>` element; a formula that cannot be read shows its source in red, with the reason. */
export function mathHtml(tex: string, display: boolean): string {
  const html = katex.renderToString(tex, {
    displayMode: display,
    output: "mathml",
    throwOnError: false,
    strict: "ignore",
    trust: false,
  });
  return html.replace(/<(mi|mn|mtext) mathvariant="([^"]*)">([^<]*)</g, (whole, tag, variant, text) =>
    variant in variants ? `<${tag}>${inVariant(text, variant)}<` : whole,
  );
}

/**
 * Teaches markdown-it Jupyter's formulas: `$…$` in a line, `$$…$$` in a line or over several, and a bare
 * `\begin{…}…\end{…}`.
 */
export function mathPlugin(md: MarkdownIt): void {
  md.inline.ruler.after("escape", "math", (state, silent) => {
    const found = mathAt(state.src, state.pos);
    if (!found) return false;
    if (!silent) {
      const token = state.push("math", "math", 0);
      token.content = found.tex;
      token.markup = found.display ? "$$" : "$";
    }
    state.pos += found.length;
    return true;
  });
  md.block.ruler.before(
    "fence",
    "math_block",
    (state, start, end, silent) => {
      const from = state.bMarks[start] + state.tShift[start];
      const found = blockMathAt(state.src, { from, end: state.eMarks[end - 1], closings: closingsOf(state) });
      if (!found) return false;
      if (silent) return true;
      const token = state.push("math", "math", 0);
      token.content = found.tex;
      token.markup = "$$";
      token.block = true;
      state.line = start + state.src.slice(from, from + found.length).split("\n").length;
      return true;
    },
    { alt: ["paragraph", "blockquote", "list"] },
  );
  md.renderer.rules.math = (tokens, index) => {
    const { content, markup } = tokens[index];
    return mathHtml(content, markup === "$$");
  };
}

interface Found {
  readonly tex: string;
  readonly display: boolean;
  /** Of the source that it takes. */
  readonly length: number;
}

/**
 * The formula that starts at `at`. A single dollar opens one only before a character that is not a space, and
 * closes it only after one and not before a digit: "$5 and $6" is money (pandoc's rule). No formula has an
 * unescaped dollar in it, so that each place is looked at once.
 */
function mathAt(source: string, at: number): Found | undefined {
  const display = source.startsWith("$$", at);
  const from = at + (display ? 2 : 1);
  const close = nextDollar(source, from);
  if (close === -1 || close === from) return undefined;
  const tex = source.slice(from, close);
  if (display) {
    return source[close + 1] === "$" ? { tex: tex.trim(), display, length: close + 2 - at } : undefined;
  }
  const isMoney = /^\s/.test(tex) || endsInSpace(tex) || /^\d$/.test(source.charAt(close + 1));
  return isMoney ? undefined : { tex, display, length: close + 1 - at };
}

/** A space after a backslash is TeX's own. */
function endsInSpace(tex: string): boolean {
  return /\s/.test(tex.charAt(tex.length - 1)) && tex.charAt(tex.length - 2) !== "\\";
}

/** The next dollar that is not escaped by a backslash; -1 when there is none. */
function nextDollar(source: string, from: number): number {
  for (let at = source.indexOf("$", from); at !== -1; at = source.indexOf("$", at + 1)) {
    let slashes = 0;
    while (at - slashes > from && source[at - slashes - 1] === "\\") slashes++;
    if (slashes % 2 === 0) return at;
  }
  return -1;
}

/** Possible ends of blocks of formulas, found once for a text: positions in order, by the opening mark. */
type Closings = ReadonlyMap<string, readonly number[]>;

interface MathState {
  readonly src: string;
  readonly env: unknown;
}

const closings = new WeakMap<object, { src: string; found: Closings }>();

function closingsOf({ src, env }: MathState): Closings {
  const key = env as object;
  const known = closings.get(key);
  if (known?.src === src) return known.found;
  const found = new Map<string, number[]>();
  for (const match of src.matchAll(/\$\$(?=[ \t]*(?:\n|$))|\\end\{([a-z]+\*?)\}/g)) {
    const kind = match[1] ?? "$$";
    const positions = found.get(kind);
    if (positions === undefined) found.set(kind, [match.index]);
    else positions.push(match.index);
  }
  closings.set(key, { src, found });
  return found;
}

/** The formula that a line starts with and that ends at a line's end, or with its environment. */
function blockMathAt(
  source: string,
  { from, end, closings }: { from: number; end: number; closings: Closings },
): Found | undefined {
  if (source.startsWith("$$", from)) {
    // With something between the dollars.
    const close = firstFrom(closings.get("$$"), from + 3);
    if (close === undefined || close + 2 > end) return undefined;
    const length = source.slice(close + 2, end).search(/[^ \t]|$/) + close + 2 - from;
    return { tex: source.slice(from + 2, close).trim(), display: true, length };
  }
  const begin = /\\begin\{([a-z]+\*?)\}/y;
  begin.lastIndex = from;
  const name = begin.exec(source)?.[1];
  const close = name === undefined ? undefined : firstFrom(closings.get(name), from);
  if (name === undefined || close === undefined) return undefined;
  const length = close + `\\end{${name}}`.length - from;
  return from + length > end ? undefined : { tex: source.slice(from, from + length), display: true, length };
}

/** The first of ascending positions that is not before `from`. */
function firstFrom(positions: readonly number[] = [], from: number): number | undefined {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positions[middle] < from) low = middle + 1;
    else high = middle;
  }
  return positions[low];
}

/**
 * Code points of each variant's letters in Unicode: its A, a and 0 (0 where it has none). Browsers follow
 * MathML Core, which knows no `mathvariant` but "normal", so the letters themselves must be of the variant.
 */
const variants: Readonly<Record<string, readonly [capital: number, small: number, digit: number]>> = {
  bold: [0x1d400, 0x1d41a, 0x1d7ce],
  "bold-italic": [0x1d468, 0x1d482, 0],
  script: [0x1d49c, 0x1d4b6, 0],
  fraktur: [0x1d504, 0x1d51e, 0],
  "double-struck": [0x1d538, 0x1d552, 0x1d7d8],
  "sans-serif": [0x1d5a0, 0x1d5ba, 0x1d7e2],
  monospace: [0x1d670, 0x1d68a, 0x1d7f6],
};

/** Letters that Unicode had before those blocks, whose places there are empty. */
const earlier: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  script: { B: "ℬ", E: "ℰ", F: "ℱ", H: "ℋ", I: "ℐ", L: "ℒ", M: "ℳ", R: "ℛ", e: "ℯ", g: "ℊ", o: "ℴ" },
  fraktur: { C: "ℭ", H: "ℌ", I: "ℑ", R: "ℜ", Z: "ℨ" },
  "double-struck": { C: "ℂ", H: "ℍ", N: "ℕ", P: "ℙ", Q: "ℚ", R: "ℝ", Z: "ℤ" },
};

function inVariant(text: string, variant: string): string {
  const [capital, small, digit] = own(variants, variant)!;
  return text.replace(/[A-Za-z0-9]/g, (c) => {
    const known = own(own(earlier, variant) ?? {}, c);
    if (known) return known;
    const code = c.charCodeAt(0);
    if (code >= 97) return String.fromCodePoint(small + code - 97);
    if (code >= 65) return String.fromCodePoint(capital + code - 65);
    return digit ? String.fromCodePoint(digit + code - 48) : c;
  });
}
