import { cut, type Region, type RgbImage } from "./raster.js";
import { type Filter, resize } from "./resample.js";

/** A rectangle in the pixels of the original image: left, top, right, bottom. */
export type Box = readonly [x0: number, y0: number, x1: number, y1: number];

/** Along one axis: where in the original a coordinate of the view lies, `offset + scale · here`. */
interface Axis {
  readonly scale: number;
  readonly offset: number;
}

/** Image as a model sees it: pixels made from the original image, and how they map back to it. */
export interface View {
  readonly image: RgbImage;
  readonly original: { readonly width: number; readonly height: number };
  readonly x: Axis;
  readonly y: Axis;
}

export function viewOf(image: RgbImage): View {
  const same = { scale: 1, offset: 0 };
  return { image, original: image, x: same, y: same };
}

/**
 * The view resized to `size`, and of that the pixels of `window` (default: all). A window may reach outside, where
 * it is black: centre crops and padding are both windows.
 */
export function resizeView(
  view: View,
  size: { readonly width: number; readonly height: number },
  filter: Filter,
  window: Region = { x: 0, y: 0, ...size },
): View {
  const { image } = view;
  return {
    image: resize(image, size.width, size.height, filter, window),
    original: view.original,
    x: follow(view.x, image.width / size.width, window.x),
    y: follow(view.y, image.height / size.height, window.y),
  };
}

/** The pixels of `window`, and `background` where it reaches outside. */
export function cutView(view: View, window: Region, background?: readonly [number, number, number]): View {
  return {
    image: cut(view.image, window, background),
    original: view.original,
    x: follow(view.x, 1, window.x),
    y: follow(view.y, 1, window.y),
  };
}

function follow(axis: Axis, scale: number, start: number): Axis {
  return { scale: axis.scale * scale, offset: axis.offset + axis.scale * scale * start };
}

/** Box of a view's region in the original image, clipped to it: without area when the region is padding. */
export function boxOf(view: View, region: Region = { x: 0, y: 0, ...sizeOfView(view) }): Box {
  const along = (axis: Axis, at: number, limit: number): number =>
    Math.min(limit, Math.max(0, axis.offset + axis.scale * at));
  const { width, height } = view.original;
  return [
    along(view.x, region.x, width),
    along(view.y, region.y, height),
    along(view.x, region.x + region.width, width),
    along(view.y, region.y + region.height, height),
  ];
}

function sizeOfView({ image }: View): { width: number; height: number } {
  return { width: image.width, height: image.height };
}

/** A side shorter than this is rounding, in pixels. */
const ROUNDING = 1e-9;

export function hasArea([x0, y0, x1, y1]: Box): boolean {
  return x1 - x0 > ROUNDING && y1 - y0 > ROUNDING;
}
