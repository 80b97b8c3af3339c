/** The font of drawn figures, and how large its text comes out. Inter comes as a package: no machine has to have fonts. */
import { createRequire } from "node:module";
import type { SKRSContext2D } from "@napi-rs/canvas";

const require = createRequire(import.meta.url);

export const FONT = "Inter";

/** Inter lacks a few mathematical signs (∈ ⊥ ∩ ∪ ∥), which KaTeX's main font has. */
export const fontFiles: readonly string[] = [
  "@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf",
  "@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf",
  "katex/dist/fonts/KaTeX_Main-Regular.ttf",
].map((file) => require.resolve(file));

/** Share of the font size above and below the baseline, from Inter's own tables. */
export const ASCENT = 0.96875;
export const DESCENT = 0.2412;

let context: SKRSContext2D | undefined;

/** Width of `text` in pixels. */
export function textWidth(text: string, size: number, bold = false): number {
  context ??= newContext();
  context.font = `${bold ? 600 : 400} ${size}px ${FONT}`;
  return context.measureText(text).width;
}

/**
 * Whether `text` has letters that the packaged fonts lack (Chinese, Arabic, emoji …), so that the machine's own
 * fonts have to be looked through. That takes long where there are many, so it is not done for every figure.
 */
export function needsSystemFonts(text: string): boolean {
  return /[^\s!-\u052f\u1e00-\u23ff\u25a0-\u27bf\u2900-\u2bff\ufb00-\ufb06\ufffd]/u.test(text);
}

function newContext(): SKRSContext2D {
  const { createCanvas, GlobalFonts } = require("@napi-rs/canvas") as typeof import("@napi-rs/canvas");
  for (const file of fontFiles) GlobalFonts.registerFromPath(file);
  return createCanvas(1, 1).getContext("2d");
}
