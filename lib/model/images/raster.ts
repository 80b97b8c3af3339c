import { ModalscopeError } from "../../errors.js";

/** An image in memory: 8-bit RGB, row-major, no padding between rows. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** (height, width, 3) */
  readonly data: Uint8Array;
}

/** A rectangle of pixels; it may reach outside the image that it is taken from. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** @throws ModalscopeError when the sizes are not those of an image, or the data do not fill them */
export function checkRaster(image: RgbImage): void {
  const { width, height, data } = image;
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0))
    throw new ModalscopeError(
      `The image is ${width}×${height} pixels.`,
      "A width and a height are whole numbers above 0.",
    );
  if (!(data instanceof Uint8Array) || data.length !== width * height * 3)
    throw new ModalscopeError(
      `The image of ${width}×${height} pixels has ${data?.length ?? "no"} values.`,
      `RGB needs ${width * height * 3} bytes (height, width, 3).`,
    );
}

/** The pixels of `region`; what lies outside the image is `background` (black by default). */
export function cut(
  image: RgbImage,
  region: Region,
  background: readonly [number, number, number] = [0, 0, 0],
): RgbImage {
  const { width, height } = region;
  const data = new Uint8Array(width * height * 3);
  const inside = intersect(region, image);
  const covered = inside.width === width && inside.height === height;
  if (!covered && background.some((level) => level !== 0))
    for (let i = 0; i < data.length; i++) data[i] = background[i % 3];
  for (let y = inside.y; y < inside.y + inside.height; y++) {
    const from = (y * image.width + inside.x) * 3;
    const to = ((y - region.y) * width + inside.x - region.x) * 3;
    data.set(image.data.subarray(from, from + inside.width * 3), to);
  }
  return { width, height, data };
}

/** The part of `region` that lies inside an image of this size; width and height 0 when there is none. */
export function intersect(region: Region, size: { readonly width: number; readonly height: number }): Region {
  const x = Math.min(Math.max(region.x, 0), size.width);
  const y = Math.min(Math.max(region.y, 0), size.height);
  const width = Math.min(region.x + region.width, size.width) - x;
  const height = Math.min(region.y + region.height, size.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : { x, y, width: 0, height: 0 };
}
