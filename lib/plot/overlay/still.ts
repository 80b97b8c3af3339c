/** Still image of an overlay, for clients that run no scripts: the sliders as they stand at first. */
import type { Canvas } from "@napi-rs/canvas";
import { canvasModule } from "../draw/fonts.js";
import { colourOf, endsOf, stopsOf } from "./colours.js";
import type { Overlay } from "./page.js";
import { encodeCanvas, isSmall } from "./pixels.js";

const WIDTH = 760;
const MARGIN = 14;
const TITLE = 24;
const LINE = 18;
const FONT = "Inter, sans-serif";
const OPACITY = 0.65;

/** @param height of the view, in pixels */
export function overlayStill(overlay: Overlay, image: Canvas, height: number): Uint8Array {
  const { title, subtitle, axes, initial, slices, scale, cells } = overlay;
  const canvas = canvasModule().createCanvas(WIDTH, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, WIDTH, height);
  const write = (text: string, y: number, size: number, colour: string, x = MARGIN): void => {
    context.font = `${size}px ${FONT}`;
    context.fillStyle = colour;
    context.fillText(text, x, y, WIDTH - x - MARGIN);
  };
  write(title, TITLE, 17, "#1f2328");
  const set = axes.map(({ name, labels }, i) => `${name} ${labels[initial[i]]}`).join(", ");
  write([subtitle, set].filter((line) => line !== "").join(" · "), TITLE + LINE, 13, "#59636e");

  const slice = axes.reduce((at, { labels }, i) => at * labels.length + initial[i], 0);
  const [low, high] = endsOf(slices.ranges[slice], scale);
  const top = TITLE + 2 * LINE + 6;
  const room = [
    (WIDTH - 2 * MARGIN) / cells.panels.length - MARGIN / 2,
    height - top - LINE - MARGIN,
  ] as const;
  const factor = Math.min(room[0] / cells.width, room[1] / overlay.height);
  const lefts = cells.panels.map((_, panel) => MARGIN + panel * (room[0] + MARGIN));
  context.imageSmoothingEnabled = !isSmall(image);
  for (const left of lefts)
    context.drawImage(image, left, top, overlay.width * factor, overlay.height * factor);
  context.globalAlpha = OPACITY;
  for (const { token, panel, box } of cells.cells) {
    const value = slices.at(slice, token);
    if (!Number.isFinite(value)) continue;
    context.fillStyle = colourOf(value, low, high, stopsOf(scale));
    const [x0, y0, x1, y1] = box.map((x) => x * factor);
    context.fillRect(lefts[panel] + x0, top + y0, x1 - x0, y1 - y0);
  }
  context.globalAlpha = 1;
  if (cells.panels.length > 1)
    cells.panels.forEach((name, panel) => {
      write(name, top - 4, 12, "#59636e", lefts[panel]);
    });
  const ends = scale === "category" ? "" : ` from ${brief(low)} to ${brief(high)}`;
  write(`${overlay.unit}${ends}`.trim(), height - MARGIN, 13, "#59636e");
  return encodeCanvas(canvas, isSmall(image));
}

const brief = (value: number): string => String(Number(value.toPrecision(4)));
