/**
 * Measurements made by hand: one set as the document describes its own, one the other way round. Whatever the study's
 * rules say of them is known, for the experiments of which no checkpoint has been built.
 */
import type { Matrix } from "../../analysis/index.js";
import { type Random, seeded } from "../../random.js";
import type { Untestable } from "../index.js";
import { DOCUMENT_LAYERS } from "./depths.js";
import { geometryOf, type States } from "./geometry.js";
import type { Measurements, Pruning, Routing, SampleGrade, Tracing } from "./parts.js";

export type MadeByHand = "likeDocument" | "opposite";

const SAMPLES = 60;
const IMAGES = 16;
const TOKENS = 16;
const WIDTH = 32;
const RATE_SAMPLES = 120;
/** Every second of the document's layers: as many blocks as its windows need. */
const layers = Array.from({ length: DOCUMENT_LAYERS / 2 }, (_, b) => 2 * b);

const NO_MODEL: Untestable = { untestable: "made by hand: there is no model behind it" };

/** Measurements of one kind; seeds draw other noise. */
export function gapMadeByHand(kind: MadeByHand, seed: number): Measurements {
  const random = seeded(1000 + seed);
  return {
    tracing: tracing(curves[kind], random),
    geometry: geometryOf(statesOf(shapes[kind], random), { seed, draws: 40, ckaDraws: 6 }),
    routing: kind === "opposite" ? routing(random) : NO_MODEL,
    pruning: kind === "opposite" ? pruning() : NO_MODEL,
    truncation: NO_MODEL,
    flow: NO_MODEL,
    probes: NO_MODEL,
    silencing: NO_MODEL,
    twins: NO_MODEL,
  };
}

/** A number for each of the document's layers, such as the mean harm in nats. */
type Curve = (layer: number) => number;

/** A straight line through two points. */
const between =
  ([x0, y0]: readonly [number, number], [x1, y1]: readonly [number, number]): Curve =>
  (x) =>
    y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);

/** The document's figures for hard tasks: -27.1 to -12.6, a rebound to -18.2 at layer 18, -18.4 to -12.7. */
const documentHard: Curve = (l) => {
  if (l <= 17) return between([0, 27.1], [17, 12.6])(l);
  return l <= 36 ? between([18, 18.2], [36, 18.4])(l) : between([37, 18.4], [47, 12.7])(l);
};
const documentGap: Curve = (l) => {
  if (l < 8) return 5.5;
  return l < 40 ? 1.5 : 8;
};

/** Shallow and rising, with its one jump behind the middle. */
const risingHard: Curve = (l) => between([0, 4], [47, 6])(l) + (l >= 30 ? 3 : 0);
const risingGap: Curve = (l) => {
  if (l < 8) return -1;
  if (l < 29) return 1;
  return l < 37 ? 2 : -2;
};

const curves: Readonly<Record<MadeByHand, Readonly<Record<SampleGrade, Curve>>>> = {
  likeDocument: { hard: documentHard, easy: (l) => documentHard(l) - documentGap(l) },
  opposite: { hard: risingHard, easy: (l) => risingHard(l) - risingGap(l) },
};

function tracing(curve: Readonly<Record<SampleGrade, Curve>>, random: Random): Tracing {
  const grades = Array.from({ length: SAMPLES }, (_, i): SampleGrade => (i % 2 === 0 ? "hard" : "easy"));
  return {
    grades,
    clusters: grades.map((_, i) => `${i}`),
    delta: grades.map((grade) => {
      const strength = 1 + 0.1 * random.normal();
      return layers.map((l) => -strength * curve[grade](l) + 0.3 * random.normal());
    }),
  };
}

/** States by what is known of them at each layer. */
interface Shape {
  /** Share of the visual tokens' variance that lies between images. */
  readonly icc: Curve;
  /** Directions over which visual, and text, tokens are spread. */
  readonly visualRank: Curve;
  readonly textRank: Curve;
  /** Share of the text's pooled state that is the image's. */
  readonly aligned: number;
}

const shapes: Readonly<Record<MadeByHand, Shape>> = {
  likeDocument: {
    icc: (l) => {
      if (l <= 22) return between([0, 0.38], [22, 0.446])(l);
      return l <= 26 ? between([22, 0.446], [26, 0.533])(l) : between([26, 0.533], [47, 0.55])(l);
    },
    visualRank: between([0, 3], [47, 9]),
    textRank: (l) => {
      if (l <= 20) return between([0, 9], [20, 1.5])(l);
      return l <= 40 ? between([20, 1.5], [40, 2.5])(l) : between([40, 2.5], [47, 9])(l);
    },
    aligned: 0,
  },
  opposite: {
    icc: (l) => (l < 8 ? 0.1 : between([8, 0.4], [47, 0.45])(l)),
    visualRank: between([0, 9], [47, 2]),
    textRank: between([0, 9], [47, 2]),
    aligned: 0.95,
  },
};

function statesOf(shape: Shape, random: Random): States {
  const draw = (): { centre: number[]; noise: Float64Array } => ({
    centre: Array.from({ length: WIDTH }, () => random.normal()),
    noise: Float64Array.from({ length: TOKENS * WIDTH }, () => random.normal()),
  });
  // A sample's tokens differ in the same way at every layer, but for what its shape says.
  const [images, questions] = [Array.from({ length: IMAGES }, draw), Array.from({ length: IMAGES }, draw)];
  const { aligned } = shape;
  return {
    visual: layers.map((l) => {
      const icc = shape.icc(l);
      return images.map(({ centre, noise }) => tokens(noise, shape.visualRank(l), centre, icc));
    }),
    text: layers.map((l) =>
      questions.map(({ centre, noise }, i) => {
        const seen = centre.map((own, j) => aligned * images[i].centre[j] + (1 - aligned) * own);
        return tokens(noise, shape.textRank(l), seen, 0.5);
      }),
    ),
    textOnly: layers.map((l) =>
      questions.map(({ centre, noise }) => tokens(noise, shape.textRank(l), centre, 0.5)),
    ),
  };
}

/** Tokens about a centre that makes up a share of their variance, the rest falling off over so many directions. */
function tokens(noise: Float64Array, rank: number, centre: readonly number[], share: number): Matrix {
  const deviations = Array.from({ length: WIDTH }, (_, j) => Math.exp(-j / rank));
  const scale = Math.sqrt(deviations.reduce((sum, s) => sum + s * s, 0) / WIDTH);
  const data = noise.map((value, i) => {
    const own = (deviations[i % WIDTH] / scale) * value;
    return Math.sqrt(1 - share) * own + Math.sqrt(share) * centre[i % WIDTH];
  });
  return { data, shape: [TOKENS, WIDTH] };
}

/** Experts part in the window instead of coming together. */
function routing(random: Random): Routing {
  const row = (): number[] => layers.map((l) => (l >= 36 ? 0.2 : 0.6) + 0.02 * random.normal());
  const floor = (): number[] => layers.map(() => 0.8 + 0.02 * random.normal());
  const jaccard = Array.from({ length: SAMPLES }, row);
  const divergence = jaccard.map((own) => own.map((value) => 1 - value));
  const flat = layers.map(() => 3);
  return {
    jaccard,
    divergence,
    jaccardFloor: Array.from({ length: 19 }, floor),
    divergenceFloor: Array.from({ length: 19 }, () => floor().map((value) => 1 - value)),
    entropy: { visual: flat, text: flat },
    carriedOn: layers.slice(1).map(() => 0.5),
  };
}

/** Every visual token is needed from the start: half of them answer nothing. */
function pruning(): Pruning {
  const flags = (share: number): number[] =>
    Array.from({ length: RATE_SAMPLES }, (_, i) => (i < share * RATE_SAMPLES ? 1 : 0));
  const plan = (rule: string, right: number[]): Pruning["plans"][number] => ({
    rule,
    keep: 0.5,
    right,
    equivalentTokens: TOKENS / 2,
    compute: 0.7,
  });
  return {
    grades: flags(1).map(() => "easy"),
    clusters: flags(1).map((_, i) => `${i}`),
    right: flags(0.9),
    halfTruncated: flags(0.2),
    plans: [plan("random", flags(0.2)), plan("attention", flags(0.8))],
  };
}
