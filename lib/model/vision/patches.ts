/** Inputs of the vision tower besides its stream: patches, and the place of each. */
import type { Tensor } from "../../tensor.js";
import type { BatchImage, Pass } from "../batch/index.js";
import { floats, type ModelSpec } from "../engine/index.js";
import type { VisionConfig } from "../families/index.js";
import type { ProcessedImage } from "../images/index.js";
import { rotations } from "../nn/index.js";

/** An image's patches, (tiles, patches, patchDim), each with its values in the order of the embedding's weight. */
export function patchesOf({ pixels }: ProcessedImage, { patch_size: p, patchDim }: VisionConfig): Tensor {
  if (pixels.shape.length === 2) return { data: pixels.data, shape: [1, ...pixels.shape] };
  const [tiles, channels, height, width] = pixels.shape;
  const [rows, across] = [Math.floor(height / p), Math.floor(width / p)];
  const data = new Float32Array(tiles * rows * across * patchDim);
  let to = 0;
  for (let t = 0; t < tiles; t++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < across; column++)
        for (let c = 0; c < channels; c++)
          for (let y = 0; y < p; y++, to += p) {
            const from = ((t * channels + c) * height + row * p + y) * width + column * p;
            data.set(pixels.data.subarray(from, from + p), to);
          }
  return { data, shape: [tiles, rows * across, patchDim] };
}

/** The patches of all images, (rows, patches, patchDim), zeros where a row has fewer. */
export function patchRows(
  engine: ModelSpec,
  vision: VisionConfig,
  images: readonly BatchImage[],
  { size, seqLength: time }: Pass,
): Tensor {
  const width = vision.patchDim;
  const data = floats(engine, size * time * width);
  let row = 0;
  for (const { image } of images) {
    const { data: own, shape } = patchesOf(image, vision);
    const [tiles, patches] = shape;
    for (let t = 0; t < tiles; t++, row++)
      data.set(own.subarray(t * patches * width, (t + 1) * patches * width), row * time * width);
  }
  return { data, shape: [size, time, width] };
}

/** Row and column of each patch of a grid, in the order in which the patches of one token lie together. */
function cells([, height, width]: ProcessedImage["grid"], merge: number): { row: number; column: number }[] {
  const across = width / merge;
  return Array.from({ length: height * width }, (_, i) => {
    const block = Math.floor(i / merge ** 2);
    const row = Math.floor(block / across) * merge + (Math.floor(i / merge) % merge);
    return { row, column: (block % across) * merge + (i % merge) };
  });
}

/**
 * Weight of each learned position for a patch, (rows, patches, num_positions): the square of positions stretched
 * over each image's grid, linearly between neighbours, corner to corner.
 */
export function interpolatedPositions(
  engine: ModelSpec,
  { numPositions, spatialMergeSize }: VisionConfig,
  images: readonly BatchImage[],
  { size, seqLength: time }: Pass,
): Tensor {
  const shape = [size, time, numPositions];
  if (!engine.family.vision!.interpolatesPositions)
    return { data: floats(engine, 0), shape: [size, 0, numPositions] };
  const side = Math.round(Math.sqrt(numPositions));
  const data = floats(engine, size * time * numPositions);
  images.forEach(({ image }, b) => {
    const down = bilinearWeights(image.grid[1], side);
    const across = bilinearWeights(image.grid[2], side);
    cells(image.grid, spatialMergeSize).forEach(({ row, column }, i) => {
      for (const [r, a] of down[row])
        for (const [c, w] of across[column]) data[(b * time + i) * numPositions + r * side + c] += a * w;
    });
  });
  return { data, shape };
}

/** For each of `length` points from one end to the other: the two nearest of `side` positions, and their shares. */
function bilinearWeights(length: number, side: number): (readonly [at: number, share: number])[][] {
  return Array.from({ length }, (_, i) => {
    const at = length > 1 ? (i * (side - 1)) / (length - 1) : 0;
    const low = Math.floor(at);
    const high = Math.min(low + 1, side - 1);
    return [
      [low, Math.fround(1 - (at - low))],
      [high, Math.fround(at - low)],
    ];
  });
}

/** Base of the tower's rotary frequencies. */
const THETA = 10_000;

/** Cosines and sines of a patch's row (first half of the pairs) and column (second half); empty where the tower has none. */
export function rotaryAngles(
  engine: ModelSpec,
  { head_dim, spatialMergeSize }: VisionConfig,
  images: readonly BatchImage[],
  { size, seqLength: time }: Pass,
): { cos: Tensor; sin: Tensor } {
  const shape = [size, time, head_dim];
  if (!engine.family.vision!.usesRope) {
    const none = { data: floats(engine, 0), shape: [size, 0, head_dim] };
    return { cos: none, sin: none };
  }
  const pairs = head_dim / 4;
  const inverse = Float32Array.from({ length: pairs }, (_, i) => 1 / Math.fround(THETA ** (i / pairs)));
  const cos = floats(engine, size * time * head_dim);
  const sin = floats(engine, size * time * head_dim);
  images.forEach(({ image }, b) => {
    const all = cells(image.grid, spatialMergeSize);
    const turned = [all.map(({ row }) => row), all.map(({ column }) => column)].map((positions) =>
      rotations([positions], { inverse, scale: 1 }),
    );
    for (let i = 0; i < all.length; i++) {
      const to = (b * time + i) * head_dim;
      // Each half of the head holds the rows' angles and then the columns'.
      for (let part = 0; part < 4; part++) {
        const from = i * pairs * 2;
        cos.set(turned[part % 2].cos.subarray(from, from + pairs), to + part * pairs);
        sin.set(turned[part % 2].sin.subarray(from, from + pairs), to + part * pairs);
      }
    }
  });
  return { cos: { data: cos, shape }, sin: { data: sin, shape } };
}
