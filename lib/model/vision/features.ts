/** Seeing: images through the vision tower and the projector, and into the language model's stream. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Tensor, zerosLike } from "../../tensor.js";
import type { BatchImage } from "../batch/batch.js";
import type { Pass } from "../batch/pass.js";
import type { Engine, ModelSpec } from "../engine/engine.js";
import { hookPoint, type RunContext, runPiece } from "../engine/run-piece.js";
import type { VisionConfig, VisionPieceId, VisionReadout } from "../families/index.js";
import { interpolatedPositions, patchRows, rotaryAngles } from "./patches.js";
import { keptClassTokens, type VisionRows, visionRows } from "./rows.js";
import { maskWithEdits, paddingMask, runTowerBlock, type TowerInputs } from "./tower.js";

/** What a batch's images become. */
export interface VisionOutput {
  /** By image: the vectors of its tokens, (tokens, hidden_size). */
  readonly features: readonly Tensor[];
  /** By block of the language model, by image: what is added there (DeepStack). */
  readonly injections: ReadonlyMap<number, readonly Tensor[]>;
}

/** What a tower's piece reads, as it enters: the patches, the stream of a block or of the final norm, a readout's streams. */
export type OnVisionPiece = (id: VisionPieceId, feeds: Readonly<Record<string, Tensor>>) => void;

/**
 * Runs images through the tower. Its hooks have a row for each image or tile, in the batch's order, and count
 * patches (the class token, if any, is 0).
 * @throws ModalscopeError for an edit that does not fit
 */
export async function runVision(
  engine: Engine,
  images: readonly BatchImage[],
  company: RunContext,
): Promise<VisionOutput> {
  const vision = engine.config.vision_config!;
  const rows = visionRows(vision, images);
  const features: Tensor[][] = [];
  const injections = new Map<number, Tensor[]>();
  await forEachReadout(engine, images, rows, company, async (readout, feeds) => {
    const { out } = await runPiece(engine, readout.id, feeds, rows.tokens, company, []);
    const found = imageVectors(engine, images, out);
    if (readout.toLayer === undefined) features.push(found);
    else injections.set(readout.toLayer, found);
  });
  return { features: features[0], injections };
}

/** Runs the tower and hands each readout what it reads. */
export async function forEachReadout(
  engine: Engine,
  images: readonly BatchImage[],
  rows: VisionRows,
  company: RunContext,
  read: (readout: VisionReadout, feeds: Readonly<Record<string, Tensor>>) => void | Promise<void>,
  visit?: OnVisionPiece,
): Promise<void> {
  const vision = engine.config.vision_config!;
  const streams = await runTower(engine, vision, rows, images, company, visit);
  for (const readout of vision.readouts) {
    await read(readout, { x: concatStreams(readout, streams) });
    company.signal?.throwIfAborted();
    await nextTurn();
  }
}

type Streams = ReadonlyMap<number | "final", Tensor>;

/** The tower's stream wherever a readout reads it. */
async function runTower(
  engine: Engine,
  vision: VisionConfig,
  rows: VisionRows,
  images: readonly BatchImage[],
  company: RunContext,
  visit?: OnVisionPiece,
): Promise<Streams> {
  const pass = rows.tower;
  const wanted = new Set(
    vision.readouts.flatMap(({ fromLayers }): (number | "final")[] =>
      fromLayers === "final" ? [fromLayers] : [...fromLayers],
    ),
  );
  const streams = new Map<number | "final", Tensor>();
  const keep = (at: number | "final", x: Tensor): void => {
    if (wanted.has(at)) streams.set(at, x);
  };
  const patches = hookPoint(
    engine,
    "vision.hook_patches",
    patchRows(engine, vision, images, rows.patches),
    rows.patches,
    company,
  );
  const embedding = { x: patches, positionWeights: interpolatedPositions(engine, vision, images, pass) };
  visit?.("vision.embed", embedding);
  let { out: x } = await runPiece(engine, "vision.embed", embedding, pass, company, []);
  const shared = towerInputs(engine, images, pass);
  for (let l = 0; l < vision.num_hidden_layers; l++) {
    company.signal?.throwIfAborted();
    company.onProgress?.(l, vision.num_hidden_layers, `vision block ${l}`);
    x = hookPoint(engine, `vision.blocks.${l}.hook_resid_pre`, x, pass, company);
    if (l === 0) keep(-1, x);
    if (visit) {
      const id = `vision.blocks.${l}` as const;
      visit(id, { ...shared, x, mask: maskWithEdits(engine, id, shared.mask, pass, company.plan) });
    }
    x = await runTowerBlock(engine, l, x, shared, pass, company);
    x = hookPoint(engine, `vision.blocks.${l}.hook_resid_post`, x, pass, company);
    keep(l, x);
    await nextTurn();
  }
  if (vision.num_hidden_layers === 0) keep(-1, x);
  if (wanted.has("final")) {
    visit?.("vision.final", { x });
    keep("final", (await runPiece(engine, "vision.final", { x }, pass, company, [])).out);
  }
  return streams;
}

/** What the tower's blocks share: the turns of rows and columns, and which patches are looked at. */
export function towerInputs(engine: ModelSpec, images: readonly BatchImage[], pass: Pass): TowerInputs {
  return {
    ...rotaryAngles(engine, engine.config.vision_config!, images, pass),
    mask: paddingMask(engine, pass),
  };
}

/** The streams that a readout reads, side by side along the last axis. */
function concatStreams({ fromLayers }: VisionReadout, streams: Streams): Tensor {
  if (fromLayers === "final") return streams.get("final")!;
  const parts = fromLayers.map((l) => streams.get(l)!);
  if (parts.length === 1) return parts[0];
  const [size, time, width] = parts[0].shape;
  const data = zerosLike(parts[0].data, size * time * width * parts.length);
  parts.forEach((p, i) => {
    for (let t = 0; t < size * time; t++)
      data.set(p.data.subarray(t * width, (t + 1) * width), (t * parts.length + i) * width);
  });
  return { data, shape: [size, time, width * parts.length] };
}

/** By image, the vectors of its tokens, from the readout of all rows (rows, tokens, hidden_size). */
function imageVectors(engine: Engine, images: readonly BatchImage[], out: Tensor): Tensor[] {
  const [, perRow, width] = out.shape;
  const { newline } = engine.family.vision!;
  const between = newline === undefined ? undefined : engine.checkpoint.read(newline);
  return tokenRows(engine.config.vision_config!, images, perRow).map((from) => {
    const data = zerosLike(out.data, from.length * width);
    from.forEach((row, i) => {
      data.set(row === NEWLINE ? between! : out.data.subarray(row * width, (row + 1) * width), i * width);
    });
    return { data, shape: [from.length, width] };
  });
}

/** In place of a row's number: the token is the learned vector at the end of a row of patches. */
export const NEWLINE = -1;

/** By image, for each of its tokens: which of the readout's vectors it is, all rows' one after the other. */
export function tokenRows(vision: VisionConfig, images: readonly BatchImage[], perRow: number): number[][] {
  const kept = keptClassTokens(vision);
  let firstRow = 0;
  return images.map(({ image }) => {
    const across = image.grid[2] / vision.spatialMergeSize;
    const own = image.tokens.map(({ kind, tile, row, column }) => {
      if (kind === "newline") return NEWLINE;
      return (firstRow + tile) * perRow + (kind === "class" ? 0 : kept + row * across + column);
    });
    firstRow += image.tiles.length;
    return own;
  });
}

/** Puts the vectors of images at their tokens: (batch, time, hidden_size). */
export function scatterFeatures(
  images: readonly BatchImage[],
  vectors: readonly Tensor[],
  into: Tensor,
): Tensor {
  const [, time, width] = into.shape;
  images.forEach(({ row, positions: at }, i) => {
    at.forEach((column, t) => {
      into.data.set(vectors[i].data.subarray(t * width, (t + 1) * width), (row * time + column) * width);
    });
  });
  return into;
}
