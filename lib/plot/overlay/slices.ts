/** Values of an overlay: a slice of one value per token for each setting of the sliders, written compactly. */
import { ModalscopeError } from "../../errors.js";

/** Values (…, tokens). */
export interface OverlayValues {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}

/** Colours by size, by size and sign, or by number. */
export type OverlayScale = "sequential" | "diverging" | "category";

/** Least and largest value of a slice. */
export type Range = readonly [low: number, high: number];

export interface Slices {
  /** Lengths of the axes before the tokens. */
  readonly axes: readonly number[];
  readonly tokens: number;
  readonly ranges: readonly Range[];
  at(slice: number, token: number): number;
}

/** More would make a notebook slow to open: 2.7 MB of text. */
const MOST_VALUES = 2 ** 20;

/**
 * Values by slice, checked.
 * @throws ModalscopeError for another number of tokens than the layout has, and for more values than a notebook takes
 */
export function slicesOf({ data, shape }: OverlayValues, tokens: number): Slices {
  const axes = shape.slice(0, -1);
  const count = axes.reduce((n, length) => n * length, 1);
  if (shape.at(-1) !== tokens || data.length !== count * tokens || count === 0) {
    throw new ModalscopeError(
      `The values have the shape (${shape.join(", ")}) and the image ${tokens} tokens.`,
      "The last axis must be the image's tokens, in their order.",
      "imageAttention gives such values, (layers, heads, tokens).",
    );
  }
  if (data.length > MOST_VALUES) {
    throw new ModalscopeError(
      `An overlay of (${shape.join(", ")}) has ${data.length.toLocaleString("en")} values.`,
      `A notebook stays quick to open with ${MOST_VALUES.toLocaleString("en")}.`,
      "Show fewer layers or heads, or their mean.",
    );
  }
  const at = (slice: number, token: number): number => data[slice * tokens + token];
  const ranges = Array.from({ length: count }, (_, s): Range => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let t = 0; t < tokens; t++) {
      const value = at(s, t);
      if (!Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    return low <= high ? [low, high] : [0, 0];
  });
  return { axes, tokens, ranges, at };
}

/** Of 16 bits; the last one says that there is no value. */
export const LEVELS = 65_535;

/** Each value as 16 bits between its slice's ends, low byte first, in base64; whole numbers of categories from 0 on. */
export function encodeSlices({ ranges, tokens, at }: Slices, scale: OverlayScale): string {
  const bytes = Buffer.alloc(2 * ranges.length * tokens);
  ranges.forEach(([low, high], s) => {
    const step = scale === "category" ? 1 : (high - low) / (LEVELS - 1);
    const from = scale === "category" ? 0 : low;
    for (let t = 0; t < tokens; t++) {
      const value = at(s, t);
      const level = Number.isFinite(value) ? (step === 0 ? 0 : Math.round((value - from) / step)) : LEVELS;
      bytes.writeUInt16LE(level, 2 * (s * tokens + t));
    }
  });
  return bytes.toString("base64");
}

/** @throws ModalscopeError for categories that are no whole numbers from 0 on */
export function checkCategories({ ranges, tokens, at }: Slices): void {
  for (let s = 0; s < ranges.length; s++)
    for (let t = 0; t < tokens; t++) {
      const value = at(s, t);
      if (Number.isNaN(value) || (Number.isInteger(value) && value >= 0 && value < LEVELS)) continue;
      throw new ModalscopeError(`${value} is no category.`, "Categories are whole numbers from 0 on.");
    }
}
