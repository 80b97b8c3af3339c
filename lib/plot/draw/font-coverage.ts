/** Characters that a TrueType font has, from its `cmap` table. */
import { readFileSync } from "node:fs";

/** First and last code point of each unbroken stretch that a font maps. */
export type Coverage = readonly (readonly [first: number, last: number])[];

/** Reads the coverage of a font file from its Unicode `cmap`, of format 12 where there is one, else of format 4. */
export function coverageOf(file: string): Coverage {
  const font = readFileSync(file);
  const tables = Array.from({ length: font.readUInt16BE(4) }, (_, i) => 12 + 16 * i);
  const cmap = tables.find((at) => font.toString("latin1", at, at + 4) === "cmap");
  if (cmap === undefined) throw new Error(`${file} has no cmap table.`);
  const start = font.readUInt32BE(cmap + 8);
  const subtables = Array.from(
    { length: font.readUInt16BE(start + 2) },
    (_, i) => start + font.readUInt32BE(start + 8 + 8 * i),
  );
  const wide = subtables.find((at) => font.readUInt16BE(at) === 12);
  if (wide !== undefined) return groups(font, wide);
  const basic = subtables.find((at) => font.readUInt16BE(at) === 4);
  if (basic === undefined) throw new Error(`${file} has no Unicode cmap that is read here.`);
  return segments(font, basic);
}

/** True when a font with this coverage has the character. */
export function covers(coverage: Coverage, character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return coverage.some(([first, last]) => code >= first && code <= last);
}

function groups(font: Buffer, at: number): Coverage {
  return Array.from({ length: font.readUInt32BE(at + 12) }, (_, i) => {
    const group = at + 16 + 12 * i;
    return [font.readUInt32BE(group), font.readUInt32BE(group + 4)] as const;
  });
}

function segments(font: Buffer, at: number): Coverage {
  const count = font.readUInt16BE(at + 6) / 2;
  const ends = at + 14;
  const starts = ends + 2 * count + 2;
  return Array.from(
    { length: count },
    (_, i) => [font.readUInt16BE(starts + 2 * i), font.readUInt16BE(ends + 2 * i)] as const,
  );
}
