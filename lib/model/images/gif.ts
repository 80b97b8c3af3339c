/** The part of a GIF's first frame that libvips leaves black: its screen around the frame. */

interface GifFrame {
  /** Frame in pixels of the screen. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Colour with which Pillow fills the screen first: the transparent one, or the first of the palette. */
  readonly background: readonly [number, number, number];
  readonly transparent: boolean;
}

const EXTENSION = 0x21;
const GRAPHIC_CONTROL = 0xf9;
const IMAGE = 0x2c;
const BLACK = [0, 0, 0] as const;

/** The first frame of a GIF (GIF89a, sections 18–23); undefined where the file ends before it. */
export function firstGifFrame(file: Uint8Array): GifFrame | undefined {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const u16 = (at: number): number => (at + 2 <= bytes.length ? bytes.readUInt16LE(at) : 0);
  const table = (flags: number): number => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  const globalTable = 13;
  let at = globalTable + table(bytes[10] ?? 0);
  let transparency: number | undefined;
  while (at < bytes.length && bytes[at] === EXTENSION) {
    if (bytes[at + 1] === GRAPHIC_CONTROL && bytes[at + 3] & 1) transparency = bytes[at + 6];
    at += 2;
    // Blocks of data, each with its length before it, and one of length zero at the end.
    while (at < bytes.length && bytes[at] > 0) at += bytes[at] + 1;
    at++;
  }
  if (bytes[at] !== IMAGE || at + 10 > bytes.length) return undefined;
  const local = table(bytes[at + 9]);
  const palette = local > 0 ? at + 10 : globalTable;
  const size = local > 0 ? local : table(bytes[10]);
  const entry = palette + 3 * (transparency ?? 0);
  const known = 3 * (transparency ?? 0) < size && entry + 3 <= bytes.length;
  return {
    left: u16(at + 1),
    top: u16(at + 3),
    width: u16(at + 5),
    height: u16(at + 7),
    background: known ? [bytes[entry], bytes[entry + 1], bytes[entry + 2]] : BLACK,
    transparent: transparency !== undefined,
  };
}

/** Fills what lies outside a frame, in place: (height, width, 3). */
export function fillAround(
  rgb: Uint8Array,
  { left, top, width, height, background }: GifFrame,
  imageWidth: number,
): void {
  for (let pixel = 0; 3 * pixel < rgb.length; pixel++) {
    const [x, y] = [(pixel % imageWidth) - left, Math.floor(pixel / imageWidth) - top];
    if (x < 0 || y < 0 || x >= width || y >= height) rgb.set(background, 3 * pixel);
  }
}
