import { setImmediate as nextTurn } from "node:timers/promises";
import { type Tensor, zerosLike } from "../../tensor.js";
import { addTensors, type BatchImage, concatTime, type Pass, sliceBatch, sliceTime } from "../batch/index.js";
import { ActivationCache } from "../captures/index.js";
import { planFromRow } from "../edits/index.js";
import { ELEMENT_BYTES, type Engine, type Feeds, type MemoryDemand } from "../engine/index.js";
import { type VisionPieceId, type VisionReadout, visionPieces } from "../families/index.js";
import type { Hook } from "../hooks/index.js";
import {
  forEachReadout,
  NEWLINE,
  rowBytes,
  tokenRows,
  towerRows,
  type VisionRows,
  visionRows,
} from "../vision/index.js";
import { vjpStream } from "./block.js";
import { type BackwardContext, biasesOf, vjpPiece } from "./piece.js";

/** Point where features enter the language model: at the image tokens, or after a block. */
export type InjectionPoint = "hook_embed" | number;

/**
 * Pulls cotangents of visual features back as far as the hooks ask, down to the patches:
 *
 *     g at the image tokens and after DeepStack's blocks      → each readout's output
 *     through the projector and DeepStack's mergers           → the tower's streams that they read
 *     through the tower's blocks, from the last to the first  → the patch embedding, and the patches
 *
 * @param arriving (targets, batch, time, hidden_size) by where the features enter the language model
 */
export async function vjpVision(
  back: BackwardContext,
  images: readonly BatchImage[],
  arriving: ReadonlyMap<InjectionPoint, Tensor>,
): Promise<void> {
  const { signal, onProgress } = back;
  const vision = back.engine.config.vision_config!;
  const rows = visionRows(vision, images);
  const feeds = await forwardFeeds(back, images, rows);
  const first = earliestPiece(visionPieces(vision), back.wrt);
  const tower: BackwardContext = { ...back, pass: rows.tower };
  const through = async (id: VisionPieceId, g: Tensor, pass = rows.tower): Promise<Tensor> => {
    signal?.throwIfAborted();
    const d = await vjpPiece({ ...back, pass }, id, feeds.get(id)!, { out: g });
    await nextTurn();
    return d;
  };
  const streams = new Map<number | "final", Tensor>();
  for (const readout of vision.readouts) {
    const g = gatherReadout(back, images, rows, arriving.get(readout.toLayer ?? "hook_embed")!);
    splitReadout(readout, await through(readout.id, g, rows.tokens), streams);
  }
  const layers = vision.num_hidden_layers;
  if (streams.has("final") && first <= layers + 1) {
    accumulate(streams, layers - 1, await through("vision.final", streams.get("final")!));
  }
  for (let l = layers - 1; l >= 0 && first <= l + 1; l--) {
    onProgress?.(layers - 1 - l, layers, `vision block ${l}`);
    const id = `vision.blocks.${l}` as const;
    const after = vjpStream(tower, `${id}.hook_resid_post`, streams.get(l)!);
    const entering = await vjpRows(tower, id, feeds.get(id)!, after);
    // Readouts of "layer −1" read the first block's input, beside the block itself.
    if (l === 0) accumulate(streams, -1, entering);
    const before = vjpStream(tower, `${id}.hook_resid_pre`, l === 0 ? streams.get(-1)! : entering);
    if (l === 0) streams.set(-1, before);
    else accumulate(streams, l - 1, before);
  }
  if (first > 0) return;
  const patches = await through("vision.embed", streams.get(-1)!);
  vjpStream({ ...back, pass: rows.patches }, "vision.hook_patches", patches);
}

/** Inputs of every piece of the tower, computed again with the run's edits. */
async function forwardFeeds(
  back: BackwardContext,
  images: readonly BatchImage[],
  rows: VisionRows,
): Promise<ReadonlyMap<VisionPieceId, Feeds>> {
  const feeds = new Map<VisionPieceId, Feeds>();
  const keep = (id: VisionPieceId, own: Feeds): void => void feeds.set(id, own);
  await forEachReadout(
    { ...back, onProgress: undefined },
    images,
    rows,
    ({ id }, own) => keep(id, own),
    keep,
  );
  return feeds;
}

/** Back through one block of the tower, as many rows at once as the limit on memory allows. */
async function vjpRows(back: BackwardContext, id: VisionPieceId, feeds: Feeds, g: Tensor): Promise<Tensor> {
  const { engine, pass, signal } = back;
  const hooks = engine.hooks.filter((h) => h.piece === id && h.inside);
  const most = towerRowChunk(engine, pass, g.shape[0]);
  const parts: Tensor[] = [];
  const found: ActivationCache[] = [];
  for (let from = 0; from < pass.size; from += most) {
    signal?.throwIfAborted();
    const to = Math.min(pass.size, from + most);
    const cut = (x: Tensor): Tensor => (x.shape[0] === pass.size ? sliceBatch(x, from, to) : x);
    const cutAll = (given: Iterable<[string, Tensor]>): [string, Tensor][] =>
      Array.from(given, ([name, x]) => [name, cut(x)]);
    const part: BackwardContext = {
      ...back,
      pass: towerRows(pass, from, to, pass.seqLength),
      plan: planFromRow(back.plan, hooks, from),
      frozenValues: new Map(cutAll(back.frozenValues)),
      gradients: new ActivationCache(),
    };
    const own = Object.fromEntries(cutAll(Object.entries(feeds)));
    parts.push(await vjpPiece(part, id, own, { out: sliceTime(g, from, to) }));
    found.push(part.gradients);
    await nextTurn();
  }
  for (const name of found[0].names) {
    const each = found.map((part) => part.get(name));
    back.gradients.set(name, name === biasesOf(id) ? each.reduce(addTensors) : concatTime(each));
  }
  return concatTime(parts);
}

/** Rows of the tower that a block takes backwards together. */
function towerRowChunk(engine: Engine, { size, seqLength: time }: Pass, targets: number): number {
  return Math.min(
    size,
    Math.max(1, Math.floor(engine.workBytes / (rowBytes(engine, time, time) * (1 + targets)))),
  );
}

/** Bytes of the streams that a backward pass keeps, and of what one block works with. */
export function visionBackwardBytes(
  engine: Engine,
  images: readonly BatchImage[],
  targets: number,
): MemoryDemand {
  const vision = engine.config.vision_config!;
  const { tower } = visionRows(vision, images);
  const { size, seqLength: time } = tower;
  const element = ELEMENT_BYTES[engine.float];
  const rows = towerRowChunk(engine, tower, targets);
  return {
    "streams of the vision tower":
      (vision.num_hidden_layers + 1) * size * time * vision.hidden_size * element,
    "values inside its blocks and their cotangents": rows * rowBytes(engine, time, time) * (1 + targets),
  };
}

/** Place among the pieces of the earliest that a cotangent must reach. */
function earliestPiece(pieces: readonly VisionPieceId[], wanted: readonly Hook[]): number {
  const places = wanted.map(({ piece }) => pieces.indexOf(piece as VisionPieceId)).filter((at) => at >= 0);
  return Math.min(...places);
}

/** The cotangent of a readout (targets, rows, tokens, width), from that of the stream that its vectors stand in. */
function gatherReadout(
  { engine }: BackwardContext,
  images: readonly BatchImage[],
  rows: VisionRows,
  g: Tensor,
): Tensor {
  const [targets, size, time, width] = g.shape;
  const { tokens } = rows;
  const data = zerosLike(g.data, targets * tokens.size * tokens.seqLength * width);
  const from = tokenRows(engine.config.vision_config!, images, tokens.seqLength);
  for (let m = 0; m < targets; m++) {
    images.forEach(({ row, positions: columns }, i) => {
      from[i].forEach((place, t) => {
        if (place === NEWLINE) return;
        const source = ((m * size + row) * time + columns[t]) * width;
        data.set(
          g.data.subarray(source, source + width),
          (m * tokens.size * tokens.seqLength + place) * width,
        );
      });
    });
  }
  return { data, shape: [targets, tokens.size, tokens.seqLength, width] };
}

/** Gives each stream that a readout reads its share of the cotangent of all of them side by side. */
function splitReadout(
  { fromLayers }: VisionReadout,
  g: Tensor,
  streams: Map<number | "final", Tensor>,
): void {
  if (fromLayers === "final") {
    accumulate(streams, fromLayers, g);
    return;
  }
  const lead = g.shape.slice(0, -1);
  const all = g.shape[g.shape.length - 1];
  const width = all / fromLayers.length;
  fromLayers.forEach((l, part) => {
    const data = zerosLike(g.data, g.data.length / fromLayers.length);
    for (let i = 0; i < data.length / width; i++) {
      const from = i * all + part * width;
      data.set(g.data.subarray(from, from + width), i * width);
    }
    accumulate(streams, l, { data, shape: [...lead, width] });
  });
}

function accumulate(streams: Map<number | "final", Tensor>, at: number | "final", g: Tensor): void {
  const before = streams.get(at);
  streams.set(at, before ? addTensors(before, g) : g);
}
