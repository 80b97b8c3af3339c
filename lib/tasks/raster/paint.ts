import type { BoxAnnotation, Raster } from "../visual-task.js";

/** Red, green and blue, 0–255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** A part of the plane: where it lies at most, and what is in it. Lengths are in pixels unless placed otherwise. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** Whether all between two of its points is in it too: then the corners of a pixel tell of its middle. */
  readonly convex?: boolean;
  inside(x: number, y: number): boolean;
}

/** A place in pixels. */
export type Point = readonly [x: number, y: number];

/** An image that is being drawn. */
export interface Canvas extends Raster {
  readonly annotations: BoxAnnotation[];
}

/** An image of one colour. */
export function blank(width: number, height: number, colour: Colour): Canvas {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = colour[i % 3];
  return { width, height, data, annotations: [] };
}

/** Keeps what a part of the image shows: the truth that a model's visual tokens can be held against. */
export function mark(canvas: Canvas, { left, top, right, bottom }: Region, words: readonly string[]): void {
  canvas.annotations.push({ left, top, right, bottom, words });
}

/** Samples along each axis of a pixel. Only sums of whole samples decide its colour, so that every machine agrees. */
const SAMPLES = 4;

/** Paints a region over an image, its edge smoothed; `opacity` 0–1. */
export function paint(raster: Raster, region: Region, colour: Colour, opacity = 1): void {
  const { width, height, data } = raster;
  const bottom = Math.min(height, Math.ceil(region.bottom));
  const right = Math.min(width, Math.ceil(region.right));
  for (let y = Math.max(0, Math.floor(region.top)); y < bottom; y++) {
    for (let x = Math.max(0, Math.floor(region.left)); x < right; x++) {
      const share = (coverage(region, x, y) / (SAMPLES * SAMPLES)) * opacity;
      if (share === 0) continue;
      const at = (y * width + x) * 3;
      for (let c = 0; c < 3; c++)
        data[at + c] = Math.round(data[at + c] + (colour[c] - data[at + c]) * share);
    }
  }
}

/** First and last sample of a pixel along an axis. */
const FIRST = 0.5 / SAMPLES;
const LAST = 1 - FIRST;

function coverage(region: Region, x: number, y: number): number {
  if (
    region.convex &&
    region.inside(x + FIRST, y + FIRST) &&
    region.inside(x + LAST, y + FIRST) &&
    region.inside(x + FIRST, y + LAST) &&
    region.inside(x + LAST, y + LAST)
  )
    return SAMPLES * SAMPLES;
  let inside = 0;
  for (let j = 0; j < SAMPLES; j++) {
    for (let i = 0; i < SAMPLES; i++) {
      if (region.inside(x + (i + 0.5) / SAMPLES, y + (j + 0.5) / SAMPLES)) inside++;
    }
  }
  return inside;
}

/** A rectangle. */
export function box(left: number, top: number, width: number, height: number): Region {
  const right = left + width;
  const bottom = top + height;
  const inside = (x: number, y: number) => x >= left && x < right && y >= top && y < bottom;
  return { left, top, right, bottom, convex: true, inside };
}

/** An ellipse around a centre, a circle when one radius is given. */
export function disc(x: number, y: number, rx: number, ry: number = rx): Region {
  const inside = (px: number, py: number) => {
    const dx = (px - x) / rx;
    const dy = (py - y) / ry;
    return dx * dx + dy * dy <= 1;
  };
  return { left: x - rx, top: y - ry, right: x + rx, bottom: y + ry, convex: true, inside };
}

/** A polygon, by the even-odd rule. */
export function polygon(...points: readonly Point[]): Region {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return {
    left: Math.min(...xs),
    top: Math.min(...ys),
    right: Math.max(...xs),
    bottom: Math.max(...ys),
    inside(x, y) {
      let odd = false;
      for (let i = 0, j = xs.length - 1; i < xs.length; j = i++) {
        if (ys[i] > y !== ys[j] > y && x < ((xs[j] - xs[i]) * (y - ys[i])) / (ys[j] - ys[i]) + xs[i])
          odd = !odd;
      }
      return odd;
    },
  };
}

/** A line through points with round ends and joints. */
export function stroke(width: number, ...points: readonly Point[]): Region {
  const half = width / 2;
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return {
    left: Math.min(...xs) - half,
    top: Math.min(...ys) - half,
    right: Math.max(...xs) + half,
    bottom: Math.max(...ys) + half,
    convex: xs.length <= 2,
    inside(x, y) {
      for (let i = 1; i < xs.length; i++) {
        if (
          distanceSquared(x - xs[i - 1], y - ys[i - 1], xs[i] - xs[i - 1], ys[i] - ys[i - 1]) <=
          half * half
        )
          return true;
      }
      return false;
    },
  };
}

/** Squared distance of a point from the segment between the origin and another point. */
function distanceSquared(x: number, y: number, dx: number, dy: number): number {
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.min(1, Math.max(0, (x * dx + y * dy) / length));
  return (x - t * dx) ** 2 + (y - t * dy) ** 2;
}

/** The slice of a disc from one share of a turn to another, clockwise from the top. */
export function slice(x: number, y: number, radius: number, from: number, to: number): Region {
  const whole = disc(x, y, radius);
  const quarters = [0, 0.25, 0.5, 0.75, 1].filter((turn) => turn > from && turn < to);
  const rim = [from, ...quarters, to].map((turn) => 2 * Math.PI * turn);
  const xs = [x, ...rim.map((angle) => x + radius * Math.sin(angle))];
  const ys = [y, ...rim.map((angle) => y - radius * Math.cos(angle))];
  return {
    left: Math.min(...xs) - ROUNDING,
    top: Math.min(...ys) - ROUNDING,
    right: Math.max(...xs) + ROUNDING,
    bottom: Math.max(...ys) + ROUNDING,
    convex: to - from <= 0.5,
    inside(px, py) {
      if (!whole.inside(px, py)) return false;
      const turn = Math.atan2(px - x, y - py) / (2 * Math.PI);
      const share = turn < 0 ? turn + 1 : turn;
      return share >= from && share < to;
    },
  };
}

/** Pixels by which a slice's outermost point may be computed too near. */
const ROUNDING = 1e-6;

/** The first region without the second. */
export function without(region: Region, hole: Region): Region {
  return { ...region, convex: false, inside: (x, y) => region.inside(x, y) && !hole.inside(x, y) };
}

/** The intersection of both. */
export function within(region: Region, mask: Region): Region {
  return {
    ...region,
    convex: region.convex && mask.convex,
    inside: (x, y) => region.inside(x, y) && mask.inside(x, y),
  };
}

/** A region drawn in a unit square, put into a box. */
export function placed(region: Region, left: number, top: number, width: number, height: number): Region {
  return {
    left: left + region.left * width,
    top: top + region.top * height,
    right: left + region.right * width,
    bottom: top + region.bottom * height,
    convex: region.convex,
    inside: (x, y) => region.inside((x - left) / width, (y - top) / height),
  };
}

/** The mirror image of a region in the unit square. */
export function mirrored(region: Region): Region {
  return {
    ...region,
    left: 1 - region.right,
    right: 1 - region.left,
    inside: (x, y) => region.inside(1 - x, y),
  };
}
