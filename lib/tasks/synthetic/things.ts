/** Small images of things, drawn in the unit square; `tint` is the colour of what can have several. */
import { BLACK, BROWN, COLOURS, GRAY, SKIN, WHITE } from "../raster/colours.js";
import {
  box,
  type Colour,
  disc,
  mirrored,
  paint,
  placed,
  polygon,
  type Region,
  slice,
  stroke,
  without,
} from "../raster/paint.js";
import type { Raster } from "../visual-task.js";

/** Regions with their colours, from the back to the front. */
export type Drawing = readonly (readonly [Region, Colour])[];

/** A box of an image, in pixels; a square where no height is given. */
export interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height?: number;
}

/** Puts a drawing into a box of an image; `opacity` below 1 makes it faint. */
export function draw(
  raster: Raster,
  drawing: Drawing,
  { left, top, width, height = width }: Place,
  opacity = 1,
): void {
  for (const [region, colour] of drawing)
    paint(raster, placed(region, left, top, width, height), colour, opacity);
}

/** The same drawing seen in a mirror. */
export function mirror(drawing: Drawing): Drawing {
  return drawing.map(([region, colour]) => [mirrored(region), colour] as const);
}

const { red, green, blue, yellow, orange, cyan } = COLOURS;

/** Things of any colour, by name. */
export const TINTED: Readonly<Record<string, (tint: Colour) => Drawing>> = {
  ball: (tint) => [
    [disc(0.5, 0.6, 0.36), tint],
    [stroke(0.1, [0.2, 0.5], [0.5, 0.64], [0.8, 0.5]), WHITE],
  ],
  boat: (tint) => [
    [box(0.47, 0.1, 0.07, 0.55), BROWN],
    [polygon([0.56, 0.1], [0.9, 0.55], [0.56, 0.55]), WHITE],
    [polygon([0.06, 0.62], [0.96, 0.62], [0.78, 0.94], [0.24, 0.94]), tint],
  ],
  umbrella: (tint) => [
    [box(0.46, 0.4, 0.08, 0.58), BROWN],
    [without(disc(0.5, 0.5, 0.48, 0.42), box(0, 0.5, 1, 1)), tint],
    [slice(0.5, 0.5, 0.42, 0.94, 1), WHITE],
    [slice(0.5, 0.5, 0.42, 0, 0.06), WHITE],
  ],
  car: (tint) => [
    [polygon([0.24, 0.5], [0.36, 0.26], [0.68, 0.26], [0.8, 0.5]), tint],
    [box(0.04, 0.48, 0.92, 0.28), tint],
    [box(0.38, 0.33, 0.28, 0.15), WHITE],
    [disc(0.26, 0.78, 0.15), BLACK],
    [disc(0.74, 0.78, 0.15), BLACK],
  ],
  house: (tint) => [
    [box(0.12, 0.44, 0.76, 0.54), [236, 214, 170]],
    [polygon([0.5, 0.04], [1, 0.48], [0, 0.48]), tint],
    [box(0.4, 0.64, 0.22, 0.34), BROWN],
  ],
  flower: (tint) => [
    [box(0.46, 0.5, 0.08, 0.48), green],
    [disc(0.5, 0.14, 0.14), tint],
    [disc(0.3, 0.3, 0.15), tint],
    [disc(0.7, 0.3, 0.15), tint],
    [disc(0.38, 0.52, 0.15), tint],
    [disc(0.62, 0.52, 0.15), tint],
    [disc(0.5, 0.34, 0.13), yellow],
  ],
  cup: (tint) => [
    [without(disc(0.74, 0.6, 0.2), disc(0.74, 0.6, 0.1)), tint],
    [box(0.18, 0.34, 0.54, 0.58), tint],
    [box(0.18, 0.34, 0.54, 0.09), WHITE],
  ],
  chair: (tint) => [
    [box(0.2, 0.06, 0.14, 0.92), tint],
    [box(0.2, 0.52, 0.6, 0.14), tint],
    [box(0.68, 0.52, 0.12, 0.46), tint],
    [box(0.2, 0.06, 0.3, 0.12), tint],
  ],
  kite: (tint) => [
    [stroke(0.05, [0.5, 0.6], [0.36, 0.8], [0.5, 0.98]), BLACK],
    [polygon([0.5, 0.02], [0.84, 0.34], [0.5, 0.72], [0.16, 0.34]), tint],
    [stroke(0.06, [0.5, 0.04], [0.5, 0.7]), WHITE],
  ],
  book: (tint) => [
    [polygon([0.02, 0.3], [0.5, 0.4], [0.5, 0.92], [0.02, 0.8]), tint],
    [polygon([0.98, 0.3], [0.5, 0.4], [0.5, 0.92], [0.98, 0.8]), tint],
    [polygon([0.08, 0.26], [0.48, 0.38], [0.48, 0.8], [0.08, 0.7]), WHITE],
    [polygon([0.92, 0.26], [0.52, 0.38], [0.52, 0.8], [0.92, 0.7]), WHITE],
  ],
};

/** Things of one colour, by name. */
export const PLAIN: Readonly<Record<string, Drawing>> = {
  sun: [
    ...Array.from({ length: 8 }, (_, i): readonly [Region, Colour] => {
      const angle = (i * Math.PI) / 4;
      const at = (r: number): [number, number] => [0.5 + r * Math.cos(angle), 0.5 + r * Math.sin(angle)];
      return [stroke(0.09, at(0.3), at(0.47)), orange];
    }),
    [disc(0.5, 0.5, 0.27), yellow],
  ],
  cloud: [
    [disc(0.28, 0.6, 0.22), WHITE],
    [disc(0.54, 0.46, 0.28), WHITE],
    [disc(0.76, 0.62, 0.2), WHITE],
    [box(0.28, 0.6, 0.5, 0.22), WHITE],
  ],
  tree: [
    [box(0.41, 0.56, 0.18, 0.42), BROWN],
    [disc(0.5, 0.36, 0.36), green],
  ],
  palm: [
    [stroke(0.12, [0.5, 0.96], [0.52, 0.6], [0.46, 0.3]), BROWN],
    [stroke(0.13, [0.46, 0.26], [0.2, 0.2], [0.06, 0.4]), green],
    [stroke(0.13, [0.46, 0.26], [0.74, 0.16], [0.92, 0.38]), green],
    [stroke(0.13, [0.46, 0.26], [0.4, 0.06]), green],
  ],
  bird: [
    [disc(0.46, 0.56, 0.28, 0.2), BLACK],
    [disc(0.74, 0.38, 0.15), BLACK],
    [polygon([0.86, 0.34], [1, 0.42], [0.86, 0.46]), orange],
    [polygon([0.3, 0.5], [0.02, 0.36], [0.12, 0.62]), BLACK],
    [disc(0.77, 0.35, 0.045), WHITE],
  ],
  fish: [
    [disc(0.44, 0.5, 0.36, 0.24), orange],
    [polygon([0.7, 0.5], [0.98, 0.24], [0.98, 0.76]), orange],
    [disc(0.24, 0.44, 0.06), BLACK],
  ],
  crab: [
    [disc(0.5, 0.62, 0.3, 0.2), red],
    [stroke(0.09, [0.24, 0.6], [0.08, 0.4]), red],
    [stroke(0.09, [0.76, 0.6], [0.92, 0.4]), red],
    [disc(0.1, 0.32, 0.12), red],
    [disc(0.9, 0.32, 0.12), red],
    [stroke(0.07, [0.3, 0.76], [0.18, 0.92]), red],
    [stroke(0.07, [0.7, 0.76], [0.82, 0.92]), red],
  ],
  man: [
    [disc(0.5, 0.18, 0.16), SKIN],
    [box(0.32, 0.34, 0.36, 0.34), blue],
    [box(0.33, 0.66, 0.14, 0.32), BLACK],
    [box(0.53, 0.66, 0.14, 0.32), BLACK],
  ],
  woman: [
    [disc(0.5, 0.2, 0.2), BROWN],
    [disc(0.5, 0.22, 0.14), SKIN],
    [polygon([0.5, 0.3], [0.86, 0.82], [0.14, 0.82]), red],
    [box(0.37, 0.8, 0.08, 0.18), SKIN],
    [box(0.55, 0.8, 0.08, 0.18), SKIN],
  ],
  dog: [
    [box(0.14, 0.42, 0.56, 0.26), BROWN],
    [box(0.16, 0.6, 0.1, 0.36), BROWN],
    [box(0.56, 0.6, 0.1, 0.36), BROWN],
    [disc(0.76, 0.36, 0.19), BROWN],
    [polygon([0.6, 0.2], [0.72, 0.22], [0.62, 0.5]), BLACK],
    [disc(0.93, 0.4, 0.06), BLACK],
    [stroke(0.08, [0.16, 0.46], [0.04, 0.24]), BROWN],
  ],
  cow: [
    [box(0.12, 0.34, 0.6, 0.34), WHITE],
    [box(0.16, 0.6, 0.1, 0.36), WHITE],
    [box(0.58, 0.6, 0.1, 0.36), WHITE],
    [disc(0.28, 0.46, 0.12), BLACK],
    [disc(0.54, 0.5, 0.11), BLACK],
    [box(0.7, 0.24, 0.24, 0.26), WHITE],
    [box(0.8, 0.42, 0.18, 0.14), [244, 164, 170]],
    [stroke(0.06, [0.72, 0.24], [0.68, 0.12]), GRAY],
    [stroke(0.06, [0.9, 0.24], [0.94, 0.12]), GRAY],
  ],
  duck: [
    [disc(0.46, 0.68, 0.38, 0.22), yellow],
    [disc(0.72, 0.36, 0.18), yellow],
    [polygon([0.86, 0.32], [1, 0.4], [0.86, 0.46]), orange],
    [disc(0.76, 0.32, 0.045), BLACK],
  ],
  lamp: [
    [box(0.46, 0.3, 0.08, 0.6), GRAY],
    [box(0.28, 0.88, 0.44, 0.08), GRAY],
    [polygon([0.32, 0.08], [0.68, 0.08], [0.84, 0.44], [0.16, 0.44]), yellow],
  ],
  table: [
    [box(0.04, 0.42, 0.92, 0.13), BROWN],
    [box(0.12, 0.54, 0.1, 0.42), BROWN],
    [box(0.78, 0.54, 0.1, 0.42), BROWN],
  ],
  clock: [
    [disc(0.5, 0.5, 0.42), BLACK],
    [disc(0.5, 0.5, 0.33), WHITE],
    [stroke(0.08, [0.5, 0.28], [0.5, 0.5], [0.68, 0.5]), BLACK],
  ],
  snowman: [
    [disc(0.5, 0.72, 0.26), WHITE],
    [disc(0.5, 0.36, 0.18), WHITE],
    [box(0.34, 0.04, 0.32, 0.18), BLACK],
    [disc(0.45, 0.34, 0.035), BLACK],
    [disc(0.57, 0.34, 0.035), BLACK],
    [polygon([0.52, 0.38], [0.74, 0.42], [0.52, 0.45]), orange],
  ],
  pine: [
    [box(0.44, 0.78, 0.12, 0.2), BROWN],
    [polygon([0.5, 0.02], [0.76, 0.44], [0.24, 0.44]), [26, 106, 60]],
    [polygon([0.5, 0.26], [0.88, 0.8], [0.12, 0.8]), [26, 106, 60]],
  ],
  sled: [
    [box(0.08, 0.52, 0.78, 0.14), red],
    [stroke(0.09, [0.08, 0.84], [0.86, 0.84], [0.96, 0.66]), BROWN],
    [box(0.2, 0.64, 0.08, 0.2), BROWN],
    [box(0.66, 0.64, 0.08, 0.2), BROWN],
  ],
  tractor: [
    [box(0.36, 0.4, 0.54, 0.28), green],
    [box(0.2, 0.16, 0.3, 0.3), cyan],
    [disc(0.28, 0.7, 0.26), BLACK],
    [disc(0.28, 0.7, 0.11), yellow],
    [disc(0.8, 0.8, 0.15), BLACK],
    [disc(0.8, 0.8, 0.06), yellow],
  ],
  barn: [
    [polygon([0.08, 0.44], [0.26, 0.1], [0.74, 0.1], [0.92, 0.44], [0.92, 0.98], [0.08, 0.98]), red],
    [box(0.34, 0.54, 0.32, 0.44), WHITE],
    [stroke(0.06, [0.34, 0.54], [0.66, 0.98]), red],
    [stroke(0.06, [0.66, 0.54], [0.34, 0.98]), red],
  ],
  bench: [
    [box(0.04, 0.3, 0.92, 0.12), BROWN],
    [box(0.04, 0.54, 0.92, 0.12), BROWN],
    [box(0.12, 0.3, 0.09, 0.66), BLACK],
    [box(0.79, 0.3, 0.09, 0.66), BLACK],
  ],
  plane: [
    [polygon([0.02, 0.24], [0.2, 0.46], [0.1, 0.5]), GRAY],
    [disc(0.52, 0.5, 0.44, 0.12), WHITE],
    [polygon([0.4, 0.5], [0.62, 0.5], [0.38, 0.92]), GRAY],
    [polygon([0.44, 0.46], [0.62, 0.46], [0.44, 0.14]), GRAY],
    [disc(0.84, 0.47, 0.05), blue],
  ],
  rabbit: [
    [disc(0.44, 0.72, 0.32, 0.24), [206, 196, 184]],
    [disc(0.72, 0.48, 0.17), [206, 196, 184]],
    [disc(0.66, 0.2, 0.06, 0.2), [206, 196, 184]],
    [disc(0.8, 0.2, 0.06, 0.2), [206, 196, 184]],
    [disc(0.1, 0.68, 0.1), WHITE],
    [disc(0.78, 0.45, 0.04), BLACK],
  ],
};
