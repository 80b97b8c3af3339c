/** Figures as SVG and PNG, drawn without a browser. */
import type { Canvas } from "@napi-rs/canvas";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, number, type OptionChecks, oneOf } from "../../options.js";
import { themed } from "../figure.js";
import type { Figure } from "../plotly.js";
import type { Theme } from "../theme.js";
import { canvasModule } from "./fonts.js";
import { drawableTypes, drawSvg } from "./plotly-in-jsdom.js";

/** Size, theme and resolution of a drawn figure. */
export interface ImageOptions {
  /** In pixels; 760 when left out. */
  readonly width?: number;
  /** In pixels; the figure's own when left out. */
  readonly height?: number;
  /** The figure's own when left out. */
  readonly theme?: Theme;
  /** Pixels of a PNG per pixel of the figure; 2 when left out, which is sharp on fine screens and in print. */
  readonly scale?: number;
}

/** Trace types of `figure` that only a browser can draw, such as three-dimensional ones. */
export function browserOnly(figure: Figure): string[] {
  return [...new Set(figure.data.map((trace) => String(trace.type ?? "scatter")))].filter(
    (type) => !drawableTypes.includes(type),
  );
}

/** Checks of how a figure is made an image. */
export const IMAGE_OPTIONS: OptionChecks<ImageOptions> = {
  width: number(1),
  height: number(1),
  theme: oneOf("light", "dark"),
  scale: number(0.01),
};

/**
 * `figure` as an SVG document. Names in it are the same in every such document, so put it into a page as an
 * image, not as markup beside another one.
 * @throws when a trace needs a browser
 */
export function toSvg(figure: Figure, options: ImageOptions = {}): string {
  checkOptions("toSvg", options, IMAGE_OPTIONS);
  const missing = browserOnly(figure);
  if (missing.length > 0)
    throw new ModalscopeError(
      `A figure with ${missing.join(", ")} traces cannot be drawn to an image.`,
      "Without a browser, plotly draws two-dimensional figures only.",
      "Save it as .html or .json.",
    );
  const height = options.height ?? figure.layout.height ?? 400;
  return drawSvg(options.theme ? themed(figure, options.theme) : figure, options.width ?? 760, height);
}

/**
 * `figure` as a PNG file.
 * @throws when a trace needs a browser
 */
export function toPng(figure: Figure, options: ImageOptions = {}): Uint8Array {
  checkOptions("toPng", options, IMAGE_OPTIONS);
  return rasterise(toSvg(figure, options), options.scale ?? 2);
}

let board: Canvas | undefined;

/** An SVG document as a PNG file, at `scale` pixels of the image per SVG pixel. */
export function rasterise(svg: string, scale: number): Uint8Array {
  const { createCanvas, Image } = canvasModule();
  const image = new Image();
  image.src = Buffer.from(svg);
  // One canvas for all: what a dropped one holds is only freed when the event loop turns.
  board ??= createCanvas(1, 1);
  board.width = Math.round(image.width * scale);
  board.height = Math.round(image.height * scale);
  board.getContext("2d").drawImage(image, 0, 0, board.width, board.height);
  return board.toBuffer("image/png");
}
