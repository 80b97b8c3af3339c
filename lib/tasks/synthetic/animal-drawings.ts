import { BLACK, COLOURS, WHITE } from "../raster/colours.js";
import { box, type Colour, disc, type Point, polygon, type Region, stroke, within } from "../raster/paint.js";
import type { Drawing } from "./things.js";

type Part = readonly [Region, Colour];

const TAN: Colour = [214, 176, 116];
const WOOL: Colour = [240, 236, 226];
const CREAM: Colour = [232, 214, 182];
const CHESTNUT: Colour = [140, 86, 46];
const DARK: Colour = [92, 58, 36];
const WOLF: Colour = [130, 134, 142];
const WET: Colour = [120, 82, 54];
const SEAL: Colour = [104, 106, 114];
const GINGER: Colour = [232, 142, 60];
const WATER: Colour = [86, 146, 206];
const PINK: Colour = [240, 160, 160];

const BODY = disc(0.42, 0.56, 0.3, 0.18);
const eye = (x: number, y: number): Part => [disc(x, y, 0.032), BLACK];

/** Four legs, a body and a head that looks to the right. */
const beast = (coat: Colour, head: Region): Part[] => [
  ...[0.18, 0.3, 0.54, 0.64].map((x): Part => [box(x, 0.62, 0.075, 0.3), coat]),
  [BODY, coat],
  [head, coat],
];

const roundHead = disc(0.74, 0.38, 0.17);
const pointedEars = (coat: Colour, tip: Colour = coat): Part[] => [
  [polygon([0.58, 0.32], [0.62, 0.1], [0.73, 0.26]), coat],
  [polygon([0.76, 0.26], [0.86, 0.1], [0.9, 0.32]), coat],
  [polygon([0.6, 0.2], [0.62, 0.04], [0.66, 0.18]), tip],
  [polygon([0.82, 0.18], [0.87, 0.04], [0.88, 0.2]), tip],
];
const tail = (width: number, coat: Colour, ...points: readonly Point[]): Part => [
  stroke(width, ...points),
  coat,
];
const bars = (region: Region, colour: Colour, xs: readonly number[], top: number, bottom: number): Part[] =>
  xs.map((x) => [within(stroke(0.05, [x, top], [x - 0.04, bottom]), region), colour]);
const spots = (colour: Colour): Part[] =>
  [
    [0.24, 0.52],
    [0.36, 0.6],
    [0.44, 0.48],
    [0.56, 0.58],
  ].map(([x, y]) => [disc(x, y, 0.04), colour]);

/** A long neck and head, for horse and zebra. */
const neck = polygon([0.54, 0.52], [0.7, 0.22], [0.82, 0.26], [0.7, 0.64]);
const muzzle = polygon([0.68, 0.2], [0.8, 0.16], [0.98, 0.38], [0.9, 0.46], [0.72, 0.34]);
const equine = (coat: Colour, mane: Colour): Part[] => [
  tail(0.09, mane, [0.14, 0.5], [0.06, 0.82]),
  ...beast(coat, neck),
  [muzzle, coat],
  [stroke(0.08, [0.54, 0.44], [0.68, 0.18]), mane],
  [polygon([0.7, 0.2], [0.72, 0.08], [0.78, 0.18]), coat],
  eye(0.8, 0.27),
];

/** Floating low in the water. */
const swimmer = (coat: Colour, ...parts: readonly Part[]): Part[] => [
  [box(0, 0.64, 1, 0.36), WATER],
  ...parts,
  [disc(0.46, 0.62, 0.34, 0.13), coat],
  [disc(0.78, 0.46, 0.15), coat],
  [stroke(0.2, [0.68, 0.6], [0.76, 0.48]), coat],
  [box(0, 0.72, 1, 0.28), WATER],
  [stroke(0.03, [0.04, 0.82], [0.3, 0.82]), WHITE],
  [stroke(0.03, [0.5, 0.9], [0.8, 0.9]), WHITE],
];

const hopper = (coat: Colour, tip: Colour, reach: number): Part[] => [
  [disc(0.4, 0.66, 0.28, 0.22), coat],
  [disc(0.68, 0.48, 0.15), coat],
  [disc(0.62, 0.48 - reach, 0.05, reach * 0.72), coat],
  [disc(0.76, 0.48 - reach, 0.05, reach * 0.72), coat],
  [disc(0.62, 0.48 - reach * 1.45, 0.05, reach * 0.24), tip],
  [disc(0.76, 0.48 - reach * 1.45, 0.05, reach * 0.24), tip],
  [disc(0.12, 0.66, 0.08), WHITE],
  [stroke(0.1, [0.3, 0.88], [0.48, 0.88]), coat],
  [stroke(0.09, [0.6, 0.86], [0.68, 0.86]), coat],
  [stroke(0.12, [0.58, 0.62], [0.62, 0.84]), coat],
  eye(0.73, 0.45),
];

const fowl = (body: Colour, head: Colour, bill: Colour, top: number): Part[] => [
  [disc(0.42, 0.64, 0.32, 0.2), body],
  [polygon([0.16, 0.6], [0.02, 0.44], [0.2, 0.5]), body],
  [stroke(0.12, [0.64, 0.6], [0.68, top + 0.08]), head],
  [disc(0.7, top + 0.06, 0.11), head],
  [polygon([0.79, top], [0.96, top + 0.07], [0.79, top + 0.13]), bill],
  [stroke(0.05, [0.38, 0.82], [0.38, 0.95]), bill],
  [stroke(0.05, [0.5, 0.82], [0.5, 0.95]), bill],
  [disc(0.73, top + 0.03, 0.028), BLACK],
];

/** Each looks like one other; a detail or two tells them apart. */
export const ANIMALS: Readonly<Record<string, Drawing>> = {
  cat: [
    tail(0.08, GINGER, [0.14, 0.54], [0.05, 0.3], [0.14, 0.16]),
    ...beast(GINGER, roundHead),
    ...pointedEars(GINGER),
    eye(0.68, 0.36),
    eye(0.82, 0.36),
    [disc(0.75, 0.44, 0.03), PINK],
  ],
  lynx: [
    tail(0.11, TAN, [0.14, 0.52], [0.08, 0.46]),
    ...beast(TAN, roundHead),
    ...spots(DARK),
    ...pointedEars(TAN, BLACK),
    eye(0.68, 0.36),
    eye(0.82, 0.36),
    [disc(0.75, 0.44, 0.03), BLACK],
  ],
  dog: [
    tail(0.08, CHESTNUT, [0.14, 0.5], [0.04, 0.28]),
    ...beast(CHESTNUT, roundHead),
    [box(0.78, 0.38, 0.18, 0.13), CHESTNUT],
    [disc(0.62, 0.4, 0.07, 0.16), DARK],
    [disc(0.95, 0.41, 0.04), BLACK],
    eye(0.78, 0.33),
  ],
  wolf: [
    tail(0.15, WOLF, [0.16, 0.54], [0.06, 0.78]),
    ...beast(WOLF, roundHead),
    [box(0.78, 0.38, 0.18, 0.11), WOLF],
    [polygon([0.6, 0.3], [0.64, 0.08], [0.74, 0.24]), WOLF],
    [polygon([0.74, 0.24], [0.82, 0.08], [0.86, 0.3]), WOLF],
    [disc(0.95, 0.41, 0.04), BLACK],
    eye(0.78, 0.34),
  ],
  horse: equine(CHESTNUT, BLACK),
  zebra: [
    ...equine(WOOL, BLACK),
    ...bars(BODY, BLACK, [0.22, 0.34, 0.46, 0.58], 0.36, 0.76),
    ...bars(neck, BLACK, [0.68, 0.76], 0.3, 0.6),
  ],
  lion: [
    tail(0.06, TAN, [0.14, 0.54], [0.04, 0.36]),
    [disc(0.05, 0.32, 0.06), DARK],
    ...beast(TAN, disc(0.72, 0.4, 0.01)),
    [disc(0.73, 0.4, 0.25), CHESTNUT],
    [disc(0.75, 0.4, 0.15), TAN],
    eye(0.7, 0.37),
    eye(0.82, 0.37),
    [disc(0.77, 0.45, 0.035), BLACK],
  ],
  tiger: [
    tail(0.07, GINGER, [0.14, 0.54], [0.04, 0.34]),
    ...beast(GINGER, disc(0.74, 0.4, 0.18)),
    ...bars(BODY, BLACK, [0.22, 0.34, 0.46, 0.58], 0.36, 0.76),
    [disc(0.62, 0.24, 0.06), GINGER],
    [disc(0.86, 0.24, 0.06), GINGER],
    [stroke(0.04, [0.74, 0.22], [0.74, 0.32]), BLACK],
    eye(0.68, 0.38),
    eye(0.82, 0.38),
    [disc(0.76, 0.46, 0.035), BLACK],
  ],
  otter: swimmer(
    WET,
    tail(0.09, WET, [0.16, 0.62], [0.02, 0.48]),
    [disc(0.68, 0.36, 0.05), WET],
    [disc(0.88, 0.36, 0.05), WET],
    [stroke(0.09, [0.5, 0.58], [0.52, 0.36]), WET],
  ).concat([[disc(0.84, 0.51, 0.08, 0.06), CREAM], [disc(0.9, 0.49, 0.035), BLACK], eye(0.8, 0.42)]),
  seal: swimmer(
    SEAL,
    tail(0.12, SEAL, [0.16, 0.62], [0.03, 0.5]),
    tail(0.12, SEAL, [0.16, 0.62], [0.04, 0.66]),
  ).concat([
    [polygon([0.42, 0.6], [0.6, 0.62], [0.44, 0.84]), SEAL],
    [disc(0.92, 0.47, 0.035), BLACK],
    eye(0.8, 0.42),
  ]),
  sheep: [
    ...[0.2, 0.54].map((x): Part => [box(x, 0.66, 0.08, 0.26), BLACK]),
    ...[0.18, 0.32, 0.46, 0.58].map((x): Part => [disc(x, 0.48, 0.15), WOOL]),
    ...[0.2, 0.36, 0.52].map((x): Part => [disc(x, 0.62, 0.15), WOOL]),
    [disc(0.76, 0.44, 0.13, 0.16), BLACK],
    [disc(0.76, 0.3, 0.11), WOOL],
    [disc(0.8, 0.42, 0.03), WHITE],
  ],
  goat: [
    tail(0.08, CREAM, [0.14, 0.5], [0.08, 0.36]),
    ...beast(CREAM, disc(0.76, 0.42, 0.13, 0.16)),
    [stroke(0.06, [0.72, 0.28], [0.66, 0.06]), DARK],
    [stroke(0.06, [0.8, 0.28], [0.84, 0.06]), DARK],
    [polygon([0.74, 0.56], [0.86, 0.56], [0.82, 0.74]), DARK],
    eye(0.8, 0.4),
  ],
  rabbit: hopper([224, 218, 210], PINK, 0.24),
  hare: hopper([158, 116, 70], BLACK, 0.28),
  duck: fowl(CHESTNUT, COLOURS.green, COLOURS.yellow, 0.34),
  goose: fowl(WOOL, WOOL, COLOURS.orange, 0.1),
};

/** Animals that are easily taken for one another. */
export const LOOK_ALIKES: readonly (readonly [string, string])[] = [
  ["cat", "lynx"],
  ["dog", "wolf"],
  ["horse", "zebra"],
  ["lion", "tiger"],
  ["otter", "seal"],
  ["sheep", "goat"],
  ["rabbit", "hare"],
  ["duck", "goose"],
];
