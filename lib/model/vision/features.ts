/**
 * The vision tower's pass over images, each a row (or, of models that cut images into tiles, each tile):
 *
 *     x = embed(patches) + positions          one row of patches per image or tile
 *     x = block(x), for each block            kept wherever a readout reads it
 *     features = projector(x)                 into the language model's stream, at the image tokens
 *     injections = deepstack(x)               added to the stream after some of the language model's blocks
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Tensor, zerosLike } from "../../tensor.js";
import type { BatchImage, Pass } from "../batch/index.js";
import {
  type EncodedImage,
  type Engine,
  type Feeds,
  hookPoint,
  imageKey,
  type ModelSpec,
  type RunContext,
  runPiece,
} from "../engine/index.js";
import type { VisionConfig, VisionPieceId, VisionReadout } from "../families/index.js";
import { isVisual } from "../hooks/index.js";
import { interpolatedPositions, patchRows, rotaryAngles } from "./patches.js";
import { firstPatch, type VisionRows, visionRows } from "./rows.js";
import { maskWithEdits, paddingMask, runTowerBlock, type TowerInputs } from "./tower.js";

/** Called with the inputs of each piece of the tower: the patches, a block's stream, the final norm's. */
export type OnVisionPiece = (id: VisionPieceId, feeds: Feeds) => void;

/**
 * Encodes images, each once, or takes what is known of them; where edits or captures are inside the tower, all of them
 * pass it. The tower's hooks have a row for each image or tile, in the batch's order, and count patches (a class token
 * is 0).
 * @returns by image
 * @throws ModalscopeError for an edit that does not fit
 */
export async function runVision(
  context: RunContext,
  images: readonly BatchImage[],
): Promise<readonly EncodedImage[]> {
  const { engine, plan, recorder } = context;
  if (engine.hooks.some((hook) => isVisual(hook) && (plan.has(hook.name) || recorder.wants(hook.name))))
    return encode(context, images);
  const { encodedImages } = engine;
  const keys = images.map(({ image }) => imageKey(image));
  const known = new Map(keys.map((key) => [key, encodedImages.get(key)]));
  const missing = [...known.keys()].filter((key) => known.get(key) === undefined);
  if (missing.length > 0) {
    const anew = await encode(
      context,
      missing.map((key) => images[keys.indexOf(key)]),
    );
    for (const [i, key] of missing.entries()) {
      known.set(key, anew[i]);
      encodedImages.set(key, anew[i]);
    }
  }
  return keys.map((key) => known.get(key)!);
}

async function encode(context: RunContext, images: readonly BatchImage[]): Promise<EncodedImage[]> {
  const { engine } = context;
  const rows = visionRows(engine.config.vision_config!, images);
  let features: readonly Tensor[] = [];
  const injections = new Map<number, readonly Tensor[]>();
  await forEachReadout(context, images, rows, async (readout, feeds) => {
    const { out } = await runPiece(context, readout.id, feeds, rows.tokens);
    const vectors = imageVectors(engine, images, out);
    if (readout.toLayer === undefined) features = vectors;
    else injections.set(readout.toLayer, vectors);
  });
  return features.map((own, i) => ({
    features: own,
    injections: new Map([...injections].map(([layer, vectors]) => [layer, vectors[i]])),
  }));
}

/** Runs the tower and hands each readout its inputs. */
export async function forEachReadout(
  context: RunContext,
  images: readonly BatchImage[],
  rows: VisionRows,
  read: (readout: VisionReadout, feeds: Feeds) => void | Promise<void>,
  onPiece?: OnVisionPiece,
): Promise<void> {
  const { engine, signal } = context;
  const streams = await runTower(context, images, rows, onPiece);
  for (const readout of engine.config.vision_config!.readouts) {
    await read(readout, { x: concatStreams(readout, streams) });
    signal?.throwIfAborted();
    await nextTurn();
  }
}

type Streams = ReadonlyMap<number | "final", Tensor>;

/** The tower's stream wherever a readout reads it: after a block, before the first (−1), or after the final norm. */
async function runTower(
  context: RunContext,
  images: readonly BatchImage[],
  rows: VisionRows,
  onPiece?: OnVisionPiece,
): Promise<Streams> {
  const { engine, signal, onProgress } = context;
  const vision = engine.config.vision_config!;
  const pass = rows.tower;
  const wanted = new Set(
    vision.readouts.flatMap(({ fromLayers }): readonly (number | "final")[] =>
      typeof fromLayers === "string" ? [fromLayers] : fromLayers,
    ),
  );
  const streams = new Map<number | "final", Tensor>();
  const keep = (at: number | "final", x: Tensor): void => {
    if (wanted.has(at)) streams.set(at, x);
  };
  const pixels = patchRows(engine, vision, images, rows.patches);
  const patches = hookPoint(context, "vision.hook_patches", pixels, rows.patches);
  const embedding = { x: patches, positionWeights: interpolatedPositions(engine, vision, images, pass) };
  onPiece?.("vision.embed", embedding);
  let { out: x } = await runPiece(context, "vision.embed", embedding, pass);
  const inputs = towerInputs(engine, images, pass);
  for (let l = 0; l < vision.num_hidden_layers; l++) {
    const id = `vision.blocks.${l}` as const;
    signal?.throwIfAborted();
    onProgress?.(l, vision.num_hidden_layers, `vision block ${l}`);
    x = hookPoint(context, `${id}.hook_resid_pre`, x, pass);
    if (l === 0) keep(-1, x);
    // Made only if it is asked for: a mask with edits has a cell for each query and key.
    if (onPiece) onPiece(id, { ...inputs, x, mask: maskWithEdits(context, id, inputs.mask, pass) });
    x = await runTowerBlock(context, l, x, inputs, pass);
    x = hookPoint(context, `${id}.hook_resid_post`, x, pass);
    keep(l, x);
    await nextTurn();
  }
  if (vision.num_hidden_layers === 0) keep(-1, x);
  if (wanted.has("final")) {
    onPiece?.("vision.final", { x });
    keep("final", (await runPiece(context, "vision.final", { x }, pass)).out);
  }
  return streams;
}

/** Inputs that the tower's blocks share: rotations by row and column, and the mask of padding. */
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
  const first = firstPatch(vision);
  let firstRow = 0;
  return images.map(({ image }) => {
    const across = image.grid[2] / vision.spatialMergeSize;
    const own = image.tokens.map(({ kind, tile, row, column }) => {
      if (kind === "newline") return NEWLINE;
      return (firstRow + tile) * perRow + (kind === "class" ? 0 : first + row * across + column);
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
