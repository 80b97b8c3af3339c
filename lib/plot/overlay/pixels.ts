/** The image under an overlay: read, made small enough for a notebook, and written again. */
import type { Canvas } from "@napi-rs/canvas";
import { ModalscopeError } from "../../errors.js";
import { canvasModule } from "../draw/fonts.js";
import { dataUri, image as imageFile } from "../show/content.js";

/** An image in memory: `data` holds red, green and blue bytes, (height, width, 3). */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** RGB values, or the bytes of a PNG, JPEG, WebP or GIF file. */
export type OverlaySource = RgbImage | Uint8Array;

/** Longest side in a notebook, in pixels. */
const MOST_PIXELS = 1024;
/** Below this many pixels in all a PNG is small, and drawn images stay sharp. */
const SMALL = 2 ** 16;
const JPEG_QUALITY = 88;

/**
 * The image on a canvas, no longer than a notebook has room for.
 * @throws ModalscopeError where it is no image, or not of the size that the model was given
 */
export function canvasOf(
  source: OverlaySource,
  size: { readonly width: number; readonly height: number },
): Canvas {
  const whole = source instanceof Uint8Array ? decoded(source) : fromRgb(source);
  if (whole.width !== size.width || whole.height !== size.height) {
    throw new ModalscopeError(
      `The image has ${whole.width}×${whole.height} pixels, and the layout is of one of ${size.width}×${size.height}.`,
      "They must be the same image.",
      "Take the layout of batch.images that belongs to it.",
    );
  }
  const scale = MOST_PIXELS / Math.max(size.width, size.height);
  if (scale >= 1) return whole;
  const small = canvasModule().createCanvas(
    Math.max(1, Math.round(size.width * scale)),
    Math.max(1, Math.round(size.height * scale)),
  );
  small.getContext("2d").drawImage(whole, 0, 0, small.width, small.height);
  return small;
}

function decoded(bytes: Uint8Array): Canvas {
  const { createCanvas, Image } = canvasModule();
  const image = new Image();
  try {
    image.src = Buffer.from(bytes);
  } catch {
    // It then has no size.
  }
  if (!(image.width > 0 && image.height > 0)) {
    throw new ModalscopeError(
      "These bytes cannot be read as an image.",
      "",
      "Give the content of a PNG, JPEG, WebP or GIF file, or { width, height, data } with RGB values.",
    );
  }
  const canvas = createCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas;
}

function fromRgb({ width, height, data }: RgbImage): Canvas {
  if (!(width > 0 && height > 0 && data.length === width * height * 3)) {
    throw new ModalscopeError(
      `An image of ${width}×${height} pixels has ${data.length} values.`,
      "There must be three for each pixel: red, green, blue.",
    );
  }
  const canvas = canvasModule().createCanvas(width, height);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    pixels.data.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Whether an image is so small that its pixels are to stay squares when it is drawn large. */
export const isSmall = ({ width, height }: { readonly width: number; readonly height: number }): boolean =>
  width * height <= SMALL;

/**
 * An image for a page of its own: small enough for a notebook, as a data URI.
 * @throws ModalscopeError where it is no image, or not of this size
 */
export function embeddedImage(
  source: OverlaySource,
  size: { readonly width: number; readonly height: number },
): string {
  const canvas = canvasOf(source, size);
  return dataUri(imageFile(encodeCanvas(canvas, isSmall(canvas))));
}

/** The canvas as a PNG where its content is small and sharp, and as a JPEG otherwise. */
export function encodeCanvas(canvas: Canvas, sharp: boolean): Uint8Array {
  return sharp ? canvas.toBuffer("image/png") : canvas.toBuffer("image/jpeg", JPEG_QUALITY);
}
