import type { Tensor } from "../../tensor.js";
import type { RgbImage } from "./raster.js";
import type { Levels } from "./settings.js";

/**
 * Value of each 8-bit level, (3, 256): `level · factor`, then `(· − mean) / std`, each step rounded to
 * float32 as numpy does it in transformers' PIL back end.
 */
export function levelTable(levels: Levels): Float32Array {
  const table = new Float32Array(3 * 256);
  for (let c = 0; c < 3; c++)
    for (let level = 0; level < 256; level++) {
      let value = Math.fround(levels.factor === undefined ? level : level * levels.factor);
      if (levels.normalize) {
        const centred = Math.fround(value - Math.fround(levels.normalize.mean[c]));
        value = centred / Math.fround(levels.normalize.std[c]);
      }
      table[c * 256 + level] = value;
    }
  return table;
}

/** Images of one size as (tiles, 3, height, width). */
export function planes(images: readonly RgbImage[], table: Float32Array): Tensor {
  const { width, height } = images[0];
  const area = width * height;
  const data = new Float32Array(images.length * 3 * area);
  images.forEach((image, t) => {
    for (let c = 0; c < 3; c++) {
      const out = (t * 3 + c) * area;
      for (let i = 0; i < area; i++) data[out + i] = table[c * 256 + image.data[i * 3 + c]];
    }
  });
  return { data, shape: [images.length, 3, height, width] };
}

export interface PatchShape {
  /** Side of a patch, in pixels. */
  readonly patch: number;
  /** Frames that a patch spans: a still image is repeated so often. */
  readonly temporal: number;
  /** Side of the square of patches that becomes one token. */
  readonly merge: number;
}

/**
 * An image as Qwen's patches, (patches, 3 · temporal · patch · patch): the merge×merge patches of one token stand
 * together, tokens row by row; inside a patch the axes are (channel, frame, row, column).
 */
export function mergedPatches(
  image: RgbImage,
  { patch, temporal, merge }: PatchShape,
  table: Float32Array,
): Tensor {
  const rows = image.height / patch;
  const columns = image.width / patch;
  const length = 3 * temporal * patch * patch;
  const data = new Float32Array(rows * columns * length);
  let out = 0;
  for (let row = 0; row < rows; row += merge)
    for (let column = 0; column < columns; column += merge)
      for (let inner = 0; inner < merge * merge; inner++) {
        const y = (row + Math.floor(inner / merge)) * patch;
        const x = (column + (inner % merge)) * patch;
        writePatch(image, { x, y, side: patch, temporal }, table, data.subarray(out, out + length));
        out += length;
      }
  return { data, shape: [rows * columns, length] };
}

function writePatch(
  image: RgbImage,
  { x, y, side, temporal }: Readonly<Record<"x" | "y" | "side" | "temporal", number>>,
  table: Float32Array,
  into: Float32Array,
): void {
  const area = side * side;
  for (let c = 0; c < 3; c++) {
    const frame = into.subarray(c * temporal * area, (c * temporal + 1) * area);
    for (let i = 0; i < area; i++) {
      const at = ((y + Math.floor(i / side)) * image.width + x + (i % side)) * 3 + c;
      frame[i] = table[c * 256 + image.data[at]];
    }
    for (let t = 1; t < temporal; t++) into.set(frame, (c * temporal + t) * area);
  }
}
