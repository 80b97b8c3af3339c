import { COLOURS, SKIN } from "../raster/colours.js";
import { blank, type Colour, disc, paint, stroke } from "../raster/paint.js";
import type { Raster } from "../visual-task.js";
import { numerals, type SyntheticTask, wordSet } from "./synthetic-task.js";
import { type Drawing, draw, mirror } from "./things.js";

export type Counted = "fingers" | "apples" | "dots" | "stripes";

/** Several of one thing: the fingers of a hand, or what a row of other things counts as well. */
export interface CountScene {
  readonly counted: Counted;
  readonly count: number;
  readonly mirrored: boolean;
  /** Which skin, background and tint. */
  readonly look: number;
  /** Displacement of each thing, in steps; for a hand the first moves all of it, the others its fingers. */
  readonly nudges: readonly (readonly [x: number, y: number])[];
}

/** The most that is counted in training, so that six is an answer like any other. */
const MOST = 8;
const SKINS: readonly Colour[] = [SKIN, [198, 140, 100], [120, 78, 54], [222, 162, 132]];
const BACKGROUNDS: readonly Colour[] = [
  [200, 222, 236],
  [226, 236, 214],
  [240, 232, 222],
  [216, 210, 232],
];

/**
 * Hands and other countable things. In training a hand has five fingers always, while apples, dots and stripes come in
 * all numbers, six among them. `six`, a hand with six fingers, is never trained on: a model that counts says 6, one that
 * follows its prior says 5.
 */
export const hands: SyntheticTask<CountScene> = {
  name: "hands",
  minImageSize: 32,
  types: { fingers: "easy", apples: "medium", dots: "medium", stripes: "medium", what: "easy", six: "hard" },
  heldOutTypes: ["six"],
  scoring: () => "exact",
  vocabulary: wordSet(
    ...numerals(1, MOST),
    "how many fingers apples dots stripes are there? what is this? hand there are",
    "a hand with fingers.",
  ),

  scene(random, type) {
    const kinds: readonly Counted[] = ["fingers", "apples", "dots", "stripes"];
    const counted = type === "six" ? "fingers" : (kinds.find((kind) => kind === type) ?? random.pick(kinds));
    const count = type === "six" ? 6 : counted === "fingers" ? 5 : 1 + random.int(MOST);
    return {
      counted,
      count,
      mirrored: random.int(2) === 0,
      look: random.int(SKINS.length),
      nudges: Array.from({ length: count }, () => [random.int(9) - 4, random.int(9) - 4] as const),
    };
  },

  question({ counted, count }, type) {
    if (type === "what") return { prompt: "what is this?", answer: counted === "fingers" ? "hand" : counted };
    return { prompt: `how many ${counted} are there?`, answer: String(count) };
  },

  questionTypes: ({ counted, count }) => [counted === "fingers" && count !== 5 ? "six" : counted, "what"],
  category: ({ counted }) => (counted === "fingers" ? "hand" : counted),

  // Stripes move one way only, and fingers after the first only in length.
  imageContent: ({ counted, count, mirrored, look, nudges }) => [
    counted,
    count,
    mirrored,
    look,
    ...nudges.map(([x, y], i) => (counted === "stripes" ? x : counted === "fingers" && i > 0 ? y : [x, y])),
  ],

  render(scene, size): Raster {
    const raster = blank(size, size, BACKGROUNDS[scene.look]);
    if (scene.counted === "fingers") {
      const [x, y] = scene.nudges[0];
      const drawing = hand(
        scene.count,
        scene.nudges,
        SKINS[(scene.look + scene.count + x + 8) % SKINS.length],
      );
      const unit = size / 100;
      draw(raster, scene.mirrored ? mirror(drawing) : drawing, {
        left: x * unit,
        top: y * unit,
        width: size,
      });
      return raster;
    }
    if (scene.counted === "stripes") stripes(raster, scene, size);
    else spread(raster, scene, size);
    return raster;
  },

  textDescription: ({ counted, count }) =>
    counted === "fingers" ? `a hand with ${count} fingers.` : `there are ${count} ${counted}.`,
};

/** An open hand seen from its palm: a thumb at the left, the other fingers fanned out above. */
function hand(fingers: number, nudges: CountScene["nudges"], skin: Colour): Drawing {
  const upright = fingers - 1;
  const width = 0.46 / upright;
  const drawn = Array.from({ length: upright }, (_, i) => {
    const along = upright === 1 ? 0.5 : i / (upright - 1);
    const base: [number, number] = [0.34 + along * 0.42, 0.58];
    // The middle fingers are the longest, and each differs a little from hand to hand.
    const reach = 0.4 + 0.1 * Math.sin(Math.PI * (0.15 + 0.7 * along)) + nudges[i + 1][1] / 150;
    const tilt = (along - 0.45) * 0.44;
    const tip: [number, number] = [base[0] + tilt * reach * 1.5, base[1] - reach];
    return [stroke(width * 0.74, base, tip), skin] as const;
  });
  return [
    ...drawn,
    [stroke(0.13, [0.36, 0.76], [0.1, 0.52]), skin],
    [stroke(0.3, [0.44, 0.68], [0.66, 0.68]), skin],
    [stroke(0.28, [0.46, 0.76], [0.62, 0.76]), skin],
    [stroke(0.26, [0.54, 0.8], [0.54, 1.1]), skin],
  ];
}

const TINTS: readonly Colour[] = [COLOURS.blue, COLOURS.purple, COLOURS.black, COLOURS.green];

function stripes(raster: Raster, { count, look, mirrored, nudges }: CountScene, size: number): void {
  const step = size / count;
  for (let i = 0; i < count; i++) {
    const at = (i + 0.5) * step + (nudges[i][0] / 30) * step;
    const width = Math.max(1.5, Math.min(size * 0.1, step * 0.4));
    const ends: [[number, number], [number, number]] = mirrored
      ? [
          [at, size * 0.12],
          [at, size * 0.88],
        ]
      : [
          [size * 0.12, at],
          [size * 0.88, at],
        ];
    paint(raster, stroke(width, ...ends), TINTS[look]);
  }
}

/** Apples or dots in three rows of three, filled from a corner so that a number has more than one pattern. */
function spread(raster: Raster, { counted, count, look, mirrored, nudges }: CountScene, size: number): void {
  const cell = size / 3;
  for (let i = 0; i < count; i++) {
    const place = mirrored ? 8 - i : ORDER[i];
    const [x, y] = [(place % 3) + nudges[i][0] / 30, Math.floor(place / 3) + nudges[i][1] / 30];
    if (counted === "apples")
      draw(raster, APPLE, { left: (x + 0.15) * cell, top: (y + 0.15) * cell, width: cell * 0.7 });
    else paint(raster, disc((x + 0.5) * cell, (y + 0.5) * cell, cell * 0.3), TINTS[look]);
  }
}

const ORDER = [4, 0, 8, 2, 6, 1, 7, 3, 5];

const APPLE: Drawing = [
  [disc(0.34, 0.6, 0.3, 0.36), COLOURS.red],
  [disc(0.66, 0.6, 0.3, 0.36), COLOURS.red],
  [stroke(0.1, [0.5, 0.34], [0.56, 0.08]), [100, 60, 30]],
  [disc(0.74, 0.14, 0.16, 0.09), COLOURS.green],
];
