/** Figures and tables of the study; titles say what was found. */
import { meanInterval, rateInterval } from "../../analysis/index.js";
import {
  compareGraphs,
  encodeFeatures,
  type FeatureDashboard,
  graphFidelity,
  type TranscoderSet,
  transcoderQuality,
} from "../../circuits/index.js";
import {
  concepts,
  type Figure,
  type ForestRow,
  forest,
  formatPercent,
  histogram,
  lines,
  type Rows,
} from "../../plot/index.js";
import { asMessage, hands, planets, sums, type VisualTask } from "../../tasks/index.js";
import type { Traced } from "./example.js";
import type { Arithmetic, Convergence, Counting, Patch, Training, UnitProfile } from "./measurements.js";
import { drawFor, type Subject } from "./subject.js";

const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

/** Unexplained variance of sets by layer, on text and on image tokens of held-out prompts. */
export async function unexplainedFigure(
  subject: Subject,
  sets: Readonly<Record<string, TranscoderSet>>,
  live?: Training,
): Promise<Figure> {
  const { model } = subject;
  const tasks = [
    ...drawFor(subject, planets, { types: ["name"], count: 16, split: "heldout" }),
    ...drawFor(subject, sums, { types: ["plus"], count: 16, split: "heldout" }),
    ...drawFor(subject, hands, { types: ["apples"], count: 16, split: "heldout" }),
  ];
  const batch = await model.prepare(tasks.map((task) => [asMessage(task)]));
  const { tokens, inputs, outputs } = await encodeFeatures(model, batch, subject.set);
  const visual = batch.visual.map((own) => new Set(own));
  const kinds = tokens.map(({ row, column }) => (visual[row].has(column) ? "image" : "text"));
  const curves = [];
  for (const [name, set] of Object.entries(sets)) {
    const quality = await transcoderQuality(set, { inputs, outputs }, kinds);
    for (const kind of ["image", "text"] as const)
      curves.push({
        name: `${name}: ${kind} tokens`,
        x: model.layers,
        y: quality.map(({ fvu }) => fvu[kind]),
        color: kind === "image" ? concepts.visual : concepts.text,
        dash: curves.length < 2 ? ("solid" as const) : ("dash" as const),
      });
  }
  const trained = live
    ? `; trained here for one middle block: ${mean(live.joint).toFixed(2)} on both, ${mean(live.text).toFixed(2)} on text alone`
    : "";
  return lines(curves, {
    title: `Unexplained variance by block${trained}`,
    x: "block",
    y: "FVU (the mean alone: 1)",
  });
}

/** Scores of a graph beside those of transcoders that know nothing. */
export async function fidelityRows({ model, set }: Subject, { batch, graph }: Traced): Promise<Rows> {
  const { own, nulls, klWithoutFeatures } = await graphFidelity(model, batch, set, graph, { nulls: 1 });
  const row = (transcoders: string, { replacement, completeness, kl }: typeof own) => ({
    transcoders,
    replacement: replacement.toFixed(2),
    completeness: completeness.toFixed(2),
    "KL of the replacement, bits": kl.toFixed(2),
  });
  return [
    row("these", own),
    row("random directions", nulls.random[0]),
    row("decoders shuffled", nulls.shuffled[0]),
    {
      transcoders: "no features",
      replacement: "",
      completeness: "",
      "KL of the replacement, bits": klWithoutFeatures.toFixed(2),
    },
  ];
}

/** Features whose influence differs most between two graphs. */
export function comparisonRows(a: Traced, b: Traced, labels: readonly FeatureDashboard[], count = 8): Rows {
  const { features, overlap } = compareGraphs(a.graph, b.graph);
  const [one, other] = namesOf(a.task, b.task);
  const labelOf = ({ layer, feature }: { layer: number; feature: number }): string =>
    labels.find((own) => own.layer === layer && own.feature === feature)?.label?.label ?? "";
  return features.slice(0, count).map((own) => ({
    feature: `block ${own.layer}, ${own.feature}`,
    "at token": JSON.stringify(a.graph.text[own.position] ?? own.position),
    label: labelOf(own),
    [`influence, ${one}`]: inPercent(own.influences[0]),
    [`influence, ${other}`]: inPercent(own.influences[1]),
    overlap: own === features[0] ? `${formatPercent(overlap)} of both graphs` : "",
  }));
}

/** What two images show, and where that is the same, the answers beside it. */
function namesOf(...tasks: readonly [VisualTask, VisualTask]): string[] {
  const shown = tasks.map(({ category, answers: [answer] }) => category ?? answer);
  return shown[0] === shown[1] ? tasks.map(({ answers: [answer] }, i) => `${shown[i]}, ${answer}`) : shown;
}

/** Single features carry a percent or less. */
const inPercent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 2 : 0)}%`;

/** Purity of neurons and of features. */
export function purityFigure(neurons: readonly UnitProfile[], features: readonly UnitProfile[]): Figure {
  const of = (units: readonly UnitProfile[]): number[] => units.map(({ purity }) => purity);
  return histogram(
    { neurons: of(neurons), features: of(features) },
    {
      title: `Of the prompts that activate it most, ${formatPercent(mean(of(features)))} share one concept for a feature, ${formatPercent(mean(of(neurons)))} for a neuron`,
      x: "purity: share of the most frequent concept",
      y: "units",
    },
  );
}

/** A neuron and a feature of middling purity, with what activates them. */
export function unitRows(neurons: readonly UnitProfile[], features: readonly UnitProfile[]): Rows {
  const middle = (units: readonly UnitProfile[]): UnitProfile =>
    [...units].sort((a, b) => a.purity - b.purity)[Math.floor(units.length / 2)];
  return (
    [
      ["neuron", middle(neurons)],
      ["feature", middle(features)],
    ] as const
  ).map(([kind, own]) => ({
    unit: `${kind} ${own.unit} of block ${own.layer}`,
    purity: own.purity.toFixed(2),
    "what activates it most": own.concepts
      .slice(0, 4)
      .map(([concept, n]) => `${concept} ×${n}`)
      .join(", "),
  }));
}

/** Answers that turn to the donor's, by what is patched. */
export function turnedFigure({ turned: { chosen, random }, stream, allFeatures }: Patch): Figure {
  const row = (name: string, flags: ArrayLike<number | boolean>, color: string): ForestRow => {
    const { estimate, low, high } = rateInterval(Array.from(flags, Boolean));
    return { name, estimate, low, high, color };
  };
  const chance = random.map(({ set }) => mean(Array.from(set, Number)));
  const own = row("the two planets' features", chosen.set, concepts.visual);
  return forest(
    [
      { ...own, null: [Math.min(...chance), Math.max(...chance)] },
      row("all other features of these layers", chosen.complement, concepts.visual),
      row("all features of these layers", allFeatures, concepts.visual),
      row("the residual stream", stream, concepts.full),
    ],
    {
      title: `Patching two planets' features turns ${formatPercent(own.estimate)} of the answers, the stream itself ${formatPercent(mean(Array.from(stream, Number)))}`,
      subtitle:
        "middle layers, from the image's first token on; grey: random features of the same layers and activity",
      x: "answers that become the other image's",
      xFormat: ".0%",
      xRange: [0, 1],
    },
  );
}

/** Six fingers: the count before and after the cut, and what the cut costs elsewhere. */
export function cutFigure({ mended, five, elsewhere }: Counting): Figure {
  const row = (name: string, flags: ArrayLike<number | boolean>, color: string): ForestRow => {
    const { estimate, low, high } = rateInterval(Array.from(flags, Boolean));
    return { name, estimate, low, high, color };
  };
  const chance = mended.random.map((own) => mean(Array.from(own, Number)));
  const after = row("six fingers, after the cut", mended.chosen, concepts.true);
  return forest(
    [
      { ...after, null: [Math.min(...chance), Math.max(...chance)] },
      row("five fingers, before", five.clean, concepts.null),
      row("five fingers, after", five.cut, concepts.true),
      row("other things, before", elsewhere.clean, concepts.null),
      row("other things, after", elsewhere.cut, concepts.true),
    ],
    {
      title: `With the hand's features cut ${formatPercent(after.estimate)} of six-fingered hands are counted rightly`,
      subtitle: "grey band: random features cut",
      x: "right answers",
      xFormat: ".0%",
      xRange: [0, 1],
    },
  );
}

/** Share of the activation at image tokens on features that the words activate too, by depth. */
export function convergenceFigure({ joint, paired }: Convergence): Figure {
  const layers = joint[0].length;
  const depths = Array.from({ length: layers }, (_, l) => (l + 1) / layers);
  const found = depths.map((_, l) => meanInterval(joint.map((row) => row[l])));
  const chance = depths.map((_, l) => paired.map((row) => row[l]));
  const last = found[layers - 1].estimate - mean(chance[layers - 1]);
  return lines(
    [
      {
        name: "its own words",
        x: depths,
        y: found.map((e) => e.estimate),
        low: found.map((e) => e.low),
        high: found.map((e) => e.high),
        color: concepts.joint,
      },
      {
        name: "other images' words",
        x: depths,
        y: chance.map(mean),
        low: chance.map((own) => Math.min(...own)),
        high: chance.map((own) => Math.max(...own)),
        color: concepts.null,
      },
    ],
    {
      title: `At the end ${formatPercent(found[layers - 1].estimate)} of an image's activation is on features of its words, ${formatPercent(last)} beyond other words`,
      x: "depth",
      y: "share of activation",
      xFormat: ".0%",
      yFormat: ".0%",
    },
  );
}

/** Results read by probes on other sums than they learnt from, by depth. */
export function arithmeticFigure({ image, last, shuffled }: Arithmetic): Figure {
  const layers = image[0].length;
  const depths = Array.from({ length: layers }, (_, l) => (l + 1) / layers);
  const curve = (name: string, rows: readonly (readonly number[])[], color: string) => {
    const found = depths.map((_, l) => rateInterval(rows.map((row) => row[l] === 1)));
    return {
      name,
      x: depths,
      y: found.map((e) => e.estimate),
      low: found.map((e) => e.low),
      high: found.map((e) => e.high),
      color,
    };
  };
  const chance = mean(shuffled);
  return lines(
    [
      curve("image tokens", image, concepts.visual),
      curve("last token", last, concepts.text),
      { name: "shuffled results", x: depths, y: depths.map(() => chance), color: concepts.null },
    ],
    {
      title: `The result is read off image tokens in up to ${formatPercent(Math.max(...depths.map((_, l) => mean(image.map((row) => row[l])))))} of sums, off the last token in up to ${formatPercent(Math.max(...depths.map((_, l) => mean(last.map((row) => row[l])))))}`,
      x: "depth",
      y: "right results",
      xFormat: ".0%",
      yFormat: ".0%",
    },
  );
}
