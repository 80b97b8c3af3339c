/** Charts as pixels. Where a dot is more than one pixel there is room for an axis and lines to read heights by. */
import { BLACK, COLOURS, type ColourName, inkOn, LIGHT } from "../raster/colours.js";
import { GLYPH_HEIGHT, writeCentred } from "../raster/font.js";
import { box, type Canvas, disc, mark, paint, slice, stroke } from "../raster/paint.js";
import type { ChartKind, ChartScene } from "./chart-scene.js";

/** Values with a line across the chart. */
const GRID = [3, 6, 9];

const barHeight = (value: number, size: number, room: number): number =>
  Math.round(((size - 1 - room) * value) / 9);

/** Draws the chart of each kind; the annotations have its parts in their order. */
export const DRAW_CHART: Readonly<
  Record<ChartKind, (raster: Canvas, scene: ChartScene, size: number, dot: number) => void>
> = {
  bar(raster, { names, values }, size, dot) {
    const room = GLYPH_HEIGHT * dot + 2;
    const step = size / names.length;
    if (dot > 1) {
      for (const value of GRID)
        paint(raster, box(0, size - 1 - barHeight(value, size, room), size, 1), LIGHT);
      paint(raster, box(0, 0, 1, size), BLACK);
    }
    paint(raster, box(0, size - 1, size, 1), BLACK);
    values.forEach((value, i) => {
      const height = barHeight(value, size, room);
      const left = Math.round(i * step + step * 0.14);
      const width = Math.round(step * 0.72);
      paint(raster, box(left, size - 1 - height, width, height), COLOURS[names[i] as ColourName]);
      writeCentred(raster, String(value), [left + width / 2, size - 1 - height - room / 2], BLACK, dot);
      mark(raster, box(left, size - 1 - height - room, width, height + room), [names[i], String(value)]);
    });
  },
  line(raster, { names, values, ink = "blue" }, size, dot) {
    const room = GLYPH_HEIGHT * dot + 2;
    const step = size / names.length;
    const floor = size - room - 1;
    // The number stands above its point: the highest point leaves room for it.
    const heightOf = (value: number): number =>
      floor - 2 * dot - ((floor - 2 * room - dot) * (value - 1)) / 8;
    const points = values.map((value, i): [number, number] => [(i + 0.5) * step, heightOf(value)]);
    if (dot > 1) {
      for (const value of GRID) paint(raster, box(0, Math.round(heightOf(value)), size, 1), LIGHT);
      paint(raster, box(0, 0, 1, floor), BLACK);
    }
    paint(raster, box(0, floor, size, 1), LIGHT);
    paint(raster, stroke(1.2 * dot, ...points), COLOURS[ink]);
    points.forEach(([x, y], i) => {
      paint(raster, disc(x, y, 1.8 * dot), COLOURS[ink]);
      writeCentred(raster, String(values[i]), [x, y - room / 2 - 2 * dot], BLACK, dot);
      writeCentred(raster, names[i], [x, size - room / 2], BLACK, dot);
      mark(raster, box(x - step / 2, 0, step, size), [names[i], String(values[i])]);
    });
  },
  pie(raster, { names, values }, size, dot) {
    const total = values.reduce((a, b) => a + b);
    const centre = size / 2;
    let from = 0;
    values.forEach((value, i) => {
      const to = i === values.length - 1 ? 1 : from + value / total;
      const colour = COLOURS[names[i] as ColourName];
      paint(raster, slice(centre, centre, centre - 1, from, to), colour);
      const middle = Math.PI * (from + to);
      const reach = (centre - 1) * 0.68;
      const [x, y] = [centre + reach * Math.sin(middle), centre - reach * Math.cos(middle)];
      writeCentred(raster, String(value), [x, y], inkOn(colour), dot);
      mark(raster, disc(x, y, GLYPH_HEIGHT * dot), [names[i], String(value)]);
      from = to;
    });
  },
};
