import { own } from "../../own.js";
import { COLOUR_NAMES, WHITE } from "../raster/colours.js";
import { blank } from "../raster/paint.js";
import type { Raster } from "../visual-task.js";
import { DRAW_CHART } from "./chart-drawing.js";
import { ASK_CHART, CHARTS_FOR, partName, partPhrase, ranked } from "./chart-questions.js";
import type { ChartKind, ChartScene } from "./chart-scene.js";
import { listed, numerals, type SyntheticTask, some, wordSet } from "./synthetic-task.js";

const KINDS: readonly ChartKind[] = ["bar", "line", "pie"];
const LETTERS = ["a", "b", "c", "d", "e"];
/** A line's colours: not those of the paper's numbers, nor too pale for a thin line. */
const INKS = COLOUR_NAMES.filter((name) => name !== "yellow" && name !== "black");
const LISTED = {
  values: "what is the value of each?",
  names: "which has each value?",
  larger: "how many are larger than each?",
};
/** Slices below this share have no room for their number. */
const LEAST_SHARE = 0.1;

/** Bar, line and pie charts with their numbers on them: read a value, or compare, add or subtract several. */
export const charts: SyntheticTask<ChartScene> = {
  name: "charts",
  minImageSize: 32,
  types: {
    kind: "easy",
    number: "easy",
    value: "easy",
    largest: "easy",
    smallest: "easy",
    which: "easy",
    beside: "medium",
    second: "hard",
    largestValue: "hard",
    smallestValue: "hard",
    besideValue: "hard",
    above: "hard",
    larger: "hard",
    difference: "hard",
    sum: "hard",
    range: "hard",
    rises: "hard",
  },
  scoring: () => "relaxed",
  vocabulary: wordSet(
    ...COLOUR_NAMES,
    ...LETTERS,
    ...numerals(0, 17),
    "what kind of chart is this? bar line pie how many bars points slices are there?",
    "what is the value of the bar? which bar point slice is the largest? smallest second largest?",
    "which bar has the value? which bar is right of the? is the bar larger than the? yes no",
    "how many are larger than the? what is the difference between the and the? sum of the and the?",
    "how many times does the line rise? a bar chart. the, is and",
    ...Object.values(LISTED),
  ),

  scene(random, type) {
    const kind = random.pick(own(CHARTS_FOR, type) ?? KINDS);
    const count = kind === "pie" ? 3 + random.int(2) : 3 + random.int(3);
    const names = kind === "line" ? LETTERS.slice(0, count) : some(random, COLOUR_NAMES, count);
    const ink = kind === "line" ? { ink: random.pick(INKS) } : {};
    for (;;) {
      const values = some(random, [1, 2, 3, 4, 5, 6, 7, 8, 9], count);
      const total = values.reduce((a, b) => a + b);
      if (kind !== "pie" || Math.min(...values) / total >= LEAST_SHARE)
        return { kind, names, values, ...ink };
    }
  },

  question: (scene, type, random) => own(ASK_CHART, type)!(scene, random),
  questionTypes: ({ kind }) =>
    Object.keys(ASK_CHART).filter((type) => (own(CHARTS_FOR, type) ?? KINDS).includes(kind)),
  listings(scene) {
    const { kind, names, values } = scene;
    return [
      { prompt: LISTED.values, entries: names.map((name, i) => [partName(kind, name), String(values[i])]) },
      { prompt: LISTED.names, entries: names.map((name, i) => [String(values[i]), name]) },
      {
        prompt: LISTED.larger,
        entries: ranked(scene).map((i, place) => [partName(kind, names[i]), String(place)]),
      },
    ];
  },
  category: (scene) => scene.kind,

  render(scene, size): Raster {
    const raster = blank(size, size, WHITE);
    DRAW_CHART[scene.kind](raster, scene, size, Math.max(1, Math.floor(size / 48)));
    return raster;
  },

  textDescription({ kind, names, values }) {
    return `a ${kind} chart. ${listed(names.map((name, i) => `${partPhrase(kind, name)} is ${values[i]}`))}.`;
  },
};
