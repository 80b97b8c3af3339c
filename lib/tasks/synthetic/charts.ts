import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { BLACK, COLOUR_NAMES, COLOURS, type ColourName, inkOn, LIGHT, WHITE } from "../raster/colours.js";
import { GLYPH_HEIGHT, writeCentred } from "../raster/font.js";
import { blank, box, type Canvas, disc, mark, paint, slice, stroke } from "../raster/paint.js";
import type { Raster } from "../visual-task.js";
import { listed, numerals, type Question, type SyntheticTask, some, wordSet } from "./synthetic-task.js";

export type ChartKind = "bar" | "line" | "pie";

/** A chart of some named values, all different. */
export interface ChartScene {
  readonly kind: ChartKind;
  /** Colours of the bars or slices; letters of a line's points. */
  readonly names: readonly string[];
  /** From 1 to 9, in the order that they are drawn. */
  readonly values: readonly number[];
  /** The colour of a line; bars and slices have their own. */
  readonly ink?: ColourName;
}

const KINDS: readonly ChartKind[] = ["bar", "line", "pie"];
const LETTERS = ["a", "b", "c", "d", "e"];
const PART: Readonly<Record<ChartKind, string>> = { bar: "bar", line: "point", pie: "slice" };
/** A line's colours: not those of the paper's numbers, nor too pale for a thin line. */
const INKS = COLOUR_NAMES.filter((name) => name !== "yellow" && name !== "black");
const LISTED = {
  values: "what is the value of each?",
  names: "which has each value?",
  larger: "how many are larger than each?",
};
/** Slices below this share have no room for their number. */
const LEAST_SHARE = 0.1;

/** Bar, line and pie charts with their numbers on them: read a value, or several and compare or reckon. */
export const charts: SyntheticTask<ChartScene> = {
  name: "charts",
  minImageSize: 32,
  types: {
    kind: "easy",
    number: "easy",
    value: "easy",
    largest: "easy",
    smallest: "easy",
    second: "hard",
    above: "hard",
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
    "how many are larger than the? what is the difference between the and the? sum of the and the?",
    "how many times does the line rise? a bar chart. the, is and",
    ...Object.values(LISTED),
  ),

  scene(random, type) {
    const kind = type === "rises" ? "line" : random.pick(KINDS);
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

  question: (scene, type, random) => own(ASK, type)!(scene, random),
  questionTypes: ({ kind }) => Object.keys(ASK).filter((type) => type !== "rises" || kind === "line"),
  listings(scene) {
    const { kind, names, values } = scene;
    return [
      { prompt: LISTED.values, entries: names.map((name, i) => [called(kind, name), String(values[i])]) },
      { prompt: LISTED.names, entries: names.map((name, i) => [String(values[i]), name]) },
      {
        prompt: LISTED.larger,
        entries: ranked(scene).map((name, place) => [called(kind, name), String(place)]),
      },
    ];
  },
  category: (scene) => scene.kind,

  render(scene, size): Raster {
    const raster = blank(size, size, WHITE);
    DRAW[scene.kind](raster, scene, size, Math.max(1, Math.floor(size / 48)));
    return raster;
  },

  textDescription({ kind, names, values }) {
    return `a ${kind} chart. ${listed(names.map((name, i) => `${nameIn(kind, name)} is ${values[i]}`))}.`;
  },
};

/** How a part of a chart is called: `red bar`, `point a`. */
const called = (kind: ChartKind, name: string): string =>
  kind === "line" ? `point ${name}` : `${name} ${PART[kind]}`;
const nameIn = (kind: ChartKind, name: string): string =>
  kind === "line" ? called(kind, name) : `the ${called(kind, name)}`;

const ASK: Readonly<Record<string, (scene: ChartScene, random: Random) => Question>> = {
  kind: ({ kind }) => ({ prompt: "what kind of chart is this?", answer: kind }),
  number: ({ kind, names }) => ({
    prompt: `how many ${PART[kind]}s are there?`,
    answer: String(names.length),
  }),
  value({ kind, names, values }, random) {
    const i = random.int(names.length);
    return { prompt: `what is the value of ${nameIn(kind, names[i])}?`, answer: String(values[i]) };
  },
  largest: (scene) => ({ prompt: `which ${PART[scene.kind]} is the largest?`, answer: ranked(scene)[0] }),
  smallest: (scene) => ({
    prompt: `which ${PART[scene.kind]} is the smallest?`,
    answer: ranked(scene).at(-1)!,
  }),
  second: (scene) => ({
    prompt: `which ${PART[scene.kind]} is the second largest?`,
    answer: ranked(scene)[1],
  }),
  above(scene, random) {
    const place = random.int(scene.names.length);
    const name = nameIn(scene.kind, ranked(scene)[place]);
    return { prompt: `how many ${PART[scene.kind]}s are larger than ${name}?`, answer: String(place) };
  },
  difference: (scene, random) =>
    ofTwo(scene, random, "what is the difference between", (a, b) => Math.abs(a - b)),
  sum: (scene, random) => ofTwo(scene, random, "what is the sum of", (a, b) => a + b),
  range({ kind, values }) {
    const part = PART[kind];
    return {
      prompt: `what is the difference between the largest and the smallest ${part}?`,
      answer: String(Math.max(...values) - Math.min(...values)),
    };
  },
  rises: ({ values }) => ({
    prompt: "how many times does the line rise?",
    answer: String(values.filter((value, i) => i > 0 && value > values[i - 1]).length),
  }),
};

/** The names, largest value first. */
function ranked({ names, values }: ChartScene): string[] {
  return names
    .map((name, i) => ({ name, value: values[i] }))
    .sort((a, b) => b.value - a.value)
    .map((e) => e.name);
}

function ofTwo(
  { kind, names, values }: ChartScene,
  random: Random,
  opening: string,
  reckon: (a: number, b: number) => number,
): Question {
  const [i, j] = some(random, [...names.keys()], 2);
  return {
    prompt: `${opening} ${nameIn(kind, names[i])} and ${nameIn(kind, names[j])}?`,
    answer: String(reckon(values[i], values[j])),
  };
}

const DRAW: Readonly<
  Record<ChartKind, (raster: Canvas, scene: ChartScene, size: number, dot: number) => void>
> = {
  bar(raster, { names, values }, size, dot) {
    const room = GLYPH_HEIGHT * dot + 2;
    const step = size / names.length;
    paint(raster, box(0, size - 1, size, 1), BLACK);
    values.forEach((value, i) => {
      const height = Math.round(((size - 1 - room) * value) / 9);
      const left = Math.round(i * step + step * 0.14);
      const width = Math.round(step * 0.72);
      paint(raster, box(left, size - 1 - height, width, height), COLOURS[names[i] as ColourName]);
      writeCentred(raster, String(value), left + width / 2, size - 1 - height - room / 2, BLACK, dot);
      mark(raster, box(left, size - 1 - height - room, width, height + room), [names[i], String(value)]);
    });
  },
  line(raster, { names, values, ink = "blue" }, size, dot) {
    const room = GLYPH_HEIGHT * dot + 2;
    const step = size / names.length;
    const floor = size - room - 1;
    // The number stands above its point: the highest point leaves room for it.
    const points = values.map((value, i): [number, number] => [
      (i + 0.5) * step,
      floor - 2 * dot - ((floor - 2 * room - dot) * (value - 1)) / 8,
    ]);
    paint(raster, box(0, floor, size, 1), LIGHT);
    paint(raster, stroke(1.2 * dot, ...points), COLOURS[ink]);
    points.forEach(([x, y], i) => {
      paint(raster, disc(x, y, 1.8 * dot), COLOURS[ink]);
      writeCentred(raster, String(values[i]), x, y - room / 2 - 2 * dot, BLACK, dot);
      writeCentred(raster, names[i], x, size - room / 2, BLACK, dot);
      mark(raster, box(x - step / 2, 0, step, size), [names[i], String(values[i])]);
    });
  },
  pie(raster, { names, values }, size, dot) {
    const total = values.reduce((a, b) => a + b);
    const centre = size / 2;
    let from = 0;
    values.forEach((value, i) => {
      const to = i === values.length - 1 ? 1 : from + value / total;
      const colour = COLOURS[names[i] as ColourName];
      paint(raster, slice(centre, centre, centre - 1, from, to), colour);
      const middle = Math.PI * (from + to);
      const reach = (centre - 1) * 0.68;
      const [x, y] = [centre + reach * Math.sin(middle), centre - reach * Math.cos(middle)];
      writeCentred(raster, String(value), x, y, inkOn(colour), dot);
      mark(raster, disc(x, y, GLYPH_HEIGHT * dot), [names[i], String(value)]);
      from = to;
    });
  },
};
