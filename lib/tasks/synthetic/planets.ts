import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { COLOURS, GRAY, mixed, WHITE } from "../raster/colours.js";
import {
  blank,
  box,
  type Colour,
  disc,
  mark,
  paint,
  polygon,
  type Region,
  stroke,
  within,
  without,
} from "../raster/paint.js";
import type { Raster } from "../visual-task.js";
import { listed, type Question, type SyntheticTask, withArticle, wordSet } from "./synthetic-task.js";
import { type Drawing, draw } from "./things.js";

/** A planet in the night sky, most often with something beside it. */
export interface PlanetScene {
  readonly planet: string;
  /** A thing that flies beside it, or `nothing`. */
  readonly beside: string;
  /** Centre and radius of the planet in hundredths of the image's side. */
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** Stars, in hundredths of the side. */
  readonly stars: readonly (readonly [x: number, y: number])[];
}

interface Planet {
  readonly colour: string;
  readonly look: Drawing;
  /** Thing most often seen beside it. */
  readonly associate: string;
  readonly ringed?: boolean;
}

const globe = disc(0.5, 0.5, 0.5);
const on = (region: Region): Region => within(region, globe);
const spot = (x: number, y: number, r: number, ry = r): Region => on(disc(x, y, r, ry));
const band = (y: number, height: number): Region => on(box(0, y, 1, height));

const PLANETS: Readonly<Record<string, Planet>> = {
  mercury: {
    colour: "gray",
    associate: "probe",
    look: [
      [globe, [140, 136, 132]],
      [spot(0.32, 0.36, 0.13), [98, 94, 92]],
      [spot(0.66, 0.6, 0.16), [98, 94, 92]],
      [spot(0.62, 0.24, 0.08), [98, 94, 92]],
      [spot(0.3, 0.72, 0.09), [98, 94, 92]],
    ],
  },
  venus: {
    colour: "yellow",
    associate: "star",
    look: [
      [globe, [238, 208, 120]],
      [on(stroke(0.08, [0, 0.4], [0.4, 0.28], [1, 0.42])), [252, 236, 180]],
      [on(stroke(0.08, [0, 0.7], [0.5, 0.58], [1, 0.74])), [252, 236, 180]],
    ],
  },
  earth: {
    colour: "blue",
    associate: "moon",
    look: [
      [globe, [40, 110, 220]],
      [spot(0.34, 0.36, 0.2, 0.18), [50, 160, 70]],
      [spot(0.66, 0.64, 0.2, 0.16), [50, 160, 70]],
      [band(0, 0.1), WHITE],
      [band(0.92, 0.1), WHITE],
    ],
  },
  mars: {
    colour: "red",
    associate: "rocket",
    look: [
      [globe, [206, 78, 44]],
      [spot(0.36, 0.54, 0.18, 0.12), [160, 52, 32]],
      [spot(0.7, 0.36, 0.12), [160, 52, 32]],
      [band(0, 0.09), WHITE],
    ],
  },
  jupiter: {
    colour: "orange",
    associate: "comet",
    look: [
      [globe, [232, 196, 150]],
      [band(0.16, 0.12), [186, 122, 76]],
      [band(0.4, 0.12), [186, 122, 76]],
      [band(0.66, 0.12), [186, 122, 76]],
      [spot(0.66, 0.62, 0.16, 0.11), [204, 64, 40]],
    ],
  },
  saturn: {
    colour: "yellow",
    associate: "probe",
    ringed: true,
    look: [
      [globe, [236, 214, 150]],
      [band(0.3, 0.12), [210, 180, 116]],
    ],
  },
  uranus: {
    colour: "cyan",
    associate: "star",
    look: [[globe, [150, 226, 230]]],
  },
  neptune: {
    colour: "blue",
    associate: "comet",
    look: [
      [globe, [44, 66, 190]],
      [on(stroke(0.07, [0.16, 0.34], [0.6, 0.34])), WHITE],
      [spot(0.62, 0.62, 0.14, 0.09), [24, 34, 120]],
    ],
  },
};

const BESIDE: Readonly<Record<string, Drawing>> = {
  rocket: [
    [polygon([0.5, 0], [0.72, 0.3], [0.72, 0.78], [0.28, 0.78], [0.28, 0.3]), WHITE],
    [polygon([0.28, 0.5], [0.28, 0.86], [0.06, 0.92]), COLOURS.red],
    [polygon([0.72, 0.5], [0.72, 0.86], [0.94, 0.92]), COLOURS.red],
    [disc(0.5, 0.38, 0.12), COLOURS.blue],
    [polygon([0.38, 0.78], [0.62, 0.78], [0.5, 1]), COLOURS.orange],
  ],
  moon: [[without(disc(0.5, 0.5, 0.42), disc(0.72, 0.4, 0.38)), [236, 232, 210]]],
  star: [
    [
      polygon([0.5, 0], [0.6, 0.4], [1, 0.5], [0.6, 0.6], [0.5, 1], [0.4, 0.6], [0, 0.5], [0.4, 0.4]),
      [255, 244, 180],
    ],
  ],
  comet: [
    [polygon([0.02, 0.02], [0.86, 0.56], [0.56, 0.86]), mixed(COLOURS.cyan, WHITE, 0.4)],
    [disc(0.74, 0.74, 0.2), WHITE],
  ],
  probe: [
    [box(0.36, 0.34, 0.28, 0.32), [214, 190, 90]],
    [box(0, 0.4, 0.3, 0.2), COLOURS.blue],
    [box(0.7, 0.4, 0.3, 0.2), COLOURS.blue],
    [disc(0.5, 0.2, 0.14, 0.1), GRAY],
  ],
};

const NIGHT: Colour = [14, 16, 36];
const NAMES = Object.keys(PLANETS);
/** Probability that a planet's own associate is beside it; otherwise anything or nothing. */
const OWN = 0.7;

/** Planets: name them, tell two apart, and say what is beside them, which for each is most often one thing. */
export const planets: SyntheticTask<PlanetScene> = {
  name: "planets",
  minImageSize: 32,
  types: { name: "easy", choose: "medium", color: "easy", beside: "medium" },
  scoring: () => "exact",
  vocabulary: wordSet(
    ...NAMES,
    ...Object.values(PLANETS).map(({ colour }) => colour),
    ...Object.keys(BESIDE),
    "this is the planet is this or? what color is the planet? what is beside the planet? nothing",
    "a an planet with spot spots bands clouds land ice and no marks ring. beside it.",
  ),

  scene(random) {
    const planet = random.pick(NAMES);
    const isAssociate = random.uniform() < OWN;
    const beside = isAssociate
      ? own(PLANETS, planet)!.associate
      : random.pick([...Object.keys(BESIDE), "nothing"]);
    return {
      planet,
      beside,
      x: 36 + random.int(9),
      y: 56 + random.int(9),
      radius: 24 + random.int(8),
      stars: Array.from({ length: 6 }, () => [random.int(100), random.int(100)] as const),
    };
  },

  question: (scene, type, random) => own(ASK, type)!(scene, random),
  questionTypes: () => Object.keys(ASK),
  category: ({ planet }) => planet,

  render({ planet, beside, x, y, radius, stars }, size): Raster {
    const raster = blank(size, size, NIGHT);
    const unit = size / 100;
    const dot = Math.max(1, Math.floor(size / 48));
    for (const [sx, sy] of stars)
      paint(raster, box(Math.floor(sx * unit), Math.floor(sy * unit), dot, dot), GRAY);
    const { look, ringed } = own(PLANETS, planet)!;
    const [left, top, side] = [(x - radius) * unit, (y - radius) * unit, 2 * radius * unit];
    if (ringed) paint(raster, ring(x * unit, y * unit, radius * unit), [196, 170, 120]);
    draw(raster, look, { left, top, width: side });
    if (ringed) {
      const front = within(ring(x * unit, y * unit, radius * unit), box(0, y * unit, size, size));
      paint(raster, front, [196, 170, 120]);
    }
    mark(raster, disc(x * unit, y * unit, radius * unit), [planet, own(PLANETS, planet)!.colour]);
    if (beside !== "nothing") {
      draw(raster, own(BESIDE, beside)!, { left: 66 * unit, top: 3 * unit, width: 30 * unit });
      mark(raster, box(66 * unit, 3 * unit, 30 * unit, 30 * unit), [beside]);
    }
    return raster;
  },

  textDescription({ planet, beside }) {
    const other = beside === "nothing" ? beside : withArticle(beside);
    return `${withArticle(own(PLANETS, planet)!.colour)} planet with ${own(MARKS, planet)}. ${other} beside it.`;
  },
};

/** Marks that tell a planet from another of its colour, in words. */
const MARKS: Readonly<Record<string, string>> = {
  mercury: "spots",
  venus: "clouds",
  earth: listed(["land", "ice"]),
  mars: listed(["spots", "ice"]),
  jupiter: listed(["bands", "a spot"]),
  saturn: "a ring",
  uranus: "no marks",
  neptune: listed(["clouds", "a spot"]),
};

/** A tilted ring as a flattened one, wider than the globe. */
function ring(x: number, y: number, radius: number): Region {
  return without(disc(x, y, radius * 1.5, radius * 0.42), disc(x, y, radius * 1.18, radius * 0.24));
}

const ASK: Readonly<Record<string, (scene: PlanetScene, random: Random) => Question>> = {
  name: ({ planet }) => ({ prompt: "this is the planet", answer: planet }),
  choose({ planet }, random) {
    const other = random.pick(NAMES.filter((name) => name !== planet));
    return { prompt: `is this ${random.shuffle([planet, other]).join(" or ")}?`, answer: planet };
  },
  color: ({ planet }) => ({ prompt: "what color is the planet?", answer: own(PLANETS, planet)!.colour }),
  beside: ({ beside }) => ({ prompt: "what is beside the planet?", answer: beside }),
};
