import type { Colour } from "./paint.js";

/** Colours that shapes are drawn in. */
export type ColourName = "red" | "green" | "blue" | "yellow" | "purple" | "orange" | "cyan" | "black";

/** Colours that a person tells apart at a few pixels, by the word that names each. */
export const COLOURS: Readonly<Record<ColourName, Colour>> = {
  red: [214, 40, 40],
  green: [44, 160, 60],
  blue: [42, 84, 216],
  yellow: [242, 212, 40],
  purple: [146, 52, 190],
  orange: [246, 140, 30],
  cyan: [64, 204, 222],
  black: [24, 24, 28],
};

export const COLOUR_NAMES: readonly ColourName[] = Object.keys(COLOURS) as ColourName[];

export const WHITE: Colour = [255, 255, 255];
export const BLACK: Colour = COLOURS.black;
export const GRAY: Colour = [150, 152, 156];
export const LIGHT: Colour = [222, 224, 228];
export const BROWN: Colour = [132, 84, 44];
export const SKIN: Colour = [232, 184, 148];

/** Black or white, whichever is read better on a colour. */
export function inkOn([r, g, b]: Colour): Colour {
  return 0.3 * r + 0.59 * g + 0.11 * b > 140 ? BLACK : WHITE;
}

/** A colour moved towards another by a share of the way. */
export function mixed(from: Colour, to: Colour, share: number): Colour {
  return [0, 1, 2].map((c) => Math.round(from[c] + (to[c] - from[c]) * share)) as unknown as Colour;
}
