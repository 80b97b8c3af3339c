/** Seeing: pictures through the vision tower and the projector, and into the language model's stream. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Tensor, zerosLike } from "../tensor.js";
import type { Batch, BatchImage } from "./batch.js";
import { joinRows, rowsOf } from "./columns.js";
import { type Engine, floats } from "./engine.js";
import type { Readout, VisionConfig } from "./families/index.js";
import { atStream, type Company, runPiece } from "./forward.js";
import type { Hook } from "./hooks.js";
import { hiddenPairs } from "./intervene.js";
import { HIDDEN, hideKeys, type Pass } from "./pass.js";
import { patchesOf, placesOf, turnsOf } from "./patches.js";
import { HEAD } from "./program.js";

/** What a batch's pictures become. */
export interface Seen {
  /** By picture: the vectors of its tokens, (tokens, hidden_size). */
  readonly features: readonly Tensor[];
  /** By block of the language model, by picture: what is added there (DeepStack). */
  readonly injections: ReadonlyMap<number, readonly Tensor[]>;
}

/** The tower's rows: one per picture, or per tile. */
interface Rows {
  /** (rows, patches, patch_values), zeros where a row has fewer patches. */
  readonly patches: Tensor;
  /** The pass over the tower's stream, and over the tokens that it becomes. */
  readonly pass: Pass;
  readonly tokens: Pass;
}

/**
 * Runs pictures through the tower. Its hooks have a row for each picture or tile, in the batch's order, and count
 * patches (the class token, if any, is 0).
 * @throws ModalscopeError for an edit that does not fit
 */
export async function see(engine: Engine, images: readonly BatchImage[], company: Company): Promise<Seen> {
  const vision = engine.config.vision_config!;
  const rows = rowsFor(engine, vision, images);
  const streams = await runTower(engine, vision, rows, images, company);
  const features: Tensor[][] = [];
  const injections = new Map<number, Tensor[]>();
  for (const readout of vision.readouts) {
    const x = sideBySide(readout, streams);
    const { out } = await runPiece(engine, readout.id, { x }, rows.tokens, company, []);
    const found = images.map((_, i) => tokensOf(engine, images, i, out));
    if (readout.into === undefined) features.push(found);
    else injections.set(readout.into, found);
    await nextTurn();
  }
  return { features: features[0], injections };
}

/** How the tower's rows and columns are counted. */
export function towerPass(engine: Engine, images: readonly BatchImage[]): Pass {
  return rowsFor(engine, engine.config.vision_config!, images).pass;
}

/** How the rows and columns of each hook are counted: the prompt's, the tower's, or those of what the tower becomes. */
export function passOf(engine: Engine, { images = [] }: Batch, prompt: Pass): (hook: Hook) => Pass {
  let rows: Rows | undefined;
  return ({ piece }) => {
    if (typeof piece === "number" || piece === HEAD || piece === "embed") return prompt;
    rows ??= rowsFor(engine, engine.config.vision_config!, images);
    return piece.startsWith("vision.") ? rows.pass : rows.tokens;
  };
}

function rowsFor(engine: Engine, vision: VisionConfig, images: readonly BatchImage[]): Rows {
  const parts = images.map(({ image }) => patchesOf(image, vision));
  const counts = parts.flatMap(({ shape }) => new Array<number>(shape[0]).fill(shape[1]));
  const most = Math.max(...counts);
  const width = vision.patch_values;
  const data = floats(engine, counts.length * most * width);
  let row = 0;
  for (const { data: own, shape } of parts) {
    const [tiles, patches] = shape;
    for (let t = 0; t < tiles; t++, row++)
      data.set(own.subarray(t * patches * width, (t + 1) * patches * width), row * most * width);
  }
  return {
    patches: { data, shape: [counts.length, most, width] },
    pass: rowPass(counts.map((n) => n + vision.class_tokens)),
    tokens: rowPass(counts.map((n) => tokensPerRow(vision, n))),
  };
}

/** Tokens that the patches of one row become. */
function tokensPerRow(vision: VisionConfig, patches: number): number {
  const kept = vision.keeps_class_tokens ? vision.class_tokens : 0;
  return patches / vision.merge ** 2 + kept;
}

/** A pass over rows of these lengths, filled up on the right. */
function rowPass(lengths: readonly number[]): Pass {
  const size = lengths.length;
  const time = Math.max(...lengths);
  const keyMask = new Uint8Array(size * time);
  lengths.forEach((n, b) => {
    keyMask.fill(1, b * time, b * time + n);
  });
  return {
    size,
    time,
    start: 0,
    positions: [],
    keyMask,
    columns: lengths.map((n) => Array.from({ length: n }, (_, i) => i)),
    last: lengths.map((n) => n - 1),
    phase: "prompt",
    past: [],
  };
}

type Streams = ReadonlyMap<number | "final", Tensor>;

/** The tower's stream wherever a readout reads it. */
async function runTower(
  engine: Engine,
  vision: VisionConfig,
  { patches, pass }: Rows,
  images: readonly BatchImage[],
  company: Company,
): Promise<Streams> {
  const wanted = new Set(
    vision.readouts.flatMap(({ after }): (number | "final")[] => (after === "final" ? [after] : [...after])),
  );
  const streams = new Map<number | "final", Tensor>();
  const keep = (at: number | "final", x: Tensor): void => {
    if (wanted.has(at)) streams.set(at, x);
  };
  const places = placesOf(engine, vision, images, pass);
  let { out: x } = await runPiece(engine, "vision.embed", { x: patches, places }, pass, company, []);
  keep(-1, x);
  const shared = { ...turnsOf(engine, vision, images, pass), mask: paddingMask(engine, pass) };
  for (let l = 0; l < vision.num_hidden_layers; l++) {
    company.signal?.throwIfAborted();
    company.progress?.(l, vision.num_hidden_layers, `vision block ${l}`);
    x = atStream(engine, `vision.blocks.${l}.hook_resid_pre`, x, pass, company);
    x = await runTowerBlock(engine, vision, l, x, shared, pass, company);
    x = atStream(engine, `vision.blocks.${l}.hook_resid_post`, x, pass, company);
    keep(l, x);
    await nextTurn();
  }
  if (wanted.has("final"))
    keep("final", (await runPiece(engine, "vision.final", { x }, pass, company, [])).out);
  return streams;
}

/** One block, over as many rows at once as the limit on scores allows, unless something inside is looked at. */
async function runTowerBlock(
  engine: Engine,
  vision: VisionConfig,
  layer: number,
  x: Tensor,
  shared: Readonly<Record<string, Tensor>>,
  pass: Pass,
  company: Company,
): Promise<Tensor> {
  const id = `vision.blocks.${layer}` as const;
  const scores = `${id}.attn.hook_attn_scores`;
  const hidden = hiddenPairs(company.plan.get(scores) ?? [], pass);
  const mask =
    hidden.length > 0
      ? hideKeys(wholeMask(engine, shared.mask, pass), vision.num_attention_heads, hidden)
      : shared.mask;
  const inner = engine.hooks.filter((h) => h.piece === id && !h.local.startsWith("hook_resid_p"));
  const touched = inner.some(({ name }) => company.plan.has(name) || company.sink.wants(name));
  const perRow = vision.num_attention_heads * pass.time ** 2 * 4;
  const rows = touched ? pass.size : Math.max(1, Math.floor(engine.scoreLimit / perRow));
  if (rows >= pass.size) return (await runPiece(engine, id, { ...shared, x, mask }, pass, company, [])).out;
  const parts: Tensor[] = [];
  for (let from = 0; from < pass.size; from += rows) {
    const cut = (t: Tensor): Tensor => (t.shape[0] === pass.size ? rowsOf(t, from, from + rows) : t);
    const feeds = Object.fromEntries(Object.entries(shared).map(([name, t]) => [name, cut(t)]));
    parts.push((await runPiece(engine, id, { ...feeds, x: cut(x) }, pass, company, [])).out);
    company.signal?.throwIfAborted();
    await nextTurn();
  }
  return joinRows(parts);
}

/** (1 or rows, 1, 1, 1 or time): patches that fill a row up are not looked at. */
function paddingMask(engine: Engine, { size, time, keyMask }: Pass): Tensor {
  if (keyMask.every((k) => k === 1)) return { data: floats(engine, 1), shape: [1, 1, 1, 1] };
  const data = floats(engine, size * time);
  keyMask.forEach((k, i) => {
    if (!k) data[i] = HIDDEN;
  });
  return { data, shape: [size, 1, 1, time] };
}

/** A mask with a cell for every row, query and key. */
function wholeMask(engine: Engine, mask: Tensor, { size, time }: Pass): Tensor {
  const data = floats(engine, size * time * time);
  if (mask.data.length > 1) {
    for (let b = 0; b < size; b++) {
      for (let q = 0; q < time; q++)
        data.set(mask.data.subarray(b * time, (b + 1) * time), (b * time + q) * time);
    }
  }
  return { data, shape: [size, 1, time, time] };
}

/** The streams that a readout reads, side by side along the last axis. */
function sideBySide({ after }: Readout, streams: Streams): Tensor {
  if (after === "final") return streams.get("final")!;
  const parts = after.map((l) => streams.get(l)!);
  if (parts.length === 1) return parts[0];
  const [size, time, width] = parts[0].shape;
  const data = zerosLike(parts[0].data, size * time * width * parts.length);
  parts.forEach((p, i) => {
    for (let t = 0; t < size * time; t++)
      data.set(p.data.subarray(t * width, (t + 1) * width), (t * parts.length + i) * width);
  });
  return { data, shape: [size, time, width * parts.length] };
}

/** The vectors of one picture's tokens, from the readout of all rows (rows, tokens, hidden_size). */
function tokensOf(engine: Engine, images: readonly BatchImage[], index: number, out: Tensor): Tensor {
  const vision = engine.config.vision_config!;
  const firstRow = images.slice(0, index).reduce((n, { image }) => n + image.tiles.length, 0);
  const { image } = images[index];
  const [, perRow, width] = out.shape;
  const across = image.grid[2] / vision.merge;
  const kept = vision.keeps_class_tokens ? vision.class_tokens : 0;
  const newline = engine.family.vision!.newline;
  const data = zerosLike(out.data, image.tokens.length * width);
  image.tokens.forEach((token, i) => {
    if (token.kind === "newline") {
      data.set(engine.checkpoint.read(newline!), i * width);
      return;
    }
    const within = token.kind === "class" ? 0 : kept + token.row * across + token.column;
    const from = ((firstRow + token.tile) * perRow + within) * width;
    data.set(out.data.subarray(from, from + width), i * width);
  });
  return { data, shape: [image.tokens.length, width] };
}

/** Puts the vectors of pictures at their tokens: (batch, time, hidden_size). */
export function placed(images: readonly BatchImage[], vectors: readonly Tensor[], into: Tensor): Tensor {
  const [, time, width] = into.shape;
  images.forEach(({ row, columns: at }, i) => {
    at.forEach((column, t) => {
      into.data.set(vectors[i].data.subarray(t * width, (t + 1) * width), (row * time + column) * width);
    });
  });
  return into;
}
