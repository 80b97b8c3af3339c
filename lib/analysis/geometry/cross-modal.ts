import { ModalscopeError } from "../../errors.js";
/** Geometry of visual and text tokens over depth. */
import { checkOptions, integer, numeric, type OptionChecks } from "../../options.js";
import type { Tensor } from "../../tensor.js";
import { asMatrix, columnMeans, type MatrixLike, stack } from "../linalg/matrix.js";
import type { AgainstShuffles } from "../statistics/shuffles.js";
import {
  ckaAgainstShuffles,
  FLOOR_OPTIONS,
  type FloorOptions,
  iccAgainstShuffles,
  rankAgainstShuffles,
} from "./floors.js";

/** States of tokens: by layer, by sample, `(tokens, width)`. */
export type LayerTokens = readonly (readonly MatrixLike[])[];

/**
 * The tokens at some columns of a capture `(batch, time, width)`, by row `(tokens, width)`.
 * @example
 * const visual = hooks.map((hook) => tokensAt(cache.get(hook), batch.visual));
 */
export function tokensAt({ data, shape }: Tensor, columns: readonly (readonly number[])[]): Tensor[] {
  const [rows, time, width] = shape;
  if (shape.length !== 3 || rows !== columns.length) {
    throw new ModalscopeError(
      `A capture has the shape (${shape.join(", ")}), and columns are given for ${columns.length} rows.`,
      "It must be (batch, time, width), with columns for each row.",
    );
  }
  return columns.map((own, b) => {
    const out = new Float32Array(own.length * width);
    own.forEach((t, i) => {
      if (!(t >= 0 && t < time))
        throw new ModalscopeError(`Row ${b} has no column ${t}.`, `There are ${time}.`);
      out.set(data.subarray((b * time + t) * width, (b * time + t + 1) * width), i * width);
    });
    return { data: out, shape: [own.length, width] };
  });
}

/** Effective rank of each sample's tokens over depth, centred. */
export interface RankCurve {
  /** (layers, samples) */
  readonly values: Tensor<Float64Array>;
  /** (layers): mean over samples. */
  readonly mean: Float64Array;
  /** (layers): the same with each dimension shuffled over a sample's tokens: the most that so many tokens can show. */
  readonly ceiling: Float64Array;
}

/** Options of {@link rankCurve}. */
export interface RankCurveOptions extends Pick<FloorOptions, "seed"> {
  /** Shuffles of each sample's dimensions (default 3; the ceiling is their mean over samples). */
  readonly rankDraws?: number;
}

const RANK_CURVE_OPTIONS: OptionChecks<RankCurveOptions> = { rankDraws: numeric, seed: integer() };

/**
 * Effective rank of each sample's tokens over depth, their mean subtracted. It depends on the number of tokens: compare
 * samples of equally many, or shares of the ceiling.
 * @throws ModalscopeError for a sample with fewer than two tokens, or whose tokens are all alike.
 */
export function rankCurve(tokens: LayerTokens, options: RankCurveOptions = {}): RankCurve {
  checkOptions("rankCurve", options, RANK_CURVE_OPTIONS);
  const { rankDraws = 3, seed = 0 } = options;
  const ranks = tokens.map((samples) =>
    samples.map((x) => rankAgainstShuffles(x, { centre: true, draws: rankDraws, seed })),
  );
  const means = (of: (rank: AgainstShuffles) => number): Float64Array =>
    Float64Array.from(ranks, (samples) => samples.reduce((sum, one) => sum + of(one) / samples.length, 0));
  return {
    values: {
      data: Float64Array.from(ranks.flatMap((samples) => samples.map(({ value }) => value))),
      shape: [tokens.length, tokens[0]?.length ?? 0],
    },
    mean: means(({ value }) => value),
    ceiling: means(({ floor }) => floor),
  };
}

export interface CrossModalGeometry {
  /** (layers): ICC(1) of visual tokens by image, the mean over dimensions; its floor shuffles tokens among images. */
  readonly visualIcc: readonly AgainstShuffles[];
  readonly visualRank: RankCurve;
  readonly textRank: RankCurve;
  /** (layers): debiased CKA of samples' mean visual and mean text tokens; its floor shuffles the pairs. */
  readonly cka: readonly AgainstShuffles[];
}

/**
 * Geometry of visual and text tokens by layer, each measure beside its floor.
 * @param tokens by layer and sample: visual tokens, and text tokens of the same samples in the same order.
 * @throws ModalscopeError where the two have other layers or samples, and for fewer than four samples.
 * @example
 * const tokens = { visual: hooks.map((h) => tokensAt(cache.get(h), batch.visual)), text: … };
 * const { visualIcc, cka } = crossModalGeometry(tokens);
 */
export function crossModalGeometry(
  { visual, text }: { readonly visual: LayerTokens; readonly text: LayerTokens },
  options: FloorOptions & RankCurveOptions = {},
): CrossModalGeometry {
  checkOptions("crossModalGeometry", options, { ...FLOOR_OPTIONS, ...RANK_CURVE_OPTIONS });
  const { draws, rankDraws, ...shared } = options;
  const floors = { ...shared, draws };
  const ranks = { ...shared, rankDraws };
  const shapeOf = (tokens: LayerTokens): string => tokens.map((samples) => samples.length).join(", ");
  if (shapeOf(visual) !== shapeOf(text)) {
    throw new ModalscopeError(
      `There are ${shapeOf(visual)} samples of visual tokens by layer, and ${shapeOf(text)} of text tokens.`,
      "Both must be of the same samples at the same layers.",
    );
  }
  return {
    visualIcc: visual.map((samples) => imageIcc(samples, floors)),
    visualRank: rankCurve(visual, ranks),
    textRank: rankCurve(text, ranks),
    cka: visual.map((samples, layer) =>
      ckaAgainstShuffles(meanTokens(samples), meanTokens(text[layer]), floors),
    ),
  };
}

/** ICC(1) of tokens by their sample, beside that of tokens shuffled among samples. */
export function imageIcc(samples: readonly MatrixLike[], options: FloorOptions = {}): AgainstShuffles {
  checkOptions("imageIcc", options, FLOOR_OPTIONS);
  const images = samples.map((x) => asMatrix(x, "The visual tokens"));
  const groups = images.flatMap(({ shape: [count] }, image) => Array<number>(count).fill(image));
  return iccAgainstShuffles(stack(images), groups, options);
}

/** Mean token of each sample, (samples, width). */
export function meanTokens(samples: readonly MatrixLike[]): Float64Array[] {
  return samples.map((x) => columnMeans(asMatrix(x, "A sample's tokens")));
}
