import type { Raster, VisualTask } from "../../visual-task.js";
import { PLANTED_COLOUR_NAMES, PLANTED_COLOURS, type PlantedColour } from "./axes.js";

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
    const prompt = hinted ? `the image is ${colour} . what is it ?` : "what is it ?";
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

function question(
  scene: PlantedScene,
  answer: PlantedColour,
  { prompt, grade, id }: { readonly prompt: string; readonly grade: "easy" | "hard"; readonly id: string },
): VisualTask<PlantedScene> {
  return {
    id: `planted-${id}`,
    dataset: "planted",
    prompt,
    images: [draw(scene)],
    answers: [answer],
    type: grade === "easy" ? "one hop" : "two hops",
    grade,
    scoring: "exact",
    annotation: scene,
  };
}

/** Two halves, each of one colour of full strength. */
function draw({ left, right }: PlantedScene): Raster {
  const data = new Uint8Array(SIZE * SIZE * 3);
  for (let i = 0; i < data.length; i++) {
    const x = Math.floor(i / 3) % SIZE;
    data[i] = PLANTED_COLOURS[x < SIZE / 2 ? left : right][i % 3] > 0 ? 255 : 0;
  }
  return { width: SIZE, height: SIZE, data };
}
