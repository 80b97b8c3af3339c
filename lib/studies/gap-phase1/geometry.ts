/** Geometry of tokens by block: pure functions of states. */
import {
  ckaAgainstShuffles,
  effectiveRank,
  imageIcc,
  type LayerTokens,
  meanTokens,
  resampledIcc,
  sampleSizeCurve,
} from "../../analysis/index.js";
import { checkOptions, integer, type OptionChecks } from "../../options.js";
import { seeded } from "../../random.js";
import type { Geometry, Rows } from "./parts.js";

/** States of tokens after each block: by block and sample (tokens, width). */
export interface States {
  readonly visual: LayerTokens;
  readonly text: LayerTokens;
  /** Of the same questions without their images. */
  readonly textOnly: LayerTokens;
}

export interface GeometryOptions {
  /** Bootstrap draws over images. Default 60. */
  readonly draws?: number;
  /** Shuffles of the tokens among the images. Default 9. */
  readonly shuffles?: number;
  /** Draws of ten samples for CKA in each block, and of larger numbers. Default 10. */
  readonly ckaDraws?: number;
  readonly seed?: number;
}

/** Numbers of samples for CKA: the document's ten, and more, to show what it depends on. */
const CKA_SAMPLES = [10, 20, 40, 80] as const;
const PERMUTATIONS = 39;

const GEOMETRY_OPTIONS: OptionChecks<GeometryOptions> = {
  draws: integer(1),
  shuffles: integer(1),
  ckaDraws: integer(1),
  seed: integer(),
};

/** ICC, effective ranks and cross-modal CKA of states, each with its floor. */
export function geometryOf(states: States, options: GeometryOptions = {}): Geometry {
  checkOptions("geometryOf", options, GEOMETRY_OPTIONS);
  const { draws = 60, shuffles = 9, ckaDraws = 10, seed = 0 } = options;
  const ranks = (layers: LayerTokens): Rows =>
    layers[0].map((_, i) => layers.map((own) => effectiveRank(own[i], { centre: true })));
  return {
    icc: iccOf(states.visual, { draws, shuffles, seed }),
    visualRank: ranks(states.visual),
    textRank: { withImage: ranks(states.text), textOnly: ranks(states.textOnly) },
    cka: ckaOf(states, ckaDraws, seed),
  };
}

function iccOf(
  layers: LayerTokens,
  { draws, shuffles, seed }: Required<Pick<GeometryOptions, "draws" | "shuffles" | "seed">>,
): Geometry["icc"] {
  const random = seeded(seed);
  const count = layers[0].length;
  const found = layers.map((samples) => imageIcc(samples, { draws: shuffles, seed }));
  const images = Array.from({ length: draws }, () => Array.from({ length: count }, () => random.int(count)));
  const resampled = layers.map((samples) => resampledIcc(samples, images));
  return {
    curve: found.map(({ value }) => value),
    draws: images.map((_, i) => resampled.map((own) => own[i])),
    shuffled: Array.from({ length: shuffles }, (_, s) => found.map((own) => own.null[s])),
  };
}

function ckaOf({ visual, text }: States, repeats: number, seed: number): Geometry["cka"] {
  const count = visual[0].length;
  const sizes = CKA_SAMPLES.filter((size) => size <= count);
  const curves = visual.map((own, block) => {
    const [x, y] = [meanTokens(own), meanTokens(text[block])];
    return sampleSizeCurve(
      count,
      (some) =>
        ckaAgainstShuffles(
          some.map((i) => x[i]),
          some.map((i) => y[i]),
          { draws: PERMUTATIONS, seed },
        ),
      { sizes, repeats, seed: seed + block },
    );
  });
  const means = (of: (curve: (typeof curves)[number]) => Float64Array): Rows =>
    sizes.map((_, s) =>
      curves.map((curve) => {
        const own = of(curve).subarray(s * repeats, (s + 1) * repeats);
        return own.reduce((sum, value) => sum + value / repeats, 0);
      }),
    );
  return {
    sizes,
    value: means(({ values }) => values.data),
    floor: means(({ floors }) => floors.data),
    power: sizes.map((_, s) => curves.reduce((sum, { power }) => sum + power[s] / curves.length, 0)),
    exceeds:
      sizes[0] === CKA_SAMPLES[0]
        ? curves.flatMap(({ power }) =>
            Array.from({ length: repeats }, (_, r) => (r < Math.round(power[0] * repeats) ? 1 : 0)),
          )
        : [],
  };
}
