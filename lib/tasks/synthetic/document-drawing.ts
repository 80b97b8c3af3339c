/** Pages as pixels. Where a dot is more than one pixel there is room for the boxes of a form and the edges of paper. */
import { BLACK, COLOURS, GRAY, LIGHT, WHITE } from "../raster/colours.js";
import { GLYPH_HEIGHT, textWidth, write } from "../raster/font.js";
import { box, type Canvas, mark, paint, polygon } from "../raster/paint.js";
import { type Fields, total } from "./document-questions.js";
import type { Layout } from "./page-scene.js";

/** Lays a page out on 48 units a side; `dot` pixels make one unit, and what is left over is margin. */
export const DRAW_PAGE: Readonly<
  Record<Layout, (raster: Canvas, fields: Fields, size: number, dot: number) => void>
> = {
  form(raster, fields, size, dot) {
    fields.forEach(([key, value], i) => {
      const y = (3 + i * 11) * dot;
      write(raster, key, [2 * dot, y], BLACK, dot);
      write(raster, value, [24 * dot, y], COLOURS.blue, dot);
      if (dot > 1) frame(raster, 22 * dot, y - 2 * dot, size - 23 * dot, (GLYPH_HEIGHT + 4) * dot);
      else paint(raster, box(23 * dot, y + (GLYPH_HEIGHT + 1) * dot, size - 24 * dot, dot), GRAY);
      line(raster, y, size, dot, [key, value]);
    });
  },
  letter(raster, fields, size, dot) {
    const [day, month, to, from] = fields.map(([, value]) => value);
    const date = `${day} ${month}`;
    if (dot > 1) frame(raster, 0, 0, size, size);
    write(raster, date, [size - textWidth(date, dot) - 2 * dot, 3 * dot], BLACK, dot);
    write(raster, `to ${to}`, [2 * dot, 13 * dot], BLACK, dot);
    line(raster, 3 * dot, size, dot, [day, month]);
    line(raster, 13 * dot, size, dot, ["to", to]);
    // Greeked lines stand for the body.
    for (let line = 0; line < 4; line++) {
      paint(raster, box(2 * dot, (22 + 4 * line) * dot, (line === 3 ? 24 : 44) * dot, 2 * dot), LIGHT);
    }
    write(raster, `from ${from}`, [2 * dot, size - 8 * dot], BLACK, dot);
    line(raster, size - 8 * dot, size, dot, ["from", from]);
  },
  table(raster, fields, size, dot) {
    const rows = [["name", "age"] as const, ...fields];
    paint(raster, box(0, 0, size, 11 * dot), LIGHT);
    rows.forEach(([key, value], i) => {
      const y = (3 + i * 11.5) * dot;
      write(raster, key, [3 * dot, y], BLACK, dot);
      write(raster, value, [32 * dot, y], BLACK, dot);
      line(raster, y, size, dot, [key, value]);
      if (i < fields.length) paint(raster, box(0, Math.round(y + 8 * dot), size, dot), GRAY);
    });
    paint(raster, box(29 * dot, 0, dot, size), GRAY);
  },
  receipt(raster, fields, size, dot) {
    paint(raster, box(4 * dot, 0, 40 * dot, size), WHITE);
    if (dot > 1) torn(raster, 4 * dot, size, 40 * dot, dot);
    fields.forEach(([key, value], i) => {
      const y = (4 + i * 10) * dot;
      write(raster, key, [7 * dot, y], BLACK, dot);
      write(raster, value, [37 * dot, y], BLACK, dot);
      line(raster, y, size, dot, [key, value]);
    });
    paint(raster, box(7 * dot, 34 * dot, 34 * dot, dot), BLACK);
    const sum = String(total(fields));
    write(raster, "total", [7 * dot, 38 * dot], COLOURS.red, dot);
    write(raster, sum, [41 * dot - textWidth(sum, dot), 38 * dot], COLOURS.red, dot);
    line(raster, 38 * dot, size, dot, ["total", sum]);
  },
};

/** A box of lines one pixel wide. */
function frame(raster: Canvas, left: number, top: number, width: number, height: number): void {
  for (const y of [top, top + height - 1]) paint(raster, box(left, y, width, 1), GRAY);
  for (const x of [left, left + width - 1]) paint(raster, box(x, top, 1, height), GRAY);
}

/** The lower edge of a strip of paper as a till tears it. */
function torn(raster: Canvas, left: number, bottom: number, width: number, dot: number): void {
  for (let x = left; x < left + width; x += 4 * dot)
    paint(raster, polygon([x, bottom], [x + 2 * dot, bottom - 2 * dot], [x + 4 * dot, bottom]), GRAY);
}

/** Marks a line of the page, a dot higher and lower than its text. */
function line(raster: Canvas, y: number, size: number, dot: number, words: readonly string[]): void {
  mark(raster, box(0, y - dot, size, (GLYPH_HEIGHT + 2) * dot), words);
}
