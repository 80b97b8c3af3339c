import { own } from "../../own.js";
import type { Raster } from "../visual-task.js";
import { box, type Colour, type Region } from "./paint.js";

/** Height of a glyph, in dots; most are three wide. */
export const GLYPH_HEIGHT = 5;

/** Rows of dots, from the top, parted by spaces. */
const GLYPHS: Readonly<Record<string, string>> = {
  A: ".#. #.# ### #.# #.#",
  B: "##. #.# ##. #.# ##.",
  C: ".## #.. #.. #.. .##",
  D: "##. #.# #.# #.# ##.",
  E: "### #.. ##. #.. ###",
  F: "### #.. ##. #.. #..",
  G: ".### #... #.## #..# .###",
  H: "#.# #.# ### #.# #.#",
  I: "### .#. .#. .#. ###",
  J: "..# ..# ..# #.# .#.",
  K: "#..# #.#. ##.. #.#. #..#",
  L: "#.. #.. #.. #.. ###",
  M: "#...# ##.## #.#.# #...# #...#",
  N: "#..# ##.# #.## #..# #..#",
  O: ".##. #..# #..# #..# .##.",
  P: "##. #.# ##. #.. #..",
  Q: ".##. #..# #..# #.#. .#.#",
  R: "##. #.# ##. #.# #.#",
  S: ".## #.. .#. ..# ##.",
  T: "### .#. .#. .#. .#.",
  U: "#..# #..# #..# #..# .##.",
  V: "#.# #.# #.# #.# .#.",
  W: "#...# #...# #.#.# ##.## #...#",
  X: "#.# #.# .#. #.# #.#",
  Y: "#.# #.# .#. .#. .#.",
  Z: "### ..# .#. #.. ###",
  0: "### #.# #.# #.# ###",
  1: ".#. ##. .#. .#. ###",
  2: "##. ..# .#. #.. ###",
  3: "### ..# .## ..# ###",
  4: "#.# #.# ### ..# ..#",
  5: "### #.. ##. ..# ##.",
  6: ".## #.. ### #.# ###",
  7: "### ..# .#. .#. .#.",
  8: "### #.# ### #.# ###",
  9: "### #.# ### ..# ##.",
  "+": "... .#. ### .#. ...",
  "-": "... ... ### ... ...",
  "*": "... #.# .#. #.# ...",
  "/": "..#.. ..... ##### ..... ..#..",
  "=": "... ### ... ### ...",
  "?": "##. ..# .#. ... .#.",
  ":": ". # . # .",
  ".": ". . . . #",
  " ": ".. .. .. .. ..",
};

/** The characters that can be drawn; `/` is drawn as a division sign. */
export const DRAWABLE: string = Object.keys(GLYPHS).join("");

/** Width of a text in pixels, at `scale` pixels a dot, with one dot between glyphs. */
export function textWidth(text: string, scale = 1): number {
  const dots = [...text].reduce((sum, character) => sum + glyph(character)[0].length + 1, -1);
  return Math.max(0, dots) * scale;
}

/**
 * Writes upper-case text with its top left corner at (x, y), whole pixels a dot, so that no edge is blurred.
 * @returns where each character stands
 */
export function write(
  raster: Raster,
  text: string,
  [x, y]: readonly [number, number],
  colour: Colour,
  scale = 1,
): Region[] {
  let left = Math.round(x);
  const top = Math.round(y);
  return [...text].map((character) => {
    const rows = glyph(character);
    rows.forEach((row, j) => {
      [...row].forEach((dot, i) => {
        if (dot === "#") fill(raster, left + i * scale, top + j * scale, scale, colour);
      });
    });
    const place = box(left, top, rows[0].length * scale, GLYPH_HEIGHT * scale);
    left += (rows[0].length + 1) * scale;
    return place;
  });
}

/** Writes text around a point. */
export function writeCentred(
  raster: Raster,
  text: string,
  [x, y]: readonly [number, number],
  colour: Colour,
  scale = 1,
): Region[] {
  const corner = [x - textWidth(text, scale) / 2, y - (GLYPH_HEIGHT * scale) / 2] as const;
  return write(raster, text, corner, colour, scale);
}

function glyph(character: string): string[] {
  const rows = own(GLYPHS, character.toUpperCase());
  if (rows === undefined) throw new RangeError(`The pixel font has no "${character}".`);
  return rows.split(" ");
}

function fill(raster: Raster, left: number, top: number, side: number, colour: Colour): void {
  for (let y = Math.max(0, top); y < Math.min(raster.height, top + side); y++) {
    for (let x = Math.max(0, left); x < Math.min(raster.width, left + side); x++) {
      raster.data.set(colour, (y * raster.width + x) * 3);
    }
  }
}
