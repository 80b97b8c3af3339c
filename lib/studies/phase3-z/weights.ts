/** What chose the layer: readings of the attention and FFN weights, without data. */
import { mean } from "simple-statistics";
import {
  coordinates,
  effectiveRankOf,
  energyInSubspace,
  headKernelSpectra,
  type Matrix,
  type MatrixLike,
  randomSubspace,
  sharpestDrop,
  zMask,
} from "../../analysis/index.js";
import type { Model } from "../../model/index.js";
import { checkOptions, flag, integer, type OptionChecks, required } from "../../options.js";
import { COUNT } from "../../study-options.js";
import type { BesideRandom, WeightsPart } from "./parts.js";
import { type Sizes, scaledSizes } from "./rules.js";
import { attentionOf } from "./subject.js";

/** A model's weights as the study reads them. */
export interface WeightSource {
  readonly layers: number;
  readonly width: number;
  readonly sizes: Sizes;
  /** Effective rank of each head's kernel as a share of the head size. */
  ranks(layer: number): readonly number[];
  /** V_Z `(k, d)`. */
  basis(layer: number, k: number): Matrix;
  /** The FFN's write directions, `(directions, d)`, or `(d, directions)` with `columns`. */
  writes(layer: number): { readonly matrix: MatrixLike; readonly columns: boolean };
}

const WEIGHT_OPTIONS: OptionChecks<WeightOptions> = {
  primary: integer(0),
  secondary: integer(0),
  k: integer(1),
  randomSets: COUNT,
  seed: required(integer(), "an integer"),
};

/** The weights of a checkpoint in Qwen2's layout. */
export function weightsOf(model: Model, options: { readonly foldGain?: boolean } = {}): WeightSource {
  checkOptions("weightsOf", options, { foldGain: flag });
  const { foldGain = false } = options;
  const { hidden_size, num_key_value_heads, head_dim, num_hidden_layers } = model.config;
  return {
    layers: num_hidden_layers,
    width: hidden_size,
    sizes: scaledSizes(Math.min(hidden_size, num_key_value_heads * head_dim)),
    ranks: (layer) =>
      headKernelSpectra(attentionOf(model, layer, foldGain)).map((own) => effectiveRankOf(own) / head_dim),
    basis: (layer, k) => zMask(attentionOf(model, layer, foldGain), k).basis,
    writes: (layer) => ({
      matrix: model.weight(`model.layers.${layer}.mlp.down_proj.weight`),
      columns: true,
    }),
  };
}

export interface WeightOptions {
  /** The layer to patch; that before the sharpest drop of similarity when left out. */
  readonly primary?: number;
  readonly secondary?: number;
  readonly k?: number;
  readonly randomSets: number;
  readonly seed: number;
}

/** Reads all layers, and finds the pair of neighbours behind which their similarity falls most. */
export function readWeights(source: WeightSource, options: WeightOptions): WeightsPart {
  checkOptions("readWeights", options, WEIGHT_OPTIONS);
  const { layers, width } = source;
  const sizes = { ...source.sizes, ...(options.k === undefined ? {} : { main: options.k }) };
  const all = Array.from({ length: layers }, (_, l) => l);
  const bases = all.map((l) => source.basis(l, sizes.main));
  const cosines = (a: Matrix, b: Matrix): number[] => rowNorms(coordinates(a, b));
  const similarity = all.slice(1).map((l) => cosines(bases[l - 1], bases[l]));
  const overlaps = all.flatMap((a) => all.map((b) => mean(cosines(bases[a], bases[b]))));
  const primary = options.primary ?? sharpestDrop(similarity.map(mean)).index;
  const secondary = options.secondary ?? Math.min(layers - 1, primary + 1);
  const randoms = Array.from({ length: options.randomSets }, (_, i) =>
    randomSubspace(sizes.main, width, 104729 * (options.seed + 1) + i),
  );
  const energyOf = (layer: number, basis: Matrix): number[] => {
    const { matrix, columns } = source.writes(layer);
    const { perVector, chance } = energyInSubspace(matrix, basis, { columns });
    return Array.from(perVector, (share) => share / chance).filter(Number.isFinite);
  };
  const chosen = [...new Set([primary, secondary])];
  const energy: BesideRandom = {
    values: chosen.flatMap((l) => energyOf(l, bases[l])),
    nulls: randoms.map((basis) => chosen.flatMap((l) => energyOf(l, basis))),
  };
  return {
    primary,
    secondary,
    sizes,
    width,
    ranks: all.map((l) => source.ranks(l)),
    similarity,
    overlaps: { data: Float64Array.from(overlaps), shape: [layers, layers] },
    energy,
    energies: all.map((l) => mean(energyOf(l, bases[l]))),
  };
}

/** Squared length of each row. */
function rowNorms({ data, shape: [rows, width] }: Matrix): number[] {
  return Array.from({ length: rows }, (_, i) =>
    data.subarray(i * width, (i + 1) * width).reduce((sum, value) => sum + value * value, 0),
  );
}
