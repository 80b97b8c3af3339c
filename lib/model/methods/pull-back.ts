/**
 * Cotangents of many targets, pulled back through a frozen run in one sweep from the head down to the image's pixels:
 *
 *     rows that start at a piece join those that come from above
 *     rows are sorted by column: a causal block needs no columns after a row's own
 *     each piece pulls all rows, some at once; cotangents at the asked hooks are handed over and dropped
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { ModalscopeError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import {
  BIASES,
  biasesOf,
  type HeldPull,
  type HeldRun,
  type HeldSkip,
  heldGraph,
  type InjectionPoint,
  isAfterGraph,
  vjpHeld,
} from "../backward/index.js";
import { backwardBytes, checkMemory, ELEMENT_BYTES, type Engine, floats } from "../engine/index.js";
import { HEAD, type PieceId } from "../families/index.js";
import { axesOf, type Hook, isVisual, matchHooks } from "../hooks/index.js";
import type { Model } from "../model.js";
import type { FrozenRun } from "./freeze.js";
import { PULL_OPTIONS, type PullOptions, type PullTarget, type SkipConnection } from "./pull-options.js";
import { chunksOf, columnsLast, flat, projectStream, reachOfColumns, withoutBatch } from "./pull-values.js";
import { pullVision } from "./pull-vision.js";

/** One target on its way down. */
interface Row {
  readonly id: number;
  /** Columns of `g` from the first on; those after are zero. */
  readonly time: number;
  /** (time, hidden_size), the cotangent of the stream; undefined before the row has started. */
  readonly g?: Float32Array;
  /** Where it starts, until then. */
  readonly start?: PullTarget;
}

/**
 * Pulls vectors back through a frozen run, all in one sweep: each block is loaded once.
 * The row of a target holds its derivatives with everything frozen: its product with a vector that a source writes is
 * the source's direct effect on the target.
 * @throws ModalscopeError for an unknown hook or column, a vector of another length, images where there are none, or
 * more rows than the memory holds
 */
export async function pullBack(model: Model, run: FrozenRun, options: PullOptions): Promise<void> {
  checkOptions("pullBack", options, PULL_OPTIONS);
  const pull = new Pull(model, run, options);
  await pull.run();
}

class Pull {
  private readonly engine: Engine;
  private readonly held: HeldRun;
  private readonly points: readonly { readonly hook: Hook; readonly vectors?: Tensor }[];
  private readonly named: ReadonlyMap<string, Hook>;
  private readonly skips: ReadonlyMap<PieceId, HeldSkip>;
  /** By column, how many columns a row that starts there needs. */
  private readonly reach: readonly number[];
  private rows: Row[] = [];
  private waiting: Row[];
  private count = 0;
  /** Cotangents (time, hidden_size) of visual features added after a block, by row. */
  private readonly injected = new Map<InjectionPoint, Map<number, Float32Array>>();

  constructor(
    model: Model,
    private readonly frozen: FrozenRun,
    private readonly options: PullOptions,
  ) {
    this.engine = model.engine;
    this.held = frozen.held;
    this.named = new Map(this.engine.hooks.map((h) => [h.name, h]));
    this.points = options.at.flatMap(({ hook, vectors }) =>
      matchHooks(this.engine.hooks, hook).map((found) => ({
        hook: found,
        vectors: vectors && (isVisual(found) ? vectors : columnsLast(vectors)),
      })),
    );
    if (this.points.some(({ hook }) => isVisual(hook)) && !frozen.batch.images) {
      throw new ModalscopeError(
        "Cotangents are asked for in the vision tower.",
        "The prompt has no image.",
        "Give a prompt with an image, or leave the hooks of the tower and the projector out.",
      );
    }
    this.skips = new Map((options.skips ?? []).map((skip) => this.skipOf(skip)));
    this.reach = reachOfColumns(this.held, frozen.batch.seqLength);
    this.waiting = options.targets.map((target) => this.rowOf(target));
    this.checkMemory();
  }

  async run(): Promise<void> {
    const { signal, onProgress, join } = this.options;
    const layers = this.engine.config.num_hidden_layers;
    await this.piece(HEAD);
    for (let l = layers - 1; l >= 0; l--) {
      signal?.throwIfAborted();
      onProgress?.(layers - 1 - l, layers, `block ${l}`);
      this.stream(`blocks.${l}.hook_resid_post`);
      this.stream(`blocks.${l}.hook_deepstack`);
      this.keepInjected(l);
      await this.whileOpen(l, async () => {
        await this.piece(l);
        if (!join) return;
        const pulled = this.rows;
        this.rows = [];
        for (const target of join(l)) this.waiting.push(this.rowOf(target));
        await this.piece(l);
        this.rows = [...pulled, ...this.rows];
      });
      this.stream(`blocks.${l}.hook_resid_pre`);
    }
    this.stream("hook_pos_embed");
    this.stream("hook_embed");
    this.keepInjected("hook_embed");
    const points = this.points.filter(({ hook }) => isVisual(hook));
    if (points.length > 0) {
      const vision = { run: this.frozen, points, injected: this.injected, options: this.options };
      await pullVision(
        vision,
        this.rows.map(({ id }) => id),
      );
    }
    onProgress?.(layers, layers, "blocks");
  }

  /** Names of what arrives at a streamed block, from above and where rows join: one graph then serves both. */
  private arrivals(id: PieceId): readonly string[] {
    const { joinAt } = this.options;
    if (this.engine.resident || typeof id !== "number" || joinAt === undefined) return [];
    return this.named.get(`blocks.${id}.${joinAt}`)?.inside ? ["out", joinAt] : [];
  }

  /** Holds a streamed block's session while `work` pulls through it. */
  private async whileOpen(layer: number, work: () => Promise<void>): Promise<void> {
    const from = this.arrivals(layer);
    if (from.length === 0) return work();
    const pull = { from, ...this.pullOf(layer) };
    await this.engine.pool.use(heldGraph(this.engine, layer, pull), work);
  }

  /** What is read of a piece, whatever arrives at it. */
  private pullOf(id: PieceId): Omit<HeldPull, "arriving"> {
    const points = this.points.filter(({ hook }) => hook.piece === id && hook.inside);
    const vectors = points.flatMap((p) => (p.vectors ? [[p.hook.name, p.vectors] as const] : []));
    return {
      wrt: points.map(({ hook }) => hook),
      projections: new Map(vectors),
      biases: Boolean(this.options.biases),
      skip: this.skips.get(id),
    };
  }

  private skipOf({ from, to, matrix }: SkipConnection): [PieceId, HeldSkip] {
    const wrong = (reason: string): ModalscopeError =>
      new ModalscopeError(`A skip connection cannot lead from "${from}" to "${to}".`, reason);
    const start = this.named.get(from);
    const end = this.named.get(to);
    const inside = start?.inside && end && (end.inside || isAfterGraph(end));
    if (!inside || typeof start.piece !== "number" || start.piece !== end.piece)
      throw wrong("Both must be hooks inside one block.");
    const widths = [end, start].map(({ shape }) => Number(shape[shape.length - 1]));
    if (matrix.shape.join() !== widths.join())
      throw wrong(`Its matrix has the shape (${matrix.shape.join(", ")}), and not (${widths.join(", ")}).`);
    return [start.piece, { from: start, to: end, matrix }];
  }

  private rowOf(start: PullTarget): Row {
    const hook = this.named.get(start.hook) ?? matchHooks(this.engine.hooks, start.hook)[0];
    const { seqLength } = this.frozen.batch;
    const width = sizeOf(hook.shape.slice(2).map(Number));
    if (isVisual(hook) || axesOf(hook).time !== 1 || Number.isNaN(width)) {
      throw new ModalscopeError(
        `"${start.hook}" cannot be pulled back from.`,
        "It has no vector at each token.",
      );
    }
    if (!(Number.isInteger(start.column) && start.column >= 0 && start.column < seqLength)) {
      throw new ModalscopeError(`There is no column ${start.column}.`, `The prompt has ${seqLength}.`);
    }
    if (start.vector.length !== width) {
      throw new ModalscopeError(
        `A vector for "${start.hook}" has ${start.vector.length} elements.`,
        `The hook has ${width} at each token.`,
      );
    }
    return { id: this.count++, time: this.reach[start.column], start: { ...start, hook: hook.name } };
  }

  private checkMemory(): void {
    const { targets, atOnce = 64, most = targets.length } = this.options;
    const { engine, held } = this;
    const { seqLength } = held.pass;
    const row = seqLength * engine.config.hidden_size * ELEMENT_BYTES[engine.float];
    checkMemory(engine, {
      [`cotangents of ${most} rows`]: Math.max(most, targets.length) * row,
      "values inside a block": backwardBytes(engine, held.pass, Math.min(atOnce, Math.max(1, most))),
    });
  }

  /** Rows that start at a hook of the stream join, and the cotangents there are handed over. */
  private stream(name: string): void {
    const hook = this.named.get(name);
    if (!hook) return;
    const width = this.engine.config.hidden_size;
    for (const row of this.startingAt((h) => h === name)) {
      const g = floats(this.engine, row.time * width);
      g.set(row.start!.vector, row.start!.column * width);
      this.rows.push({ id: row.id, time: row.time, g });
    }
    if (!this.points.some((p) => p.hook === hook)) return;
    for (const chunk of this.chunks(this.rows)) this.handOverStream(hook, chunk, this.gather(chunk));
  }

  /** Takes the waiting rows that start at hooks of which `at` is true. */
  private startingAt(at: (hook: string) => boolean): Row[] {
    const found = this.waiting.filter((row) => at(row.start!.hook));
    this.waiting = this.waiting.filter((row) => !found.includes(row));
    return found;
  }

  /** Pulls all rows through a piece. */
  private async piece(id: PieceId): Promise<void> {
    const { engine } = this;
    const own = engine.hooks.filter((h) => h.piece === id);
    const inside = new Map(own.filter((h) => h.inside).map((h) => [h.name, h]));
    const all = [...this.rows, ...this.startingAt((hook) => inside.has(hook))];
    this.rows = [];
    for (const chunk of this.chunks(all)) {
      this.options.signal?.throwIfAborted();
      for (const hook of own) {
        if (isAfterGraph(hook) && this.points.some((p) => p.hook === hook)) {
          const arrived = chunk.filter((row) => row.g);
          if (arrived.length > 0) this.handOverStream(hook, arrived, this.gather(arrived));
        }
      }
      await this.pullChunk(id, chunk, inside);
      await nextTurn();
    }
  }

  private async pullChunk(
    id: PieceId,
    chunk: readonly Row[],
    inside: ReadonlyMap<string, Hook>,
  ): Promise<void> {
    const { engine, held } = this;
    const time = chunk[chunk.length - 1].time;
    const arriving: Record<string, Tensor> = {};
    const always = this.arrivals(id);
    if (chunk.some((row) => row.g) || always.includes("out")) arriving.out = this.gather(chunk);
    const starts = chunk.flatMap((row) => row.start?.hook ?? []);
    const joined = [...inside.values()].filter(({ local }) => always.includes(local));
    for (const hook of new Set([...joined.map(({ name }) => name), ...starts])) {
      const found = inside.get(hook)!;
      arriving[found.local] = this.startsAt(chunk, found, time);
    }
    const pull = this.pullOf(id);
    const { wrt, projections } = pull;
    const d = await vjpHeld(held, id, { arriving, ...pull });
    const rows = chunk.map((row) => row.id);
    for (const { name, local } of wrt) {
      const g = d[local];
      if (g) this.options.take({ hook: name, rows, values: withoutBatch(g, projections.has(name) ? 0 : 1) });
    }
    if (d[BIASES]) this.options.take({ hook: biasesOf(id), rows, values: flat(d[BIASES]) });
    const width = engine.config.hidden_size;
    const x = d.x?.data ?? floats(engine, chunk.length * time * width);
    chunk.forEach((row, i) => {
      const from = i * time * width;
      this.rows.push({ id: row.id, time: row.time, g: x.subarray(from, from + row.time * width) });
    });
  }

  /** Rows below each other, sorted by their columns, some at once. */
  private chunks(rows: readonly Row[]): Row[][] {
    return chunksOf(
      [...rows].sort((a, b) => a.time - b.time),
      this.options.atOnce,
    );
  }

  /** Cotangents of a chunk's stream, (rows, 1, time, hidden_size); zero of rows that start inside the piece. */
  private gather(chunk: readonly Row[], time = chunk[chunk.length - 1].time): Tensor {
    const width = this.engine.config.hidden_size;
    const data = floats(this.engine, chunk.length * time * width);
    chunk.forEach((row, i) => {
      if (row.g) data.set(row.g, i * time * width);
    });
    return { data, shape: [chunk.length, 1, time, width] };
  }

  /** The vectors of the rows that start at a hook, each at its column: (rows, 1, time, …). */
  private startsAt(chunk: readonly Row[], hook: Hook, time: number): Tensor {
    const rest = hook.shape.slice(2).map(Number);
    const width = sizeOf(rest);
    const data = floats(this.engine, chunk.length * time * width);
    chunk.forEach(({ start }, i) => {
      if (start?.hook === hook.name) data.set(start.vector, (i * time + start.column) * width);
    });
    return { data, shape: [chunk.length, 1, time, ...rest] };
  }

  private handOverStream(hook: Hook, chunk: readonly Row[], g: Tensor): void {
    const rows = chunk.map((row) => row.id);
    for (const point of this.points) {
      if (point.hook !== hook) continue;
      const values = point.vectors ? projectStream(g, point.vectors) : withoutBatch(g, 1);
      this.options.take({ hook: hook.name, rows, values });
    }
  }

  /** Keeps the cotangents where visual features are added, for the tower. */
  private keepInjected(at: InjectionPoint): void {
    const { vision_config } = this.engine.config;
    if (!vision_config || !this.points.some(({ hook }) => isVisual(hook))) return;
    if (!vision_config.readouts.some(({ toLayer }) => (toLayer ?? "hook_embed") === at)) return;
    this.injected.set(at, new Map(this.rows.map((row) => [row.id, row.g!])));
  }
}
