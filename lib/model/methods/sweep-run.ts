/** Runs the points of a sweep that belong together, as rows of one batch. */
import { sizeOf, type Tensor } from "../../tensor.js";
import { type Batch, concatBatch, type KeyValues, type Pass, sliceTime } from "../batch/index.js";
import { type ActivationCache, CaptureRecorder } from "../captures/index.js";
import { atRows, mergePlans } from "../edits/index.js";
import type { Engine, RunContext } from "../engine/index.js";
import { type Embedded, embedBatch, enterStream, logitsAt, runBlocks } from "../forward/index.js";
import { finalStream } from "./gradients.js";
import { tileFrom } from "./sweep-batch.js";
import type { Point } from "./sweep-grid.js";

/** The run without edits, which every point starts from. */
export interface CleanRun {
  readonly engine: Engine;
  readonly batch: Batch;
  /** Its pass, with DeepStack's features. */
  readonly pass: Pass;
  readonly cache: ActivationCache;
  readonly keyValues: readonly (KeyValues | undefined)[];
  readonly logits: Tensor;
  /** Columns that the metric reads, by row, and the first of them. */
  readonly logitPositions: readonly (readonly number[])[];
  readonly firstPosition: number;
}

/**
 * Logits (batch, n, vocab_size) of each point of a group. The points' rows lie below each other; a point joins at its
 * first block with the clean run's stream, from the group's first column on.
 * @param step told the rows that went through a block
 */
export async function runGroup(
  clean: CleanRun,
  group: readonly Point[],
  step: (rows: number) => void,
  signal?: AbortSignal,
): Promise<Tensor[]> {
  const { engine, batch } = clean;
  const { column } = group[0];
  const layers = engine.config.num_hidden_layers;
  const context: RunContext = {
    engine,
    plan: mergePlans(group.map(({ plan }, i) => atRows(plan, i * batch.size, batch.size))),
    recorder: new CaptureRecorder(engine.hooks, []),
    signal,
  };
  const embedded = await embedApart(context, batch, group);
  let x: Tensor | undefined;
  let from = column;
  const active: Point[] = [];
  for (let l = group[0].layer; l < layers; l++) {
    const joining = group.filter((p) => p.layer === l);
    active.push(...joining);
    const copies = active.map((p) => embedded.get(p)?.pass ?? clean.pass);
    const pass = tileFrom(clean.pass, copies, column, l, clean.keyValues[l]);
    const before = (): Tensor => clean.cache.get(l === 0 ? "hook_embed" : `blocks.${l}.hook_resid_pre`);
    const rows = joining.map((p) => sliceTime(embedded.get(p)?.x ?? before(), column, batch.seqLength));
    if (rows.length > 0) x = concatBatch(x ? [x, ...rows] : rows);
    if (l === 0) x = enterStream(context, x!, pass);
    const firstPosition = l === layers - 1 ? clean.firstPosition : undefined;
    const ran = await runBlocks(context, pass, x!, { startAtLayer: l, stopAtLayer: l + 1, firstPosition });
    x = ran.x;
    from = ran.pass.start;
    step(active.length * batch.size);
  }
  return groupLogits(context, clean, group, { x, from });
}

/** The embeddings of the points whose edits are in the vision tower: it runs for each of them alone. */
async function embedApart(
  context: RunContext,
  batch: Batch,
  group: readonly Point[],
): Promise<ReadonlyMap<Point, Embedded>> {
  const embedded = new Map<Point, Embedded>();
  for (const point of group.filter((p) => p.visionPlan.size > 0)) {
    embedded.set(point, await embedBatch({ ...context, plan: point.visionPlan }, batch));
  }
  return embedded;
}

async function groupLogits(
  context: RunContext,
  clean: CleanRun,
  group: readonly Point[],
  { x, from }: { readonly x?: Tensor; readonly from: number },
): Promise<Tensor[]> {
  const { engine, batch } = clean;
  const layers = engine.config.num_hidden_layers;
  // Points whose edits are in the head alone start here.
  const unchanged = group
    .filter((p) => p.layer === layers)
    .map(() => sliceTime(clean.cache.get(finalStream(engine)), from, batch.seqLength));
  const streams = concatBatch([...(x ? [x] : []), ...unchanged]);
  const copies = group.map(() => clean.pass);
  const pass = tileFrom(clean.pass, copies, from, layers);
  const at = Array.from({ length: group.length }, () => clean.logitPositions).flat();
  const { logits } = await logitsAt(context, pass, streams, at);
  const size = sizeOf(logits.shape) / group.length;
  const shape = [batch.size, ...logits.shape.slice(1)];
  return group.map((_, i) => ({ data: logits.data.subarray(i * size, (i + 1) * size), shape }));
}
