/** Questions about charts, and the steps to their answers. */
import type { Random } from "../../random.js";
import type { Hop } from "../visual-task.js";
import type { ChartKind, ChartScene } from "./chart-scene.js";
import { type Question, some, throughHops } from "./synthetic-task.js";

export const CHART_PART: Readonly<Record<ChartKind, string>> = { bar: "bar", line: "point", pie: "slice" };

/** Name of a part of a chart: `red bar`, `point a`. */
export const partName = (kind: ChartKind, name: string): string =>
  kind === "line" ? `point ${name}` : `${name} ${CHART_PART[kind]}`;

/** The same in a sentence: `the red bar`. */
export const partPhrase = (kind: ChartKind, name: string): string =>
  kind === "line" ? partName(kind, name) : `the ${partName(kind, name)}`;

/** Numbers of a chart's parts, largest value first. */
export function ranked({ names, values }: ChartScene): number[] {
  return [...names.keys()].sort((a, b) => values[b] - values[a]);
}

/** A question as its own last hop: what is asked in one look at some parts. */
const single = (prompt: string, answer: string, regions: readonly number[]): Hop => ({
  prompt,
  answer,
  regions,
});

const valueHop = ({ kind, names, values }: ChartScene, i: number): Hop =>
  single(`what is the value of ${partPhrase(kind, names[i])}?`, String(values[i]), [i]);

const extremeHop = (scene: ChartScene, which: "largest" | "smallest"): Hop => {
  const i = which === "largest" ? ranked(scene)[0] : ranked(scene).at(-1)!;
  return single(`which ${CHART_PART[scene.kind]} is the ${which}?`, scene.names[i], [i]);
};

const extremeValueHop = (scene: ChartScene, which: "largest" | "smallest"): Hop => {
  const [i] = extremeHop(scene, which).regions;
  const part = CHART_PART[scene.kind];
  return single(`what is the value of the ${which} ${part}?`, String(scene.values[i]), [i]);
};

const besideHop = ({ kind, names }: ChartScene, i: number): Hop =>
  single(`which ${CHART_PART[kind]} is right of ${partPhrase(kind, names[i])}?`, names[i + 1], [i + 1]);

/** Two parts whose values are looked up and then combined, in any order. */
function ofTwo(scene: ChartScene, random: Random, ask: (i: number, j: number) => Hop): Question {
  const [i, j] = some(random, [...scene.names.keys()], 2);
  return throughHops(valueHop(scene, i), valueHop(scene, j), ask(i, j));
}

const both = ({ kind, names }: ChartScene, i: number, j: number): string =>
  `${partPhrase(kind, names[i])} and ${partPhrase(kind, names[j])}`;

export const ASK_CHART: Readonly<Record<string, (scene: ChartScene, random: Random) => Question>> = {
  kind: ({ kind }) => ({ prompt: "what kind of chart is this?", answer: kind }),
  number: ({ kind, names }) => ({
    prompt: `how many ${CHART_PART[kind]}s are there?`,
    answer: String(names.length),
  }),
  value: (scene, random) => throughHops(valueHop(scene, random.int(scene.names.length))),
  which({ kind, names, values }, random) {
    const i = random.int(names.length);
    return { prompt: `which ${CHART_PART[kind]} has the value ${values[i]}?`, answer: names[i] };
  },
  largest: (scene) => throughHops(extremeHop(scene, "largest")),
  smallest: (scene) => throughHops(extremeHop(scene, "smallest")),
  beside: (scene, random) => throughHops(besideHop(scene, random.int(scene.names.length - 1))),
  second(scene) {
    const [, i] = ranked(scene);
    return throughHops(
      extremeHop(scene, "largest"),
      single(`which ${CHART_PART[scene.kind]} is the second largest?`, scene.names[i], [i]),
    );
  },
  largestValue: (scene) => throughHops(extremeHop(scene, "largest"), extremeValueHop(scene, "largest")),
  smallestValue: (scene) => throughHops(extremeHop(scene, "smallest"), extremeValueHop(scene, "smallest")),
  besideValue(scene, random) {
    const i = random.int(scene.names.length - 1);
    const { kind, names, values } = scene;
    return throughHops(
      besideHop(scene, i),
      single(
        `what is the value of the ${CHART_PART[kind]} right of ${partPhrase(kind, names[i])}?`,
        String(values[i + 1]),
        [i + 1],
      ),
    );
  },
  above(scene, random) {
    const place = random.int(scene.names.length);
    const order = ranked(scene);
    const name = partPhrase(scene.kind, scene.names[order[place]]);
    return throughHops(
      valueHop(scene, order[place]),
      single(
        `how many ${CHART_PART[scene.kind]}s are larger than ${name}?`,
        String(place),
        order.slice(0, place),
      ),
    );
  },
  larger: (scene, random) =>
    ofTwo(scene, random, (i, j) => {
      const { kind, names, values } = scene;
      const [first, second] = [i, j].map((part) => partPhrase(kind, names[part]));
      return single(`is ${first} larger than ${second}?`, values[i] > values[j] ? "yes" : "no", []);
    }),
  difference: (scene, random) =>
    ofTwo(scene, random, (i, j) => {
      const difference = Math.abs(scene.values[i] - scene.values[j]);
      return single(`what is the difference between ${both(scene, i, j)}?`, String(difference), []);
    }),
  sum: (scene, random) =>
    ofTwo(scene, random, (i, j) =>
      single(`what is the sum of ${both(scene, i, j)}?`, String(scene.values[i] + scene.values[j]), []),
    ),
  range(scene) {
    const part = CHART_PART[scene.kind];
    return throughHops(
      extremeValueHop(scene, "largest"),
      extremeValueHop(scene, "smallest"),
      single(
        `what is the difference between the largest and the smallest ${part}?`,
        String(Math.max(...scene.values) - Math.min(...scene.values)),
        [],
      ),
    );
  },
  rises: ({ values }) => ({
    prompt: "how many times does the line rise?",
    answer: String(values.filter((value, i) => i > 0 && value > values[i - 1]).length),
  }),
};

/** Kinds of chart about which a type of question is asked; all unless named. */
export const CHARTS_FOR: Readonly<Record<string, readonly ChartKind[]>> = {
  rises: ["line"],
  beside: ["bar", "line"],
  besideValue: ["bar", "line"],
};
