/** The fonts of drawn figures, and how large their text comes out. They come as packages: no machine has to have any. */
import { createRequire } from "node:module";
import { type Coverage, coverageOf, covers } from "./font-coverage.js";

const require = createRequire(import.meta.url);

type CanvasModule = typeof import("@napi-rs/canvas");

const REGULAR = "@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf";
const BOLD = "@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf";
/** Has a few mathematical signs that Inter lacks: ∈ ⊥ ∩ ∪ ∥. */
const SYMBOLS = "katex/dist/fonts/KaTeX_Main-Regular.ttf";
const SYMBOL_FAMILY = "KaTeX_Main";

/** Share of the font size above and below the baseline, from Inter's own tables. */
export const ASCENT = 0.96875;
export const DESCENT = 0.2412;

interface Fonts {
  readonly canvas: CanvasModule;
  readonly context: import("@napi-rs/canvas").SKRSContext2D;
  readonly inter: Coverage;
  readonly symbols: Coverage;
}

let loaded: Fonts | undefined;

/** The canvas package, with the fonts registered. */
export function canvasModule(): CanvasModule {
  return fonts().canvas;
}

/** Width of `text` in pixels. */
export function textWidth(text: string, size: number, bold = false): number {
  const { context } = fonts();
  context.font = `${bold ? 600 : 400} ${size}px Inter, ${SYMBOL_FAMILY}, sans-serif`;
  return context.measureText(text).width;
}

/**
 * `text` in pieces of one font each; `family` is left out for Inter's, and for characters that neither packaged
 * font has, for which the machine's own fonts are asked.
 */
export function piecesByFont(text: string): { text: string; family?: string }[] {
  if (text === "") return [];
  // Inter has all of ASCII, which is nearly all text.
  if (/^[ -~]*$/.test(text)) return [{ text }];
  const { inter, symbols } = fonts();
  const pieces: { text: string; family?: string }[] = [];
  for (const character of text) {
    const family = !covers(inter, character) && covers(symbols, character) ? SYMBOL_FAMILY : undefined;
    const last = pieces.at(-1);
    if (last && last.family === family) last.text += character;
    else pieces.push({ text: character, family });
  }
  return pieces;
}

function fonts(): Fonts {
  loaded ??= load();
  return loaded;
}

function load(): Fonts {
  const canvas = require("@napi-rs/canvas") as CanvasModule;
  for (const file of [REGULAR, BOLD]) canvas.GlobalFonts.registerFromPath(require.resolve(file), "Inter");
  canvas.GlobalFonts.registerFromPath(require.resolve(SYMBOLS), SYMBOL_FAMILY);
  return {
    canvas,
    context: canvas.createCanvas(1, 1).getContext("2d"),
    inter: coverageOf(require.resolve(REGULAR)),
    symbols: coverageOf(require.resolve(SYMBOLS)),
  };
}
