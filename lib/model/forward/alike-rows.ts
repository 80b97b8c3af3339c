/** Prompts that several rows share, one under many edits say, are read once up to the first block that is edited. */
import type { Tensor } from "../../tensor.js";
import { type Batch, concatBatch, keepRows, type Pass, sliceBatch } from "../batch/index.js";
import type { RunContext } from "../engine/index.js";
import { HEAD } from "../families/index.js";
import { type BlocksOptions, type BlocksResult, runBlocks } from "./blocks.js";
import { batchPass, embedTokens } from "./embed.js";

/** Copying the streams and keys of shared rows pays while no more than this share of the rows is distinct. */
const DISTINCT_SHARE = 0.75;

/**
 * Runs the prompts of a batch through all blocks, as `runBlocks` does, where rows are alike; undefined where they are not, where
 * there are images, or where the first block is edited already.
 */
export async function runAlikeRows(
  context: RunContext,
  batch: Batch,
  options: BlocksOptions,
): Promise<BlocksResult | undefined> {
  const first = firstEditedBlock(context);
  if (first === 0 || batch.images?.length) return undefined;
  const whole = batchPass(context.engine, batch);
  const kinds = kindsOfRows(batch, whole);
  const distinct = [...new Set(kinds)];
  if (distinct.length > DISTINCT_SHARE * batch.size) return undefined;
  const pass = keepRows(whole, distinct);
  const ids = Int32Array.from(distinct.flatMap((row) => Array.from(rowOf(batch.inputIds, batch, row))));
  const shared = await runBlocks(context, pass, embedTokens(context, ids, pass), {
    ...options,
    stopAtLayer: first,
    firstPosition: 0,
  });
  const places = kinds.map((row) => distinct.indexOf(row));
  const spread = (x: Tensor): Tensor => concatBatch(places.map((at) => sliceBatch(x, at, at + 1)));
  const ran = await runBlocks(context, whole, spread(shared.x), { ...options, startAtLayer: first });
  const before = shared.keyValues.map((kv) => kv && { key: spread(kv.key), value: spread(kv.value) });
  return { ...ran, keyValues: [...before, ...ran.keyValues.slice(before.length)] };
}

/** The first block that an edit changes something in; as many as there are blocks where only the head is edited, or nothing. */
function firstEditedBlock({ engine, plan }: RunContext): number {
  const { num_hidden_layers } = engine.config;
  const edited = engine.hooks
    .filter(({ name }) => plan.has(name))
    .map(({ piece }) => (piece === HEAD ? num_hidden_layers : typeof piece === "number" ? piece : 0));
  return Math.min(num_hidden_layers, ...edited);
}

/** By row, the first one with the same tokens at the same places. */
function kindsOfRows(batch: Batch, { positionIds }: Pass): number[] {
  const firsts = new Map<string, number>();
  return batch.tokenPositions.map((columns, row) => {
    const places = positionIds.map((axis) => rowOf(axis, batch, row));
    const key = [columns, rowOf(batch.inputIds, batch, row), ...places].join(" ");
    const first = firsts.get(key) ?? row;
    firsts.set(key, first);
    return first;
  });
}

function rowOf(data: Int32Array, { seqLength }: Batch, row: number): Int32Array {
  return data.subarray(row * seqLength, (row + 1) * seqLength);
}
