import type { Tensor } from "../../tensor.js";
import { planes } from "./pixels.js";
import type { Region } from "./raster.js";
import { type Box, boxOf, hasArea, type View } from "./view.js";

/** One vector of the language model's stream that stands for a part of an image. */
export interface VisualToken {
  /**
   * `patch`: a cell of a tile; `newline`: LLaVA-NeXT's learned vector after each row of the joined tiles; `class`: the
   * class token of a CLIP tower, where the model keeps it (`vision_feature_select_strategy: "full"`).
   */
  readonly kind: "patch" | "newline" | "class";
  /** Index into the image's tiles; a newline has the tile of the patch before it. */
  readonly tile: number;
  /** Row of the token in its tile's grid of tokens; −1 for a class token. */
  readonly row: number;
  /** Column in that grid; for a newline one more than the patch before it, for a class token −1. */
  readonly column: number;
  /**
   * Part of the original image that the token stands for, in its pixels: crops and padding taken into
   * account, clipped. `null` for a newline, a class token, and a patch of nothing but padding.
   */
  readonly box: Box | null;
}

/** One image that the vision tower sees. */
export interface Tile {
  /** In pixels of the original. */
  readonly box: Box;
  /** `whole`: the overview of the image (what the centre crop left of it, for LLaVA); `part`: a tile or crop of it. */
  readonly kind: "whole" | "part";
}

/**
 * Place of the image in LLaVA-NeXT's joined tiles: all but the first tile lie in a grid `tiles` (rows,
 * columns), which makes a grid of `tiles · patches of one tile` features. Of that the model keeps the rows
 * from `rows[0]` up to, not including, `rows[1]` and the columns `columns[0]` to `columns[1]`; the rest is
 * padding. The sequence is: the first tile's features; then each kept row, followed by the newline vector.
 * `tokens` says the same token by token: the feature of a patch is row
 * `token.row · columns of a tile + token.column` of tile `token.tile`.
 */
export interface Unpad {
  readonly tiles: readonly [rows: number, columns: number];
  readonly rows: readonly [from: number, to: number];
  readonly columns: readonly [from: number, to: number];
}

/** An image as a model takes it. */
export interface ProcessedImage {
  /** Of the original, in pixels. */
  readonly width: number;
  readonly height: number;
  /**
   * `llava`, `llava_next`, `gemma3`: (tiles, 3, height, width). `qwen3_vl`: (patches, 3 · temporal · patch · patch),
   * the patches of one token together.
   */
  readonly pixels: Tensor;
  /** `qwen3_vl`: image_grid_thw, in patches. Others: the patches of one tile, [1, rows, columns]. */
  readonly grid: readonly [t: number, h: number, w: number];
  /** In the order of `pixels`. */
  readonly tiles: readonly Tile[];
  /** In the order in which the language model sees this image's features. */
  readonly tokens: readonly VisualToken[];
  /** LLaVA-NeXT only. */
  readonly unpad?: Unpad;
}

export interface ImageProcessor {
  /** @throws ModalscopeError for an image that this model cannot take */
  process(image: {
    readonly width: number;
    readonly height: number;
    readonly data: Uint8Array;
  }): ProcessedImage;
}

/** Input of a tower of one size: the whole image and, after it, its parts. */
export function tilesOf(
  views: readonly View[],
  table: Float32Array,
): Pick<ProcessedImage, "pixels" | "tiles"> {
  return {
    pixels: planes(
      views.map(({ image }) => image),
      table,
    ),
    tiles: views.map((view, t) => ({ kind: t === 0 ? "whole" : "part", box: boxOf(view) })),
  };
}

/** Tokens of a tile's `rows`×`columns` cells of `side` pixels, row by row. */
export function patchTokens(
  view: View,
  tile: number,
  rows: number,
  columns: number,
  side: number,
): VisualToken[] {
  return Array.from({ length: rows * columns }, (_, i) =>
    patchToken(view, tile, Math.floor(i / columns), i % columns, side),
  );
}

export function patchToken(view: View, tile: number, row: number, column: number, side: number): VisualToken {
  const cell: Region = { x: column * side, y: row * side, width: side, height: side };
  const box = boxOf(view, cell);
  return { kind: "patch", tile, row, column, box: hasArea(box) ? box : null };
}
