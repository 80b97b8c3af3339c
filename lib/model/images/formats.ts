/** Formats of image files, told by their first bytes before a decoder sees them. */
import { ModalscopeError } from "../../errors.js";

/**
 * Text that names the element `svg` near its start, in UTF-8 or UTF-16, as libvips looks for it: it would draw it.
 * Files of bytes that are no text have their own beginning.
 */
const hiddenSvg = /^(?!\xff\xd8|\x89PNG|GIF8|RIFF|II\*|MM\0\*|.{4}ftyp).*<\0?s\0?v\0?g/is;

/** Formats that are not read, with how their files begin. */
const UNREAD: readonly (readonly [name: string, ...begins: (string | RegExp)[]])[] = [
  ["BMP", "BM"],
  ["PBM, PGM, PPM or PAM", /^P[1-7]\s/],
  ["SVG", /^(\xef\xbb\xbf)?\s*(<\?xml|<!--|<!doctype\s+svg|<svg)/i, hiddenSvg],
  ["gzip", "\x1f\x8b"],
  // A number of images follows, which tells it from a TGA.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: bytes of a file
  ["Windows icon", /^\0\0[\x01\x02]\0[^\0]/],
  ["Photoshop", "8BPS"],
  ["JPEG 2000", "\0\0\0\x0cjP  ", "\xff\x4f\xff\x51"],
  ["JPEG XL", "\xff\x0a", "\0\0\0\x0cJXL "],
  ["PDF", "%PDF"],
  ["Radiance HDR", "#?RADIANCE"],
  ["OpenEXR", "\x76\x2f\x31\x01"],
];

/**
 * Refuses a file of a format that is not read, or not as its pixels are meant.
 * @param readable names of the formats that are
 * @throws ModalscopeError naming the format
 */
export function checkFormat(name: string, bytes: Uint8Array, readable: readonly string[]): void {
  const start = Buffer.from(bytes.subarray(0, 1000)).toString("latin1");
  const matches = (begins: string | RegExp): boolean =>
    typeof begins === "string" ? start.startsWith(begins) : begins.test(start);
  const unread = UNREAD.find(([, ...begins]) => begins.some(matches));
  const format = unread?.[0] ?? (isTarga(name, bytes) ? "TGA" : undefined);
  if (format !== undefined) {
    throw new ModalscopeError(
      `${name} is of the format ${format}, which is not read.`,
      `Images are read from ${readable.join(", ")}.`,
      "Convert it to PNG.",
    );
  }
  if (tiffPhotometric(bytes) === YCBCR) {
    throw new ModalscopeError(
      `${name} is a TIFF with YCbCr pixels, which are not read.`,
      "They would be taken for red, green and blue.",
      "Convert it to PNG.",
    );
  }
}

/** Its files begin with nothing of their own; newer ones end with their name. */
const isTarga = (name: string, bytes: Uint8Array): boolean =>
  /\.tga$/i.test(name) || Buffer.from(bytes.subarray(-18)).toString("latin1") === "TRUEVISION-XFILE.\0";

const PHOTOMETRIC = 262;
const YCBCR = 6;

/** PhotometricInterpretation of a TIFF's first image; undefined where there is none, or the file is no TIFF. */
function tiffPhotometric(bytes: Uint8Array): number | undefined {
  const little = bytes[0] === 0x49 && bytes[1] === 0x49;
  if (bytes.length < 8 || !(little || (bytes[0] === 0x4d && bytes[1] === 0x4d))) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = view.getUint32(4, little);
  if (view.getUint16(2, little) !== 42 || at + 2 > bytes.length) return undefined;
  for (let i = 0, entry = at + 2; i < view.getUint16(at, little); i++, entry += 12) {
    if (entry + 12 > bytes.length) return undefined;
    if (view.getUint16(entry, little) === PHOTOMETRIC) return view.getUint16(entry + 8, little);
  }
  return undefined;
}
