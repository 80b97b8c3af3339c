/** Attention rollout of a vision tower: which patches each visual token, or each feature, draws on. */
import { ModalscopeError } from "../errors.js";
import type { Batch, Model } from "../model/index.js";
import { checkOptions, integer, number, type OptionChecks, oneOf } from "../options.js";
import { at0, type Tensor } from "../tensor.js";
import type { FeatureRun } from "./encode-run.js";

/**
 * How patches are pooled to tokens and what becomes of the maps.
 *
 * `document`: the mean over blocks of rows and of columns, as the study's text has it; nothing is done to
 * the values.
 * `published`: vlm-circuit-tracing's code: the largest over blocks of rows alone, so that a map keeps every
 * patch; then
 * the top 5 % are cut to the 95th percentile and each map is scaled to 0 … 1.
 */
export type RolloutForm = "document" | "published";

export interface RolloutOptions {
  readonly form?: RolloutForm;
  /** Last layers that are multiplied (default 4). */
  readonly lastLayers?: number;
  /** Share of the heads of a layer that counts: those of least mean entropy (default 0.3). */
  readonly headShare?: number;
}

const ROLLOUT_OPTIONS: OptionChecks<RolloutOptions> = {
  form: oneOf("document", "published"),
  lastLayers: integer(1),
  headShare: number(0, 1),
};

/** Maps of one image. */
export interface Rollout {
  readonly form: RolloutForm;
  /** Row of the batch, and columns of the image's tokens in it. */
  readonly row: number;
  readonly positions: readonly number[];
  /** (tokens, rows, columns): how much a token draws on each cell of the image. */
  readonly maps: Tensor;
}

/**
 * Rollout (Abnar and Zuidema 2020) over the tower's last layers: R ← normalise(Ā + I) · R from the lower
 * layer to the
 * higher, a row for each query; Ā is the mean over the heads whose rows have the least mean entropy.
 * @throws ModalscopeError for a batch without images, and for towers whose tokens are no blocks of a square
 *   grid
 */
export async function visionRollout(
  model: Model,
  batch: Batch,
  options: RolloutOptions = {},
): Promise<Rollout[]> {
  checkOptions("visionRollout", options, ROLLOUT_OPTIONS);
  const { form = "document", lastLayers = 4, headShare = 0.3 } = options;
  if (!batch.images) {
    throw new ModalscopeError(
      "There is nothing to roll out.",
      "The batch has no image.",
      "Give prompts with images.",
    );
  }
  // Of Qwen3-VL, whose pixels are no planes, the patches lie in the merger's order.
  const odd = batch.images.find(
    ({ image: { tiles, grid, tokens, pixels } }) =>
      tiles.length !== 1 || (grid[1] * grid[2]) % tokens.length > 0 || pixels.shape.length !== 4,
  );
  if (odd) {
    throw new ModalscopeError(
      "Rollout is for towers that read an image whole and make its tokens of equal blocks of patches.",
      `Here an image has ${odd.image.tiles.length} tiles, ${odd.image.grid.join(" × ")} patches and ${odd.image.tokens.length} tokens.`,
    );
  }
  const pattern = "vision.blocks.*.attn.hook_pattern";
  const { cache } = await model.run(batch, { capture: [pattern], stopAtLayer: 0 });
  const layers = model.hooks
    .filter((name) => /^vision\.blocks\.\d+\.attn\.hook_pattern$/.test(name))
    .slice(-lastLayers);
  return batch.images.map(({ row, positions, image: { grid, tokens } }, i): Rollout => {
    const [, height, width] = grid;
    const patterns = layers.map((name) => at0(cache.get(name), i));
    const rolled = rollout(patterns, headShare);
    // A class token stands before the patches.
    const first = rolled.shape[0] - height * width;
    const block = Math.round(Math.sqrt((height * width) / tokens.length));
    const maps = tokenMaps(rolled, { height, width, block, first }, form);
    return { form, row, positions, maps };
  });
}

/**
 * R over some layers, lowest first.
 * @param patterns (heads, query, key) of each layer
 * @returns (query, key): rows sum to 1
 */
export function rollout(patterns: readonly Tensor[], headShare: number): Tensor {
  const size = patterns[0].shape[1];
  let rolled: Float64Array | undefined;
  for (const pattern of patterns) {
    const mixed = withResidual(focusedMean(pattern, headShare), size);
    rolled = rolled ? product(mixed, rolled, size) : mixed;
  }
  return { data: Float32Array.from(rolled!), shape: [size, size] };
}

/** Mean pattern of the heads of least entropy: at least one. Natural logarithm, 1e-6 added within it. */
function focusedMean({ data, shape: [heads, queries, keys] }: Tensor, share: number): Float64Array {
  const size = queries * keys;
  const entropies = Array.from({ length: heads }, (_, h) => {
    let sum = 0;
    for (let i = h * size; i < (h + 1) * size; i++) sum -= data[i] * Math.log(data[i] + 1e-6);
    return { head: h, entropy: sum / queries };
  });
  const kept = entropies
    .sort((a, b) => a.entropy - b.entropy || a.head - b.head)
    .slice(0, Math.max(1, Math.floor(heads * share)));
  const mean = new Float64Array(size);
  for (const { head } of kept) for (let i = 0; i < size; i++) mean[i] += data[head * size + i] / kept.length;
  return mean;
}

function withResidual(mean: Float64Array, size: number): Float64Array {
  for (let q = 0; q < size; q++) {
    mean[q * size + q] += 1;
    let sum = 0;
    for (let k = 0; k < size; k++) sum += mean[q * size + k];
    for (let k = 0; k < size; k++) mean[q * size + k] /= sum;
  }
  return mean;
}

function product(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const out = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let k = 0; k < size; k++)
      for (let j = 0; j < size; j++) out[i * size + j] += a[i * size + k] * b[k * size + j];
  return out;
}

interface PatchGrid {
  readonly height: number;
  readonly width: number;
  /** Patches of a token along each side. */
  readonly block: number;
  /** Rows and columns of R before the patches. */
  readonly first: number;
}

/** Maps of all tokens from R over patches: see `RolloutForm`. */
export function tokenMaps({ data, shape: [size] }: Tensor, grid: PatchGrid, form: RolloutForm): Tensor {
  const { height, width, block, first } = grid;
  const [rows, columns] = [height / block, width / block];
  const cells = form === "document" ? rows * columns : height * width;
  const maps = new Float32Array(rows * columns * cells);
  const tokenOf = (patch: number): number =>
    Math.floor(Math.floor(patch / width) / block) * columns + Math.floor((patch % width) / block);
  const share = 1 / block ** 4;
  for (let q = 0; q < height * width; q++) {
    const own = tokenOf(q) * cells;
    for (let k = 0; k < height * width; k++) {
      const value = data[(first + q) * size + first + k];
      if (form === "document") maps[own + tokenOf(k)] += value * share;
      else maps[own + k] = Math.max(maps[own + k], value);
    }
  }
  if (form === "published")
    for (let t = 0; t < rows * columns; t++) stretch(maps.subarray(t * cells, (t + 1) * cells));
  return {
    data: maps,
    shape: [rows * columns, ...(form === "document" ? [rows, columns] : [height, width])],
  };
}

/** Cuts a map at its 95th percentile and scales it to 0 … 1. */
function stretch(map: Float32Array): void {
  const sorted = [...map].sort((a, b) => a - b);
  const at = 0.95 * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  const top = low + (high - low) * (at - Math.floor(at));
  const [least, most] = [sorted[0], Math.max(top, sorted[0])];
  for (let i = 0; i < map.length; i++)
    map[i] = most > least ? (Math.min(map[i], top) - least) / (most - least) : 0;
}

/**
 * A feature's map: the mean of the tokens' maps, weighted by the feature's activation at each; all zero
 * where it is
 * active at no token of the image.
 * @returns (rows, columns)
 */
export function featureRollout(
  run: FeatureRun,
  { maps, positions, row }: Rollout,
  layer: number,
  feature: number,
): Tensor {
  const [, height, width] = maps.shape;
  const data = new Float32Array(height * width);
  let total = 0;
  const { offsets, ids, values } = run.layers[layer];
  run.tokens.forEach((place, t) => {
    const token = place.row === row ? positions.indexOf(place.column) : -1;
    const at = token < 0 ? -1 : ids.subarray(offsets[t], offsets[t + 1]).indexOf(feature);
    if (at < 0) return;
    const z = values[offsets[t] + at];
    total += z;
    for (let i = 0; i < data.length; i++) data[i] += z * maps.data[token * data.length + i];
  });
  if (total > 0) for (let i = 0; i < data.length; i++) data[i] /= total;
  return { data, shape: [height, width] };
}
