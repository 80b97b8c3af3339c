/** Seeing: pictures through the vision tower and the projector, and into the language model's stream. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Tensor, zerosLike } from "../tensor.js";
import type { BatchImage } from "./batch.js";
import { Sink } from "./capture.js";
import { joinRows, rowsOf } from "./columns.js";
import type { Edit, PlacedEdit } from "./edits.js";
import { type Engine, type Feeding, floats } from "./engine.js";
import type { Readout, VisionConfig } from "./families/index.js";
import { atStream, type Company, runPiece } from "./forward.js";
import type { Hook } from "./hooks.js";
import { hiddenPairs } from "./intervene.js";
import { HIDDEN, hideKeys, type Pass } from "./pass.js";
import { patchRows, placesOf, turnsOf } from "./patches.js";
import type { Plan } from "./plan.js";
import { ELEMENT_BYTES } from "./pool.js";
import type { VisionPieceId } from "./program.js";
import { countRows, keptClassTokens, type Rows } from "./vision-rows.js";

/** What a batch's pictures become. */
export interface Seen {
  /** By picture: the vectors of its tokens, (tokens, hidden_size). */
  readonly features: readonly Tensor[];
  /** By block of the language model, by picture: what is added there (DeepStack). */
  readonly injections: ReadonlyMap<number, readonly Tensor[]>;
}

/** What a tower's piece reads, as it enters: the patches, the stream of a block or of the final norm, a readout's streams. */
export type Visit = (id: VisionPieceId, feeds: Readonly<Record<string, Tensor>>) => void;

/**
 * Runs pictures through the tower. Its hooks have a row for each picture or tile, in the batch's order, and count
 * patches (the class token, if any, is 0).
 * @throws ModalscopeError for an edit that does not fit
 */
export async function see(engine: Engine, images: readonly BatchImage[], company: Company): Promise<Seen> {
  const vision = engine.config.vision_config!;
  const rows = countRows(vision, images);
  const features: Tensor[][] = [];
  const injections = new Map<number, Tensor[]>();
  await look(engine, images, rows, company, async (readout, feeds) => {
    const { out } = await runPiece(engine, readout.id, feeds, rows.tokens, company, []);
    const found = pictureVectors(engine, images, out);
    if (readout.into === undefined) features.push(found);
    else injections.set(readout.into, found);
  });
  return { features: features[0], injections };
}

/** Runs the tower and hands each readout what it reads. */
export async function look(
  engine: Engine,
  images: readonly BatchImage[],
  rows: Rows,
  company: Company,
  read: (readout: Readout, feeds: Readonly<Record<string, Tensor>>) => void | Promise<void>,
  visit?: Visit,
): Promise<void> {
  const vision = engine.config.vision_config!;
  const streams = await runTower(engine, vision, rows, images, company, visit);
  for (const readout of vision.readouts) {
    await read(readout, { x: sideBySide(readout, streams) });
    company.signal?.throwIfAborted();
    await nextTurn();
  }
}

type Streams = ReadonlyMap<number | "final", Tensor>;

/** The tower's stream wherever a readout reads it. */
async function runTower(
  engine: Engine,
  vision: VisionConfig,
  rows: Rows,
  images: readonly BatchImage[],
  company: Company,
  visit?: Visit,
): Promise<Streams> {
  const pass = rows.tower;
  const wanted = new Set(
    vision.readouts.flatMap(({ after }): (number | "final")[] => (after === "final" ? [after] : [...after])),
  );
  const streams = new Map<number | "final", Tensor>();
  const keep = (at: number | "final", x: Tensor): void => {
    if (wanted.has(at)) streams.set(at, x);
  };
  const patches = atStream(
    engine,
    "vision.hook_patches",
    patchRows(engine, vision, images, rows.patches),
    rows.patches,
    company,
  );
  const embedding = { x: patches, places: placesOf(engine, vision, images, pass) };
  visit?.("vision.embed", embedding);
  let { out: x } = await runPiece(engine, "vision.embed", embedding, pass, company, []);
  const shared = towerInputs(engine, images, pass);
  for (let l = 0; l < vision.num_hidden_layers; l++) {
    company.signal?.throwIfAborted();
    company.progress?.(l, vision.num_hidden_layers, `vision block ${l}`);
    x = atStream(engine, `vision.blocks.${l}.hook_resid_pre`, x, pass, company);
    if (l === 0) keep(-1, x);
    x = await runTowerBlock(engine, vision, l, x, shared, pass, company, visit);
    x = atStream(engine, `vision.blocks.${l}.hook_resid_post`, x, pass, company);
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

/** One block, over as many rows at once as the limit on scores allows, unless an edit mixes rows. */
async function runTowerBlock(
  engine: Engine,
  vision: VisionConfig,
  layer: number,
  x: Tensor,
  shared: Readonly<Record<"cos" | "sin" | "mask", Tensor>>,
  pass: Pass,
  company: Company,
  visit?: Visit,
): Promise<Tensor> {
  const id = `vision.blocks.${layer}` as const;
  const inner = engine.hooks.filter((h) => h.piece === id && h.inside);
  const mixes = inner.some(({ name }) => company.plan.get(name)?.some(({ edit }) => mixesRows(edit)));
  const perRow = vision.num_attention_heads * pass.time ** 2 * ELEMENT_BYTES[engine.float];
  const rows = mixes ? pass.size : Math.max(1, Math.floor(engine.scoreLimit / perRow));
  visit?.(id, { ...shared, x, mask: withHidden(engine, vision, id, shared.mask, pass, company.plan) });
  if (rows >= pass.size) {
    const mask = withHidden(engine, vision, id, shared.mask, pass, company.plan);
    return (await runPiece(engine, id, { ...shared, x, mask }, pass, company, [])).out;
  }
  const wanted = inner.filter(({ name }) => company.sink.wants(name));
  const parts: Record<string, Tensor>[] = [];
  for (let from = 0; from < pass.size; from += rows) {
    const cut = (t: Tensor): Tensor => (t.shape[0] === pass.size ? rowsOf(t, from, from + rows) : t);
    const part = somePass(pass, from, Math.min(pass.size, from + rows));
    const own = { plan: fromRow(company.plan, inner, from), sink: new Sink(engine.hooks, []) };
    const mask = withHidden(engine, vision, id, cut(shared.mask), part, own.plan);
    const feeds = { cos: cut(shared.cos), sin: cut(shared.sin), mask, x: cut(x) };
    const taps = wanted.map(({ local }) => local);
    parts.push(await runPiece(engine, id, feeds, part, own, taps));
    company.signal?.throwIfAborted();
    await nextTurn();
  }
  for (const { name, local } of wanted) company.sink.take(name, joinRows(parts.map((p) => p[local])), pass);
  return joinRows(parts.map(({ out }) => out));
}

/** Whether an edit at a row may read others. */
function mixesRows({ kind }: Edit): boolean {
  return kind === "apply" || kind === "resample";
}

/** Rows `from` … `to`−1 of a pass of the tower. */
function somePass(pass: Pass, from: number, to: number): Pass {
  const { time } = pass;
  return {
    ...pass,
    size: to - from,
    keyMask: pass.keyMask.subarray(from * time, to * time),
    columns: pass.columns.slice(from, to),
    last: pass.last.slice(from, to),
  };
}

/** The edits of some hooks as rows see them that are counted from `from`. */
function fromRow(plan: Plan, hooks: readonly Hook[], from: number): Plan {
  const placed = ({ edit, valueRow }: PlacedEdit): PlacedEdit => ({
    edit,
    valueRow: (b) => valueRow(b + from),
  });
  return new Map(hooks.flatMap(({ name }) => (plan.has(name) ? [[name, plan.get(name)!.map(placed)]] : [])));
}

/** The mask of a block with what its edits hide. */
function withHidden(
  engine: Engine,
  vision: VisionConfig,
  id: string,
  mask: Tensor,
  pass: Pass,
  plan: Plan,
): Tensor {
  const hidden = hiddenPairs(plan.get(`${id}.attn.hook_attn_scores`) ?? [], pass);
  return hidden.length > 0
    ? hideKeys(wholeMask(engine, mask, pass), vision.num_attention_heads, hidden)
    : mask;
}

/** What the tower's blocks share: the turns of rows and columns, and which patches are looked at. */
export function towerInputs(
  engine: Feeding,
  images: readonly BatchImage[],
  pass: Pass,
): { cos: Tensor; sin: Tensor; mask: Tensor } {
  return { ...turnsOf(engine, engine.config.vision_config!, images, pass), mask: paddingMask(engine, pass) };
}

/** (1 or rows, 1, 1, 1 or time): patches that fill a row up are not looked at. */
function paddingMask(engine: Feeding, { size, time, keyMask }: Pass): Tensor {
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

/** By picture, the vectors of its tokens, from the readout of all rows (rows, tokens, hidden_size). */
function pictureVectors(engine: Engine, images: readonly BatchImage[], out: Tensor): Tensor[] {
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

/** By picture, for each of its tokens: which of the readout's vectors it is, all rows' one after the other. */
export function tokenRows(vision: VisionConfig, images: readonly BatchImage[], perRow: number): number[][] {
  const kept = keptClassTokens(vision);
  let firstRow = 0;
  return images.map(({ image }) => {
    const across = image.grid[2] / vision.merge;
    const own = image.tokens.map(({ kind, tile, row, column }) => {
      if (kind === "newline") return NEWLINE;
      return (firstRow + tile) * perRow + (kind === "class" ? 0 : kept + row * across + column);
    });
    firstRow += image.tiles.length;
    return own;
  });
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
