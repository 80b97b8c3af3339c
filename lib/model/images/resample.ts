/**
 * Resizing with the values of Pillow's `Image.resize` for 8-bit RGB, bit for bit: two passes (along rows and along
 * columns) of a convolution in fixed point with 22 fractional bits, each pass rounded and clipped to 8 bits. When an
 * image shrinks, the filter widens by the same factor (antialiasing). After Pillow's `Resample.c` and, for `nearest`,
 * `Geometry.c`.
 *
 * The order of the passes shows: by a level here and there, and by more at hard edges, where the overshoot is clipped
 * between them (up to 28 of 255 on noise). Pillow 13.0 begins with the columns when the height shrinks by more than
 * twice as many pixels as the width, which we found by trying 3340 sizes; 12.0 always begins with the rows. We do as 13.
 */

import { ModalscopeError } from "../../errors.js";
import { cut, intersect, type Region, type RgbImage } from "./raster.js";

export type Filter = "nearest" | "lanczos" | "bilinear" | "bicubic" | "box" | "hamming";

/** Filters by the number that `resample` has in preprocessor_config.json (PIL.Image.Resampling). */
export const FILTERS: readonly Filter[] = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"];

const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

/** A filter's weight at distance x, and beyond which distance it is 0, in pixels of the coarser of the two grids. */
interface Kernel {
  readonly support: number;
  weight(x: number): number;
}

const KERNELS: Record<Exclude<Filter, "nearest">, Kernel> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Pillow has these two as float32. */
const HAMMING = [Math.fround(0.54), Math.fround(0.46)];

function hamming(x: number): number {
  const d = Math.abs(x);
  if (d === 0) return 1;
  if (d >= 1) return 0;
  return (Math.sin(d * Math.PI) / (d * Math.PI)) * (HAMMING[0] + HAMMING[1] * Math.cos(d * Math.PI));
}

/** Keys' cubic convolution with a = −1/2. */
function bicubic(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** For each output pixel of a window, the input pixels that it averages and their fixed-point weights. */
interface Taps {
  /** First input pixel that any output needs, and how many from there on. */
  readonly from: number;
  readonly span: number;
  /** First input pixel of each output pixel, counted from `from`. */
  readonly start: Int32Array;
  /** Number of input pixels of each output pixel. */
  readonly count: Int32Array;
  /** (outputs, width); no width at all when this axis stays as it is. */
  readonly weights: Int32Array;
  readonly width: number;
}

/** Taps of the `outputs` pixels from `first` on when `input` pixels become `output`. */
function tapsOf(kernel: Kernel, input: number, output: number, first: number, outputs: number): Taps {
  const start = new Int32Array(outputs);
  const count = new Int32Array(outputs);
  if (input === output)
    return { from: first, span: outputs, start, count, weights: new Int32Array(0), width: 0 };
  const scale = input / output;
  const widened = Math.max(scale, 1);
  const support = kernel.support * widened;
  const inverse = 1 / widened;
  const width = Math.ceil(support) * 2 + 1;
  const weights = new Int32Array(outputs * width);
  const exact = new Float64Array(width);
  for (let i = 0; i < outputs; i++) {
    const centre = (first + i + 0.5) * scale;
    start[i] = Math.max(0, Math.trunc(centre - support + 0.5));
    count[i] = Math.min(input, Math.trunc(centre + support + 0.5)) - start[i];
    let sum = 0;
    for (let k = 0; k < count[i]; k++) {
      exact[k] = kernel.weight((k + start[i] - centre + 0.5) * inverse);
      sum += exact[k];
    }
    for (let k = 0; k < count[i]; k++) {
      const w = (sum === 0 ? exact[k] : exact[k] / sum) * (1 << PRECISION);
      weights[i * width + k] = Math.trunc(w < 0 ? w - 0.5 : w + 0.5);
    }
  }
  const from = start[0];
  const span = start[outputs - 1] + count[outputs - 1] - from;
  return { from, span, start: start.map((at) => at - from), count, weights, width };
}

/**
 * The pixels of `window` of what `image` resized to `width`×`height` is; outside it they are black. Only the window
 * is computed, with the same values as if all were: a 1000×1 strip resized to 336000×336 costs its centre crop.
 * @throws ModalscopeError when a size is 0
 */
export function resize(
  image: RgbImage,
  width: number,
  height: number,
  filter: Filter,
  window: Region = { x: 0, y: 0, width, height },
): RgbImage {
  for (const size of [image.width, image.height, width, height])
    if (!(size >= 1))
      throw new ModalscopeError(
        `An image of ${image.width}×${image.height} pixels cannot be resized to ${width}×${height}.`,
        "Each side needs at least one pixel.",
      );
  if (width === image.width && height === image.height) return cut(image, window);
  const wanted = intersect(window, { width, height });
  const empty = wanted.width === 0 || wanted.height === 0;
  const part = empty ? NOTHING : resizePart(image, width, height, filter, wanted);
  if (part.width === window.width && part.height === window.height) return part;
  return cut(part, { ...window, x: window.x - wanted.x, y: window.y - wanted.y });
}

const NOTHING: RgbImage = { width: 0, height: 0, data: new Uint8Array(0) };

function resizePart(
  image: RgbImage,
  width: number,
  height: number,
  filter: Filter,
  wanted: Region,
): RgbImage {
  if (filter === "nearest") return pickNearest(image, width, height, wanted);
  return convolve(image, width, height, KERNELS[filter], wanted);
}

function convolve(image: RgbImage, width: number, height: number, kernel: Kernel, wanted: Region): RgbImage {
  const across = tapsOf(kernel, image.width, width, wanted.x, wanted.width);
  const down = tapsOf(kernel, image.height, height, wanted.y, wanted.height);
  const source = cut(image, { x: across.from, y: down.from, width: across.span, height: down.span });
  const columnsFirst = height < image.height && image.height - height > 2 * (image.width - width);
  return columnsFirst
    ? alongRows(alongColumns(source, down), across)
    : alongColumns(alongRows(source, across), down);
}

function alongRows(image: RgbImage, { start, count, weights, width }: Taps): RgbImage {
  if (width === 0) return image;
  const source = image.data;
  const outputs = start.length;
  const data = new Uint8ClampedArray(outputs * image.height * 3);
  let out = 0;
  for (let row = 0; row < image.height * image.width; row += image.width)
    for (let x = 0; x < outputs; x++) {
      let r = HALF;
      let g = HALF;
      let b = HALF;
      const n = count[x];
      const first = x * width;
      for (let k = 0, i = (row + start[x]) * 3; k < n; k++, i += 3) {
        const w = weights[first + k];
        r += source[i] * w;
        g += source[i + 1] * w;
        b += source[i + 2] * w;
      }
      data[out++] = r >> PRECISION;
      data[out++] = g >> PRECISION;
      data[out++] = b >> PRECISION;
    }
  return { width: outputs, height: image.height, data: new Uint8Array(data.buffer) };
}

function alongColumns(image: RgbImage, { start, count, weights, width }: Taps): RgbImage {
  if (width === 0) return image;
  const source = image.data;
  const outputs = start.length;
  const stride = image.width * 3;
  const data = new Uint8ClampedArray(stride * outputs);
  const sums = new Int32Array(stride);
  for (let y = 0; y < outputs; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]; k++) {
      const w = weights[y * width + k];
      const row = (start[y] + k) * stride;
      for (let i = 0; i < stride; i++) sums[i] += source[row + i] * w;
    }
    for (let i = 0; i < stride; i++) data[y * stride + i] = sums[i] >> PRECISION;
  }
  return { width: image.width, height: outputs, data: new Uint8Array(data.buffer) };
}

function pickNearest(image: RgbImage, width: number, height: number, wanted: Region): RgbImage {
  const columns = nearestIndices(image.width, width, wanted.x, wanted.width);
  const rows = nearestIndices(image.height, height, wanted.y, wanted.height);
  const data = new Uint8Array(wanted.width * wanted.height * 3);
  let out = 0;
  for (const y of rows)
    for (const x of columns) {
      const i = (y * image.width + x) * 3;
      data[out++] = image.data[i];
      data[out++] = image.data[i + 1];
      data[out++] = image.data[i + 2];
    }
  return { width: wanted.width, height: wanted.height, data };
}

/** Input pixels nearest to the output pixels: Pillow adds up the step, rounding errors included. */
function nearestIndices(input: number, output: number, from: number, count: number): number[] {
  const step = input / output;
  const indices: number[] = [];
  let at = step * 0.5;
  for (let i = 0; i < from + count; i++, at += step)
    if (i >= from) indices.push(Math.min(input - 1, Math.trunc(at)));
  return indices;
}
