/** Feeds of the training graph from one batch. */
import { ModalscopeError } from "../../errors.js";
import type { Value } from "../../runtime/index.js";
import type { Tensor } from "../../tensor.js";
import { AttentionInputs, type Batch, type BatchImage } from "../batch/index.js";
import type { ModelSpec } from "../engine/index.js";
import { batchPass } from "../forward/index.js";
import {
  interpolatedPositions,
  NEWLINE,
  patchRows,
  tokenRows,
  towerInputs,
  visionRows,
} from "../vision/index.js";
import type { LabelLoss } from "./labels.js";

/** Rows to learn from: for each cell the token to predict next, and how much it counts. */
export interface TrainingBatch {
  /** With its images. */
  readonly batch: Batch;
  /** (batch, time): the token that should follow each column. */
  readonly targets: Int32Array;
  /** (batch, time): the weight of each prediction in the loss; 0 leaves it out. */
  readonly lossWeights: Float32Array;
  /** By image, by its visual token: the words that are true of it, as numbers from 0; an image may have none known. */
  readonly labels?: readonly (readonly (readonly number[])[] | undefined)[];
}

/**
 * By the names of the graph's inputs; weights are apart.
 * @throws ModalscopeError when nothing is to be predicted, or labels are missing
 */
export function batchFeeds(
  model: ModelSpec,
  { batch, targets, lossWeights, labels }: TrainingBatch,
  labelLoss?: LabelLoss,
): Record<string, Value> {
  const { config } = model;
  const shared = new AttentionInputs(config, batchPass(model, batch), (n) => new Float32Array(n));
  const feeds: Record<string, Value> = {};
  const feed = (name: string, { data, shape }: Tensor): void => {
    feeds[name] = { type: "float32", dims: shape, data };
  };
  const index = (name: string, numbers: ArrayLike<number>, dims: readonly number[]): void => {
    feeds[name] = { type: "int64", dims, data: BigInt64Array.from(numbers, BigInt) };
  };
  for (const type of new Set(config.layer_types)) {
    const layer = config.layer_types.indexOf(type);
    const { cos, sin } = shared.rotations(layer);
    feed(`${type}.cos`, cos);
    feed(`${type}.sin`, sin);
    feed(`${type}.mask`, shared.mask(layer));
  }
  if (!labelLoss?.alone) {
    const places = Array.from(lossWeights.keys()).filter((i) => lossWeights[i] > 0);
    index("places of predictions", places, [places.length]);
    feed("targets", oneHot(places, targets, lossWeights, config.vocab_size));
  }
  feed("tokens", shares(batch));
  const dims = [batch.size, batch.seqLength];
  const sources = Int32Array.from(batch.inputIds);
  if (config.vision_config) {
    const images = batch.images?.length ? batch.images : [blankImage(model)];
    const rows = visionRows(config.vision_config, images);
    feed("patches", patchRows(model, config.vision_config, images, rows.patches));
    feed("positionWeights", interpolatedPositions(model, config.vision_config, images, rows.tower));
    for (const [name, x] of Object.entries(towerInputs(model, images, rows.tower))) feed(`vision.${name}`, x);
    const seen = new Int32Array(batch.inputIds.length);
    const vectors = rows.tokens.size * rows.tokens.seqLength;
    const rowsOfTokens = tokenRows(config.vision_config, images, rows.tokens.seqLength);
    if (labelLoss) {
      const known = labels ?? (batch.images?.length ? undefined : []);
      const { truth, shares } = labelFeeds(rowsOfTokens, known, vectors, labelLoss.words);
      feed("labels", truth);
      feed("label shares", shares);
    }
    rowsOfTokens.forEach((own, i) => {
      const { row, positions: columns } = images[i];
      own.forEach((from, t) => {
        const cell = row * batch.seqLength + columns[t];
        sources[cell] = config.vocab_size + (from === NEWLINE ? vectors : from);
        seen[cell] = from + 1;
      });
    });
    index("seen", seen, dims);
  }
  index("sources", sources, dims);
  if (model.family.names.positions !== undefined) index("positionIds", batch.positionIds, dims);
  return feeds;
}

/** A batch without images still has a row for the tower, which nothing shows: a graph's inputs are not empty. */
function blankImage({ family, config }: ModelSpec): BatchImage {
  const { spatialMergeSize, patch_size, patchDim, numPositions, classTokens } = config.vision_config!;
  const side = Math.round(Math.sqrt(numPositions - classTokens));
  const [cells, shape] = family.vision!.interpolatesPositions
    ? [spatialMergeSize, [spatialMergeSize ** 2, patchDim]]
    : [side, [1, patchDim / patch_size ** 2, side * patch_size, side * patch_size]];
  const pixels = { data: new Float32Array(shape.reduce((a, b) => a * b)), shape };
  return {
    row: 0,
    positions: [],
    image: {
      width: 1,
      height: 1,
      pixels,
      grid: [1, cells, cells],
      tiles: [{ box: [0, 0, 1, 1], kind: "whole" }],
      tokens: [],
    },
  };
}

/** (batch, time, 1): each token's share of the batch's tokens. */
function shares({ attentionMask, size, seqLength: time }: Batch): Tensor {
  const total = attentionMask.reduce((a, b) => a + b, 0);
  return { data: Float32Array.from(attentionMask, (m) => m / total), shape: [size, time, 1] };
}

/** (1, predictions, vocabulary): what each prediction counts, at the token that it should be. */
function oneHot(
  places: readonly number[],
  targets: Int32Array,
  counts: Float32Array,
  vocabulary: number,
): Tensor {
  const total = places.reduce((sum, at) => sum + counts[at], 0);
  if (!(total > 0))
    throw new ModalscopeError("No prediction of the batch counts.", "All its weights are zero.");
  const data = new Float32Array(places.length * vocabulary);
  places.forEach((at, i) => {
    data[i * vocabulary + targets[at]] = counts[at] / total;
  });
  return { data, shape: [1, places.length, vocabulary] };
}

/**
 * (seen, words): 1 where a word is true of a visual token; (seen, 1): each labelled token's share of them all.
 * @param tokenRows by image, by its visual token: the row of its vector, or that of no image
 */
function labelFeeds(
  tokenRows: readonly (readonly number[])[],
  labels: TrainingBatch["labels"],
  vectors: number,
  words: number,
): Record<"truth" | "shares", Tensor> {
  if (!labels || labels.some((own, i) => own && own.length !== tokenRows[i].length)) {
    throw new ModalscopeError(
      "The batch's visual tokens have no labels.",
      "The training has a loss on them.",
      "Give labels: for each image, for each of its visual tokens, the words that are true of it.",
    );
  }
  const truth = new Float32Array(vectors * words);
  const shares = new Float32Array(vectors);
  const labelled = tokenRows.filter((_, i) => labels[i]);
  const total = labelled.flat().filter((row) => row !== NEWLINE).length;
  labels.forEach((own, i) => {
    own?.forEach((trueWords, t) => {
      const row = tokenRows[i][t];
      if (row === NEWLINE) return;
      shares[row] = 1 / total;
      for (const word of trueWords) truth[row * words + word] = 1;
    });
  });
  return {
    truth: { data: truth, shape: [vectors, words] },
    shares: { data: shares, shape: [vectors, 1] },
  };
}
