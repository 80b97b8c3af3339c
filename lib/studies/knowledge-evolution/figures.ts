/** Figures of the study, one for each of its questions; titles say what was found. A kind of token has its colour of `concepts`. */
import {
  type Estimate,
  type Matrix,
  meanInterval,
  medianChange,
  mutations,
  principalCoordinates,
  rateInterval,
  tsne,
} from "../../analysis/index.js";
import { checkOptions, integer, number, type OptionChecks } from "../../options.js";
import {
  concepts,
  type Figure,
  type ForestRow,
  facets,
  forest,
  rules as lineRules,
  lines,
  regions,
  type Series,
  scatter,
} from "../../plot/index.js";
import type { Tensor } from "../../tensor.js";
import type { EvolutionData, SkippedCaptions } from "./data.js";
import {
  changeFinding,
  encodingFinding,
  KINDS,
  mutationFinding,
  probabilityFinding,
  skipFinding,
} from "./findings.js";
import type { TokenKind } from "./mentions.js";
import type { EvolutionRules } from "./rules.js";

const STATE = "state (0 enters block 0)";

/** Probability of the generated token by depth, and of the rivals of what is hallucinated. */
export function probabilityFigure(data: EvolutionData): Figure {
  const { exit, tokens, blocks, critical } = data;
  const rival: Matrix = {
    shape: exit.probability.shape,
    data: exit.probability.data.map((_, i) => {
      const [s, t] = [Math.floor(i / tokens.kind.length), i % tokens.kind.length];
      const own = exit.candidates[t].slice(1, 1 + tokens.rivals[t]);
      return own.reduce((most, { probability }) => Math.max(most, probability[s]), 0);
    }),
  };
  const wrong = tokens.kind.map((kind, t) => kind === "hallucinated" && tokens.rivals[t] > 0);
  const series = kindSeries(data, exit.probability, 1);
  const shown = wrong.includes(true)
    ? [
        ...series,
        {
          ...seriesOf(data, rival, wrong, 1),
          name: "what would have been right",
          color: concepts.true,
          dash: "dot" as const,
        },
      ]
    : series;
  return lineRules(
    lines(shown, {
      title: probabilityFinding(data),
      subtitle: `probability of the generated token, mean and 95% interval over ${data.texts.length} captions`,
      x: STATE,
      y: "probability",
      yRange: [0, 1],
    }),
    { x: Math.min(blocks, critical + 1), label: "critical" },
  );
}

/** Change of the distribution by block, by kind of token, beside random weights and the language model. */
export function changeFigure(data: EvolutionData): Figure {
  const { exit, twin, language, critical } = data;
  const medians = (name: string, change: Matrix, color: string, dash: "dot" | "dash"): Series => ({
    name,
    x: blockNumbers(data),
    y: medianChange(change).subarray(1),
    color,
    dash,
  });
  return lineRules(
    lines(
      [
        ...kindSeries(data, exit.change, 1),
        ...(twin ? [medians("random weights, median", twin.change, concepts.null, "dot")] : []),
        ...(language
          ? [medians("before visual training, median", language.change, concepts["language model"], "dash")]
          : []),
      ],
      {
        title: changeFinding(data),
        subtitle: `Jensen–Shannon divergence from block 1 on; mean and 95% interval over ${data.texts.length} captions`,
        x: "block",
        y: "JS (bits)",
      },
    ),
    { x: critical, label: "critical" },
  );
}

/** Share of the tokens that each block mutates, with what blocks without an order reach as a grey band. */
export function mutationFigure(data: EvolutionData): Figure {
  const { mutations: found, critical } = data;
  return regions(
    lines(kindSeries(data, found.mutated, critical + 1, rateInterval), {
      title: mutationFinding(data),
      subtitle: `share of the tokens that a block mutates, mean and 95% interval over ${data.texts.length} captions; grey: what 95% of shuffled blocks stay below, all tokens`,
      x: "block",
      y: "share of tokens",
      yFormat: ".0%",
    }),
    { axis: "y", from: 0, to: found.chance, color: concepts.null },
  );
}

/** Mutation layers and share of mutating tokens by the height that a mutation must have. */
export function mutationSensitivity(data: EvolutionData, rules: EvolutionRules): Record<string, unknown>[] {
  const { exit, critical, tokens } = data;
  return rules.sensitivity.map((prominence) => {
    const found = mutations(exit.change, { critical, prominence });
    const share = (kind: TokenKind): string => {
      const own = found.tokens.filter((_, t) => tokens.kind[t] === kind);
      return own.length === 0 ? "none" : `${Math.round((100 * own.filter(Boolean).length) / own.length)}%`;
    };
    return {
      "height (bits)": prominence,
      "mutation layers": found.layers.join(", ") || "none",
      ...Object.fromEntries(KINDS.map((kind) => [`${kind} tokens`, share(kind)])),
    };
  });
}

/** Word overlap with the original and wrong share of what is said, of each plan and its control. */
export function skipFigure(data: EvolutionData): Figure {
  const all = data.skips.flatMap(({ own, control }) => [
    { found: own, color: concepts["skipped blocks"], group: "plan" },
    ...(control ? [{ found: control, color: concepts.null, group: "as many other blocks" }] : []),
  ]);
  const rows = (values: (found: SkippedCaptions) => readonly number[]): ForestRow[] =>
    all.map(({ found, color, group }) => ({
      name: `${found.plan.name} (${found.plan.skip.join(", ")})`,
      ...ends(meanInterval(values(found))),
      color,
      group,
    }));
  const original = {
    name: "original",
    ...ends(meanInterval(data.wrong)),
    color: concepts.model,
    group: "original",
  };
  return facets(
    {
      "word overlap with the original": forest(
        rows(({ overlap }) => overlap),
        { x: "word overlap (Dice)" },
      ),
      "said of the image and wrong": forest([original, ...rows(({ wrong }) => wrong)], {
        x: "share of what is said",
        xFormat: ".0%",
      }),
    },
    {
      title: skipFinding(data),
      subtitle: `captions without some blocks, mean and 95% interval over ${data.texts.length} captions; skipped blocks in brackets`,
      columns: 1,
      share: false,
      panelHeight: 60 + 26 * all.length,
    },
  );
}

export interface EncodingOptions {
  /** Default 0. */
  readonly caption?: number;
  readonly perplexity?: number;
  readonly iterations?: number;
  readonly seed?: number;
}

const ENCODING_OPTIONS: OptionChecks<EncodingOptions> = {
  caption: integer(0),
  perplexity: number(2),
  iterations: integer(1),
  seed: integer(),
};

/** The states of one caption in the plane by t-SNE, coloured by depth, from two starts. */
export async function encodingFigure(data: EvolutionData, options: EncodingOptions = {}): Promise<Figure> {
  checkOptions("encodingFigure", options, ENCODING_OPTIONS);
  const { caption = 0, perplexity = 20, iterations = 300, seed = 0 } = options;
  const own = [...data.tokens.caption.keys()].filter((t) => data.tokens.caption[t] === caption);
  const points = pointsOf(data.states, own);
  const panels: Record<string, Figure> = {};
  for (const start of ["pca", "random"] as const) {
    const { coordinates } = await tsne(points, {
      perplexity: Math.min(perplexity, Math.max(2, Math.floor((points.shape[0] - 1) / 3))),
      start,
      seed,
      iterations,
      earlyExaggerationIterations: Math.floor(iterations / 2),
    });
    panels[`t-SNE, ${start === "pca" ? "PCA" : start} start`] = plane(coordinates, data, own);
  }
  panels["principal axes"] = plane(principalCoordinates(points, 2), data, own);
  return facets(panels, {
    title: encodingFinding(data),
    subtitle: `one caption, ${own.length} tokens × ${data.blocks + 1} states, coloured by depth; τ is measured in the original space, over all captions`,
    columns: 3,
    share: false,
    panelHeight: 240,
  });
}

function plane(coordinates: Matrix, data: EvolutionData, own: readonly number[]): Figure {
  const all = Array.from({ length: coordinates.shape[0] }, (_, i) => i);
  return scatter(
    {
      x: all.map((i) => coordinates.data[2 * i]),
      y: all.map((i) => coordinates.data[2 * i + 1]),
      value: all.map((i) => Math.floor(i / own.length)),
      labels: all.map((i) => data.tokens.pieces[own[i % own.length]]),
    },
    { x: "", y: "", value: "state", size: 5 },
  );
}

/** `(states · tokens, width)` of some tokens. */
function pointsOf({ data, shape: [depth, count, width] }: Tensor, own: readonly number[]): Matrix {
  const out = new Float64Array(depth * own.length * width);
  for (let s = 0; s < depth; s++)
    own.forEach((t, i) => {
      const from = (s * count + t) * width;
      out.set(data.subarray(from, from + width), (s * own.length + i) * width);
    });
  return { data: out, shape: [depth * own.length, width] };
}

const blockNumbers = ({ blocks }: EvolutionData): number[] =>
  Array.from({ length: blocks - 1 }, (_, i) => i + 1);

/** One series for each kind of token that there is, from a row on. */
function kindSeries(
  data: EvolutionData,
  values: Matrix,
  from: number,
  interval: typeof meanInterval = meanInterval,
): Series[] {
  return KINDS.flatMap((kind) => {
    const among = data.tokens.kind.map((own) => own === kind);
    const count = among.filter(Boolean).length;
    if (new Set(data.tokens.caption.filter((_, t) => among[t])).size < 2) return [];
    return [
      { ...seriesOf(data, values, among, from, interval), name: `${kind} (${count})`, color: concepts[kind] },
    ];
  });
}

/** Probabilities, shares and changes in bits: all of them lie between 0 and 1. */
function seriesOf(
  data: EvolutionData,
  values: Matrix,
  among: readonly boolean[],
  from: number,
  interval: typeof meanInterval = meanInterval,
): Series {
  const own = [...among.keys()].filter((t) => among[t]);
  const clusters = own.map((t) => data.tokens.caption[t]);
  const [rows, count] = values.shape;
  const x = Array.from({ length: rows - from }, (_, i) => from + i);
  const estimates = x.map((r) =>
    interval(
      own.map((t) => values.data[r * count + t]),
      { clusters },
    ),
  );
  return {
    x,
    y: estimates.map(({ estimate }) => estimate),
    low: estimates.map(({ low }) => Math.max(0, low)),
    high: estimates.map(({ high }) => Math.min(1, high)),
  };
}

const ends = ({ estimate, low, high }: Estimate) => ({ estimate, low, high });
