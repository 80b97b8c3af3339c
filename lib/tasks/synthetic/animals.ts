import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { blank, box, type Colour, mark } from "../raster/paint.js";
import type { Raster } from "../visual-task.js";
import { ANIMALS, LOOK_ALIKES } from "./animal-drawings.js";
import { type Question, type SyntheticTask, withArticle, wordSet } from "./synthetic-task.js";
import { draw, mirror } from "./things.js";

export interface AnimalScene {
  readonly animal: string;
  readonly mirrored: boolean;
  /** Side of the animal's box, and its top left corner, in hundredths of the image's side. */
  readonly side: number;
  readonly x: number;
  readonly y: number;
  readonly background: number;
}

const NAMES = Object.keys(ANIMALS);
const BACKGROUNDS: readonly Colour[] = [
  [176, 208, 150],
  [206, 226, 240],
  [226, 214, 180],
  [200, 206, 214],
];

/** Animals, each with a near look-alike: name it, or say which of the two it is. */
export const animals: SyntheticTask<AnimalScene> = {
  name: "animals",
  minImageSize: 32,
  types: { name: "easy", verify: "easy", choose: "hard" },
  scoring: () => "exact",
  vocabulary: wordSet(...NAMES, "what animal is this? is this a or a an yes no. this is a"),

  scene(random) {
    const side = 76 + random.int(21);
    return {
      animal: random.pick(NAMES),
      mirrored: random.int(2) === 0,
      side,
      x: random.int(101 - side),
      y: random.int(101 - side),
      background: random.int(BACKGROUNDS.length),
    };
  },

  question: (scene, type, random) => own(ASK, type)!(scene, random),
  questionTypes: () => Object.keys(ASK),
  category: ({ animal }) => animal,

  render({ animal, mirrored, side, x, y, background }, size): Raster {
    const raster = blank(size, size, BACKGROUNDS[background]);
    const drawing = mirrored ? mirror(ANIMALS[animal]) : ANIMALS[animal];
    const unit = size / 100;
    draw(raster, drawing, { left: x * unit, top: y * unit, width: side * unit });
    mark(raster, box(x * unit, y * unit, side * unit, side * unit), [animal]);
    return raster;
  },

  textDescription: ({ animal }) => `this is ${withArticle(animal)}.`,
};

/** The animal that is easily taken for this one. */
export function lookAlike(animal: string): string {
  const pair = LOOK_ALIKES.find((names) => names.includes(animal)) ?? [animal, animal];
  return pair[0] === animal ? pair[1] : pair[0];
}

const ASK: Readonly<Record<string, (scene: AnimalScene, random: Random) => Question>> = {
  name: ({ animal }) => ({ prompt: "what animal is this?", answer: animal }),
  verify({ animal }, random) {
    const yes = random.int(2) === 0;
    const asked = yes
      ? animal
      : random.pick([lookAlike(animal), random.pick(NAMES.filter((n) => n !== animal))]);
    return { prompt: `is this ${withArticle(asked)}?`, answer: yes ? "yes" : "no" };
  },
  choose({ animal }, random) {
    const [first, second] = random.shuffle([animal, lookAlike(animal)]).map(withArticle);
    return { prompt: `is this ${first} or ${second}?`, answer: animal };
  },
};
