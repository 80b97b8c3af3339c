/** Parts of images as positions: the columns of a hook that stand for them. */
import { ModalscopeError } from "../../errors.js";
import {
  callback,
  checkOptions,
  either,
  integer,
  integers,
  list,
  numeric,
  type OptionChecks,
  oneOf,
  pair,
  record,
  some,
  text,
} from "../../options.js";
import type { Batch, BatchImage } from "../batch/index.js";
import { at, type Edit, type Edits } from "../edits/index.js";
import type { TextConfig, VisionConfig } from "../families/index.js";
import type { ProcessedImage, VisualToken } from "../images/index.js";
import { NEWLINE, tokenRows } from "./features.js";
import { firstPatch, visionRows } from "./rows.js";

/** From the first up to, not including, the second. */
export type CellRange = readonly [from: number, to: number];

/** Tokens of images, by any of these; a field that is left out does not matter. */
export interface RegionSpec {
  /** Rows of the batch. */
  readonly batchRows?: readonly number[];
  /** Number or numbers of the image among its row's, from 0. */
  readonly image?: number | readonly number[];
  /** Number or numbers of the image's tiles, from 0; or all that show the whole image, or parts of it. */
  readonly tile?: number | readonly number[] | "whole" | "part";
  /** Row or rows of the grid of tokens that a tile has. */
  readonly row?: number | CellRange;
  /** Column or columns of that grid; the newline after a row of patches has the column after them. */
  readonly column?: number | CellRange;
  /** A rectangle in the pixels of the original image: left, top, right, bottom. */
  readonly box?: readonly [x0: number, y0: number, x1: number, y1: number];
  /** Share of a token's own rectangle that must lie in `box`, from 0 (any of it, the default) to 1 (all of it). */
  readonly minOverlap?: number;
  readonly kind?: VisualToken["kind"];
}

/** A part of the images: as above, several of these together, or whatever a function says yes to. */
export type ImageRegion =
  | RegionSpec
  | readonly RegionSpec[]
  | ((token: VisualToken, image: ProcessedImage) => boolean);

/**
 * Columns of the tokens that stand for a part of the images, by row of the batch: positions for the language
 * model's hooks.
 * @example
 * // Without the upper left corner of each row's first image:
 * const corner = visual(batch, { image: 0, box: [0, 0, 100, 80] });
 * await model.run(batch, { edits: { "blocks.4.hook_resid_pre": at(corner, fill(0)) } });
 * @throws ModalscopeError when the batch has no images, or the region has no token
 */
export function visualPositions(batch: Batch, region: ImageRegion = {}): number[][] {
  const columns: number[][] = batch.tokenPositions.map(() => []);
  for (const { image, tokens } of selectTokens(batch, region))
    columns[image.row].push(...tokens.map((t) => image.positions[t]));
  return columns;
}

/**
 * Columns of the same tokens at the projector's hooks, by their rows: images, or their tiles. A newline is not there.
 * @throws ModalscopeError when the batch has no images, or the region has no token
 */
export function projectorPositions(
  { config }: { readonly config: TextConfig },
  batch: Batch,
  region: ImageRegion = {},
): number[][] {
  const vision = requireVision(config.vision_config);
  return positionsByRow(vision, batch, region, (within) => [within]);
}

/**
 * Columns of the patches that these tokens are made of, at the hooks of the tower's stream (a class token is 0), by
 * their rows: images, or their tiles. `kind: "class"` means the tower's class token only where the language model
 * gets it.
 * @example
 * // The vision tower's third block without what it adds to the left half of the tokens' grid:
 * const left = patches(model, batch, { column: [0, 12] });
 * await model.run(batch, { edits: { "vision.blocks.2.hook_mlp_out": at(left, fill(0)) } });
 * @throws ModalscopeError when the batch has no images, or the region has no token
 */
export function patchPositions(
  { config }: { readonly config: TextConfig },
  batch: Batch,
  region: ImageRegion = {},
): number[][] {
  const vision = requireVision(config.vision_config);
  const first = firstPatch(vision);
  const { spatialMergeSize, classTokens } = vision;
  return positionsByRow(vision, batch, region, (within, { image: { grid, pixels } }) => {
    if (within < first) return [within];
    const cell = within - first;
    // Pixels that come as patches have those of one token together.
    if (pixels.shape.length === 2)
      return Array.from(
        { length: spatialMergeSize ** 2 },
        (_, i) => classTokens + cell * spatialMergeSize ** 2 + i,
      );
    const across = grid[2] / spatialMergeSize;
    const [row, column] = [Math.floor(cell / across) * spatialMergeSize, (cell % across) * spatialMergeSize];
    return Array.from(
      { length: spatialMergeSize ** 2 },
      (_, i) =>
        classTokens + (row + Math.floor(i / spatialMergeSize)) * grid[2] + column + (i % spatialMergeSize),
    );
  });
}

export interface VisualEditOptions {
  /** Of the images; all of them when left out. */
  readonly region?: ImageRegion;
  /** The block before which the stream is edited; where it is embedded when left out. */
  readonly from?: number;
}

const VISUAL_EDIT_OPTIONS: OptionChecks<VisualEditOptions> = {
  region: either(either(record, list), callback),
  from: integer(0),
};

/**
 * Edits of visual tokens: of the residual stream at one point, and of all that DeepStack adds later, which would bring
 * clean features back.
 * @throws ModalscopeError when the batch has no images, the region has no token, or an option is unknown
 * @example
 * await model.run(batch, { edits: visualEdits(model, batch, edit.zero()) }); // blind
 */
export function visualEdits(
  { config }: { readonly config: TextConfig },
  batch: Batch,
  edit: Edit,
  options: VisualEditOptions = {},
): Edits {
  checkOptions("visualEdits", options, VISUAL_EDIT_OPTIONS);
  const { region = {}, from } = options;
  const hooks = [from === undefined ? "hook_embed" : `blocks.${from}.hook_resid_pre`];
  const later = injectionLayers({ config }).filter((l) => l >= (from ?? 0));
  hooks.push(...later.map((l) => `blocks.${l}.hook_deepstack`));
  const placed = at({ positions: visualPositions(batch, region) }, edit);
  return Object.fromEntries(hooks.map((hook) => [hook, placed]));
}

/**
 * The blocks after which DeepStack adds features of the images; none in other models.
 * @throws ModalscopeError for a text-only model
 */
export function injectionLayers({ config }: { readonly config: TextConfig }): number[] {
  return requireVision(config.vision_config).readouts.flatMap(({ toLayer }) =>
    toLayer === undefined ? [] : [toLayer],
  );
}

/** The images and which of their tokens a region means. */
function selectTokens(
  batch: Batch,
  region: ImageRegion,
): { image: BatchImage; index: number; tokens: number[] }[] {
  const images = batch.images ?? [];
  if (images.length === 0) {
    throw new ModalscopeError("The batch has no images.", "A part of them is asked for.");
  }
  const means = predicate(region);
  const imagesInRow = new Map<number, number>();
  const found = images.map((image, index) => {
    const ordinal = imagesInRow.get(image.row) ?? 0;
    imagesInRow.set(image.row, ordinal + 1);
    const tokens = Array.from(image.image.tokens.keys()).filter((t) => means(image, ordinal, t));
    return { image, index, tokens };
  });
  if (found.every(({ tokens }) => tokens.length === 0)) {
    throw new ModalscopeError(
      `No visual token is at ${typeof region === "function" ? "the chosen place" : JSON.stringify(region)}.`,
      images.map(({ row, image }) => `Row ${row} has an image of ${describeImage(image)}.`).join(" "),
    );
  }
  return found;
}

function describeImage({ width, height, tiles, grid, tokens }: ProcessedImage): string {
  const rows = 1 + Math.max(...tokens.map((t) => t.row));
  const columns = 1 + Math.max(...tokens.filter((t) => t.kind === "patch").map((t) => t.column));
  return `${width}×${height} pixels, ${tiles.length} tile(s) of ${grid[1]}×${grid[2]} patches, ${rows}×${columns} tokens at most`;
}

type Predicate = (image: BatchImage, ordinal: number, token: number) => boolean;

function predicate(region: ImageRegion): Predicate {
  if (typeof region === "function") return ({ image }, _, t) => region(image.tokens[t], image);
  const all = Array.isArray(region) ? (region as readonly RegionSpec[]) : [region as RegionSpec];
  for (const one of all) checkRegion(one);
  return (image, ordinal, t) => all.some((one) => isIn(one, image, ordinal, image.image.tokens[t]));
}

function isIn(region: RegionSpec, { row, image }: BatchImage, ordinal: number, token: VisualToken): boolean {
  const { tile } = region;
  const oneOf = (wanted: number | readonly number[] | undefined, n: number): boolean =>
    wanted === undefined || (typeof wanted === "number" ? wanted === n : wanted.includes(n));
  const within = (wanted: number | CellRange | undefined, n: number): boolean =>
    wanted === undefined || (typeof wanted === "number" ? wanted === n : n >= wanted[0] && n < wanted[1]);
  return (
    oneOf(region.batchRows, row) &&
    oneOf(region.image, ordinal) &&
    (typeof tile === "string" ? image.tiles[token.tile].kind === tile : oneOf(tile, token.tile)) &&
    within(region.row, token.row) &&
    within(region.column, token.column) &&
    (region.kind === undefined || region.kind === token.kind) &&
    (region.box === undefined || overlaps(token.box, region.box, region.minOverlap ?? 0))
  );
}

function overlaps(own: VisualToken["box"], box: NonNullable<RegionSpec["box"]>, minOverlap: number): boolean {
  if (own === null) return false;
  const width = Math.min(own[2], box[2]) - Math.max(own[0], box[0]);
  const height = Math.min(own[3], box[3]) - Math.max(own[1], box[1]);
  if (width <= 0 || height <= 0) return false;
  // Boxes are fractions of pixels, and all of one is found with their rounding.
  return width * height >= (minOverlap - 1e-9) * (own[2] - own[0]) * (own[3] - own[1]);
}

const REGION: OptionChecks<RegionSpec> = {
  batchRows: some(integers),
  image: either(integer(0), some(integers)),
  tile: either(either(integer(0), some(integers)), oneOf("whole", "part")),
  row: either(integer(0), pair),
  column: either(integer(0), pair),
  box: list,
  minOverlap: numeric,
  kind: text,
};

function checkRegion(region: RegionSpec): void {
  checkOptions("An image region", region, REGION);
  const { box, minOverlap } = region;
  if (box && !(box.length === 4 && box.every(Number.isFinite) && box[0] < box[2] && box[1] < box[3])) {
    throw new ModalscopeError(
      `Invalid box [${box.join(", ")}].`,
      "It must be left, top, right and bottom in pixels of the original image.",
    );
  }
  if (minOverlap !== undefined && !(minOverlap >= 0 && minOverlap <= 1)) {
    throw new ModalscopeError(`minOverlap is ${minOverlap}.`, "It must be from 0 to 1.");
  }
}

/** Chosen tokens as columns of the tower's or the projector's rows. */
function positionsByRow(
  vision: VisionConfig,
  batch: Batch,
  region: ImageRegion,
  columnsOf: (within: number, image: BatchImage) => number[],
): number[][] {
  const images = batch.images ?? [];
  const found = selectTokens(batch, region);
  const { tokens: pass } = visionRows(vision, images);
  const cells = tokenRows(vision, images, pass.seqLength);
  const rows: number[][] = Array.from({ length: pass.size }, () => []);
  for (const { image, index, tokens } of found) {
    for (const t of tokens) {
      const cell = cells[index][t];
      if (cell !== NEWLINE)
        rows[Math.floor(cell / pass.seqLength)].push(...columnsOf(cell % pass.seqLength, image));
    }
  }
  return rows;
}

function requireVision(vision: VisionConfig | undefined): VisionConfig {
  if (vision) return vision;
  throw new ModalscopeError("This model is text-only.", "It has no vision tower.");
}
