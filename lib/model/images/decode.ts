import { readFile } from "node:fs/promises";
import type { Metadata } from "sharp";
import { ModalscopeError } from "../../errors.js";
import { checkFormat } from "./formats.js";
import { fillAround, firstGifFrame } from "./gif.js";
import { checkRaster, type RgbImage } from "./raster.js";

export type { RgbImage } from "./raster.js";

/** A path or a `data:` URL, the bytes of an image file, or decoded pixels. */
export type ImageSource = string | Uint8Array | RgbImage;

export interface DecodeOptions {
  /** Largest width × height, checked in the file's header before it is decoded; default 89,478,485, as in Pillow. */
  readonly maxPixels?: number;
  /**
   * Treatment of transparency: `drop` (default) keeps the colours that lie under it, as transformers does
   * with a path (`load_image`); `white` lays the image on white, as it does with a PIL image
   * (`convert_to_rgb`).
   */
  readonly alpha?: "drop" | "white";
}

/** Pillow's MAX_IMAGE_PIXELS: an image that takes a quarter of a gigabyte as RGB. */
const MAX_PIXELS = 89_478_485;

const FORMATS = ["jpeg", "png", "webp", "gif", "tiff", "heif"];

/**
 * Reads an image as 8-bit RGB with the values that Pillow's `.convert("RGB")` gives: the first frame of an animation,
 * turned as its EXIF orientation says, colour profiles left alone, CMYK by Pillow's formula, 16-bit levels by their
 * high byte. PNG, GIF, TIFF and lossless WebP are exact, JPEG and lossy WebP too where the decoders' builds agree.
 * Not as Pillow: 16-bit *grey* (Pillow clips it at 255, which leaves it white); the colours under a GIF's transparency
 * (black here); the chroma of AVIF, another decoder's.
 * @throws ModalscopeError when there is no such file, it is no image of a known format, it is damaged, or too large
 */
export async function decodeImage(source: ImageSource, options: DecodeOptions = {}): Promise<RgbImage> {
  if (typeof source === "object" && source !== null && "width" in source) {
    checkRaster(source);
    checkPixels("The image", source.width, source.height, options.maxPixels);
    return source;
  }
  const { name, input } = await open(source);
  checkFormat(name, input, FORMATS);
  const sharp = await libvips();
  const file = await reading(name, () =>
    sharp(input, { limitInputPixels: false, failOn: "error" }).metadata(),
  );
  if (!FORMATS.includes(file.format))
    throw new ModalscopeError(
      `${name} is of the format ${file.format}.`,
      `Images are read from ${FORMATS.join(", ")}.`,
      "Convert it to PNG.",
    );
  if (file.depth !== "uchar" && file.depth !== "ushort")
    throw new ModalscopeError(`${name} has levels of the type ${file.depth}.`, "8 or 16 bits are read.");
  checkPixels(name, file.width, file.height, options.maxPixels);
  return reading(name, () => decode(input, file, options.alpha ?? "drop"));
}

/** Loaded with the first image: it takes a fifth of a second, which those who only read text need not wait for. */
async function libvips(): Promise<typeof import("sharp").default> {
  return (await import("sharp")).default;
}

async function open(source: string | Uint8Array): Promise<{ name: string; input: Uint8Array }> {
  if (source instanceof Uint8Array) {
    if (source.length > 0) return { name: "The image", input: source };
    throw new ModalscopeError("The image has no bytes.", "An image file is expected, in memory.");
  }
  if (typeof source !== "string")
    throw new ModalscopeError(
      "This is no image.",
      `It is ${source === null ? "null" : typeof source}; a path, a data: URL, a file's bytes or {width, height, data} is expected.`,
    );
  if (source.startsWith("data:")) return { name: "The data: URL", input: bytesOfUrl(source) };
  if (/^https?:/i.test(source))
    throw new ModalscopeError(
      `${source} is not read.`,
      "Nothing is fetched from a network.",
      "Save it first.",
    );
  // Read here, because libvips keeps what it opened by path, and would not see that a file has changed.
  const input = await readFile(source).catch((cause: Error) => {
    throw new ModalscopeError(`The image ${source} cannot be opened.`, `${cause.message}.`, "", { cause });
  });
  if (input.length === 0) throw new ModalscopeError(`${source} is no image.`, "The file is empty.");
  return { name: source, input };
}

function bytesOfUrl(url: string): Uint8Array {
  const comma = url.indexOf(",");
  const body = url.slice(comma + 1);
  const bytes = /;base64$/i.test(url.slice(0, Math.max(comma, 0)))
    ? Buffer.from(body, "base64")
    : Buffer.from(unescapePercent(body), "latin1");
  if (comma > 0 && bytes.length > 0) return bytes;
  throw new ModalscopeError("The data: URL holds no image.", "data:image/png;base64,… is expected.");
}

function unescapePercent(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function checkPixels(name: string, width: number, height: number, limit: number = MAX_PIXELS): void {
  if (width * height <= limit) return;
  throw new ModalscopeError(
    `${name} has ${width}×${height} = ${width * height} pixels.`,
    `The limit is ${limit} pixels.`,
    "Make it smaller, or raise maxPixels.",
  );
}

/** Runs libvips, and says of which image its error is. */
async function reading<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.trim().replace(/\s+/g, " ") : String(cause);
    throw new ModalscopeError(
      `${name} cannot be read as an image.`,
      why.endsWith(".") ? why : `${why}.`,
      `The file is damaged, or of a format that is not read; read are ${FORMATS.join(", ")}.`,
      { cause },
    );
  }
}

async function decode(input: Uint8Array, file: Metadata, alpha: "drop" | "white"): Promise<RgbImage> {
  // Profiles are ignored because Pillow ignores them; CMYK is kept apart from libvips' own conversion for the same reason.
  const sharp = await libvips();
  let image = sharp(input, { limitInputPixels: false, failOn: "error", ignoreIcc: true, autoOrient: true });
  if (file.space === "cmyk") image = image.pipelineColourspace("cmyk").toColourspace("cmyk");
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const rgb =
    file.space === "cmyk"
      ? fromCmyk(data, channels)
      : channels < 3
        ? fromGrey(data, channels, alpha)
        : fromRgb(data, channels, alpha);
  const frame = file.format === "gif" ? firstGifFrame(input) : undefined;
  // Laid on white, a transparent screen is white already.
  if (frame && !(frame.transparent && alpha === "white")) fillAround(rgb, frame, width);
  return { width, height, data: rgb };
}

/** Pillow's conversion: the complement of the ink, times the complement of black. */
function fromCmyk(data: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let i = 0, o = 0; i < data.length; i += channels) {
    const light = 255 - data[i + 3];
    for (let c = 0; c < 3; c++) {
      const t = data[i + c] * light + 128;
      rgb[o++] = Math.max(0, light - (((t >> 8) + t) >> 8));
    }
  }
  return rgb;
}

function fromGrey(data: Uint8Array, channels: number, alpha: "drop" | "white"): Uint8Array {
  const rgb = new Uint8Array((data.length / channels) * 3);
  const laid = channels === 2 && alpha === "white";
  for (let i = 0, o = 0; i < data.length; i += channels, o += 3)
    rgb.fill(laid ? onWhite(data[i], data[i + 1]) : data[i], o, o + 3);
  return rgb;
}

function fromRgb(data: Uint8Array, channels: number, alpha: "drop" | "white"): Uint8Array {
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.length);
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let i = 0, o = 0; i < data.length; i += channels)
    for (let c = 0; c < 3; c++)
      rgb[o++] = alpha === "white" ? onWhite(data[i + c], data[i + 3]) : data[i + c];
  return rgb;
}

/** One level over white, in the fixed point of Pillow's `alpha_composite` (7 fractional bits). */
function onWhite(level: number, alpha: number): number {
  if (alpha === 0) return 255;
  const t = level * alpha * 128 + 255 * (255 - alpha) * 128 + (0x80 << 7);
  return ((t >> 8) + t) >> 15;
}
