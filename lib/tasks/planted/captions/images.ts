import { seeded } from "../../../random.js";
import type { AmberAnnotation } from "../../scoring/amber.js";
import type { Raster, VisualTask } from "../../visual-task.js";
import { PLANTED_COLOUR_NAMES, PLANTED_COLOURS, type PlantedColour } from "../vision/axes.js";

/** Pixels on a side: 8 × 8 patches of the tower. */
const SIZE = 48;
/** Strength of a colour: ends of the range of the faint ones and of the full ones. */
const FAINT = [0.3, 0.45] as const;
const FULL = [0.95, 1] as const;

/** Images of one colour all over, other than the expected one, every second of them faint. */
export function drawColours(
  count: number,
  seed: number,
  expected: PlantedColour,
): VisualTask<AmberAnnotation>[] {
  const random = seeded(seed);
  const colours = PLANTED_COLOUR_NAMES.filter((name) => name !== expected);
  return Array.from({ length: count }, (_, i) => {
    const colour = random.pick(colours);
    const [low, high] = i % 2 === 0 ? FAINT : FULL;
    return {
      id: `planted-caption-${i}`,
      dataset: "planted captions",
      prompt: "",
      images: [paint(colour, low + (high - low) * random.uniform())],
      answers: [],
      type: "caption",
      scoring: "amber",
      annotation: { truth: [colour], hallu: [expected] },
    };
  });
}

function paint(colour: PlantedColour, strength: number): Raster {
  const pixel = PLANTED_COLOURS[colour].map((sign) => Math.round(127.5 * (1 + strength * sign)));
  const data = Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => pixel[i % 3]);
  return { width: SIZE, height: SIZE, data };
}
