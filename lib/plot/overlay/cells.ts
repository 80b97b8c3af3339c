/** Visual tokens as cells over their image, from the layout that the model's own image processor gives. */

/** Left, top, right and bottom, in pixels of the original image. */
type Box = readonly [x0: number, y0: number, x1: number, y1: number];

/** An image as a model takes it: `batch.images[0].image`. */
export interface ImageLayout {
  /** Of the original image, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly tiles: readonly { readonly kind: "whole" | "part" }[];
  /** In the order of the values. */
  readonly tokens: readonly {
    readonly kind: "patch" | "newline" | "class";
    readonly tile: number;
    readonly row: number;
    readonly column: number;
    readonly box: Box | null;
  }[];
}

/** A token's rectangle in a panel, in pixels of the original image. */
export interface Cell {
  readonly token: number;
  readonly panel: number;
  readonly box: Box;
  /** The token's name, in words. */
  readonly label: string;
}

export interface Cells {
  /** Names of the panels: one image, or the whole image beside its tiles. */
  readonly panels: readonly string[];
  readonly cells: readonly Cell[];
  /** Width of a panel, with the strip for tokens that show no part of the image; the image's own where there are none. */
  readonly width: number;
  /** Tokens that stand for nothing but padding, which have no place in the image. */
  readonly unseen: number;
}

/** Of the image's width: the strip beside it, and the space between. */
const STRIP = 0.03;
const GAP = 0.015;

/** Places a layout's tokens. Newline tokens stand at the end of their row, beside the image, as does a class token. */
export function cellsOf({ width, height, tiles, tokens }: ImageLayout): Cells {
  const kinds = [...new Set(tiles.map(({ kind }) => kind))];
  const several = kinds.length > 1;
  const left = width * (1 + GAP);
  const right = width * (1 + GAP + STRIP);
  const cells = tokens.flatMap(({ kind, tile, row, column, box }, token): Cell[] => {
    const panel = kinds.indexOf(tiles[tile].kind);
    const inTile = several && tiles[tile].kind === "part" ? `tile ${tile}, ` : "";
    if (kind === "patch")
      return box ? [{ token, panel, box, label: `${inTile}row ${row}, column ${column}` }] : [];
    if (kind === "class")
      return [{ token, panel, box: [left, 0, right, height / 12], label: `${inTile}class token` }];
    const before = tokens.findLast(
      (t, i) => i < token && t.row === row && t.kind === "patch" && t.box !== null,
    );
    if (!before?.box) return [];
    const place: Box = [left, before.box[1], right, before.box[3]];
    return [{ token, panel, box: place, label: `newline after row ${row}` }];
  });
  const beside = cells.some(({ box }) => box[0] >= left);
  return {
    panels: several ? kinds.map((kind) => (kind === "whole" ? "whole image" : "tiles")) : ["image"],
    cells,
    width: beside ? right : width,
    unseen: tokens.length - cells.length,
  };
}
