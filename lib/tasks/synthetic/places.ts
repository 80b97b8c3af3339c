import type { Colour } from "../raster/paint.js";

/** Setting of a captioned image, and the things usually there. */
export interface Place {
  /** The upper third and the rest of the background. */
  readonly background: readonly [above: Colour, below: Colour];
  /** Things that come together: where the first is, the second most often is too. */
  readonly pairs: readonly (readonly [anchor: string, companion: string])[];
  readonly others: readonly string[];
}

/** Things that hang or fly in the upper third; everything else stands below. */
export const HIGH: ReadonlySet<string> = new Set(["sun", "cloud", "plane", "bird", "kite", "clock"]);

const SKY: Colour = [150, 206, 240];
const WALL: Colour = [240, 226, 200];

export const PLACES: Readonly<Record<string, Place>> = {
  beach: {
    background: [SKY, [240, 222, 160]],
    pairs: [
      ["umbrella", "chair"],
      ["palm", "crab"],
    ],
    others: ["sun", "ball", "man", "cloud"],
  },
  street: {
    background: [
      [196, 214, 226],
      [176, 178, 182],
    ],
    pairs: [
      ["bench", "bird"],
      ["house", "car"],
    ],
    others: ["man", "woman", "tree", "cloud"],
  },
  farm: {
    background: [SKY, [166, 206, 110]],
    pairs: [
      ["barn", "cow"],
      ["tractor", "dog"],
    ],
    others: ["sun", "duck", "tree", "woman"],
  },
  garden: {
    background: [SKY, [140, 200, 120]],
    pairs: [
      ["flower", "rabbit"],
      ["bench", "kite"],
    ],
    others: ["tree", "ball", "woman", "sun"],
  },
  kitchen: {
    background: [WALL, [206, 176, 150]],
    pairs: [
      ["table", "cup"],
      ["woman", "clock"],
    ],
    others: ["chair", "man", "fish", "flower"],
  },
  room: {
    background: [
      [216, 208, 232],
      [186, 154, 132],
    ],
    pairs: [
      ["chair", "book"],
      ["lamp", "clock"],
    ],
    others: ["dog", "ball", "table", "man"],
  },
  mountain: {
    background: [
      [186, 214, 236],
      [226, 232, 242],
    ],
    pairs: [
      ["pine", "snowman"],
      ["man", "sled"],
    ],
    others: ["house", "plane", "rabbit", "bird"],
  },
  lake: {
    background: [SKY, [110, 160, 220]],
    pairs: [
      ["boat", "man"],
      ["duck", "fish"],
    ],
    others: ["cloud", "plane", "house", "sun"],
  },
};
