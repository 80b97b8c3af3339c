/** Formulas as MathML, which needs no fonts and no script. */
import katex from "katex";
import type { MarkdownIt } from "markdown-it";

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
      const rest = state.src.slice(from, state.eMarks[end - 1]);
      const found = blockMathAt(rest);
      if (!found) return false;
      if (silent) return true;
      const token = state.push("math", "math", 0);
      token.content = found.tex;
      token.markup = "$$";
      token.block = true;
      state.line = start + rest.slice(0, found.length).split("\n").length;
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
 * closes it only after one and not before a digit: "$5 and $6" is money (pandoc's rule).
 */
function mathAt(source: string, at: number): Found | undefined {
  const rest = source.slice(at, at + 10_000);
  const double = /^\$\$((?:\\[\s\S]|[^\\$])+)\$\$/.exec(rest);
  if (double) return { tex: double[1].trim(), display: true, length: double[0].length };
  const single = /^\$(?![\s$])((?:\\[\s\S]|[^\\$])*?(?:\\[\s\S]|[^\\$\s]))\$(?!\d)/.exec(rest);
  return single ? { tex: single[1], display: false, length: single[0].length } : undefined;
}

/** The formula that these lines start with and that ends at a line's end. */
function blockMathAt(source: string): Found | undefined {
  const dollars = /^\$\$([\s\S]+?)\$\$[ \t]*(?=\n|$)/.exec(source);
  if (dollars) return { tex: dollars[1].trim(), display: true, length: dollars[0].length };
  const begin = /^\\begin\{([a-z]+\*?)\}/.exec(source);
  if (!begin) return undefined;
  const end = `\\end{${begin[1]}}`;
  const at = source.indexOf(end);
  if (at < 0) return undefined;
  return { tex: source.slice(0, at + end.length), display: true, length: at + end.length };
}

/**
 * Where Unicode has the letters of each variant: its A, a and 0 (0 where it has none). Browsers follow MathML
 * Core, which knows no `mathvariant` but "normal", so the letters themselves must be of the variant.
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
  const [capital, small, digit] = variants[variant];
  return text.replace(/[A-Za-z0-9]/g, (c) => {
    const known = earlier[variant]?.[c];
    if (known) return known;
    const code = c.charCodeAt(0);
    if (code >= 97) return String.fromCodePoint(small + code - 97);
    if (code >= 65) return String.fromCodePoint(capital + code - 65);
    return digit ? String.fromCodePoint(digit + code - 48) : c;
  });
}
