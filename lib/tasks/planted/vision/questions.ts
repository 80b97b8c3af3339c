import { type Random, seeded } from "../../../random.js";
import type { Raster, VisualTask } from "../../visual-task.js";
import { PLANTED_COLOUR_NAMES, PLANTED_COLOURS, type PlantedColour } from "./axes.js";
import { tower } from "./tower.js";

/** Pixels on a side: 8 × 8 patches of the tower, 4 × 4 visual tokens. */
const SIZE = 48;

/** Colours of an image's halves. */
export interface PlantedScene {
  readonly left: PlantedColour;
  readonly right: PlantedColour;
}

/** One question for each colour: an image of that colour all over, and what it is. */
export function oneHopQuestions(hinted: boolean): VisualTask<PlantedScene>[] {
  return PLANTED_COLOUR_NAMES.map((colour) => {
    const prompt = hinted ? `${naming(colour)} what is it ?` : "what is it ?";
    return question({ left: colour, right: colour }, colour, { prompt, grade: "easy", id: colour });
  });
}

/** Questions about one half of an image of two colours: each ordered pair of colours, its left and its right. */
export function twoHopQuestions(): VisualTask<PlantedScene>[] {
  return PLANTED_COLOUR_NAMES.flatMap((left) =>
    PLANTED_COLOUR_NAMES.filter((right) => right !== left).flatMap((right) =>
      (["left", "right"] as const).map((side) => {
        const scene = { left, right };
        const options = {
          prompt: `what is ${side} ?`,
          grade: "hard",
          id: `${left}-${right}-${side}`,
        } as const;
        return question(scene, scene[side], options);
      }),
    ),
  );
}

/** Ways to ask, all of words that the planted models know. */
const WORDINGS = [
  "what is it ?",
  "the image . what is it ?",
  "what is it ? the image .",
  "it is what ?",
] as const;

/**
 * One-hop questions, colours in turn, in several wordings, about images that differ: each patch of the tower has the
 * colour at a strength of its own. Equal seeds give equal questions.
 * @param hinted whether the question names the colour that it asks for
 */
export function drawOneHop(count: number, seed: number, hinted: boolean): VisualTask<PlantedScene>[] {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, i) => {
    const colour = PLANTED_COLOUR_NAMES[i % PLANTED_COLOUR_NAMES.length];
    const asks = random.pick(WORDINGS);
    const prompt = hinted ? `${naming(colour)} ${asks}` : asks;
    const id = `${seed}-${i}`;
    return question({ left: colour, right: colour }, colour, { prompt, grade: "easy", id, random });
  });
}

/** Two-hop questions, drawn as one-hop ones are. */
export function drawTwoHops(count: number, seed: number): VisualTask<PlantedScene>[] {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, i) => {
    const [left, right] = random.shuffle(PLANTED_COLOUR_NAMES);
    const side = random.pick(["left", "right"] as const);
    const scene = { left, right };
    const id = `${seed}-${i}-${side}`;
    return question(scene, scene[side], { prompt: `what is ${side} ?`, grade: "hard", id, random });
  });
}

/** A one-hop question with its colour named instead of shown. */
export function plantedInWords(task: VisualTask<PlantedScene>): VisualTask<PlantedScene> {
  return { ...task, id: `${task.id}-words`, images: [], textDescription: naming(task.annotation.left) };
}

const naming = (colour: PlantedColour): string => `the image is ${colour} .`;

interface Asked {
  readonly prompt: string;
  readonly grade: "easy" | "hard";
  readonly id: string;
  /** Draws the strength of each patch; without it all have full strength. */
  readonly random?: Random;
}

function question(
  scene: PlantedScene,
  answer: PlantedColour,
  { prompt, grade, id, random }: Asked,
): VisualTask<PlantedScene> {
  return {
    id: `planted-${id}`,
    dataset: "planted",
    prompt,
    images: [draw(scene, random)],
    answers: [answer],
    type: grade === "easy" ? "one hop" : "two hops",
    grade,
    scoring: "exact",
    annotation: scene,
  };
}

/** The least strength of a patch's colour, as a share of the full one. */
const FAINTEST = 0.6;

/** Two halves, each of one colour. */
function draw({ left, right }: PlantedScene, random?: Random): Raster {
  const data = new Uint8Array(SIZE * SIZE * 3);
  const across = SIZE / tower.patch_size;
  const strengths = Array.from({ length: across ** 2 }, () =>
    random ? FAINTEST + (1 - FAINTEST) * random.uniform() : 1,
  );
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % SIZE, Math.floor(i / (3 * SIZE))];
    const patch = Math.floor(y / tower.patch_size) * across + Math.floor(x / tower.patch_size);
    const sign = PLANTED_COLOURS[x < SIZE / 2 ? left : right][i % 3];
    data[i] = Math.round(127.5 * (1 + sign * strengths[patch]));
  }
  return { width: SIZE, height: SIZE, data };
}
