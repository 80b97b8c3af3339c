/**
 * The residual stream through the blocks. For each block:
 *
 *     x = hook_resid_pre                      edited and captured between the graphs
 *     x = x + attention(x) + mlp(x)           one graph, its inner hooks inside; sparse blocks run experts after it
 *     x = x + hook_deepstack                  visual features, where the model adds some after the block
 *     x = hook_resid_post
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tensor } from "../../tensor.js";
import { addTensors, type KeyValues, type Pass, subPass } from "../batch/index.js";
import { isAffine, needsAllQueries } from "../edits/index.js";
import { hookPoint, type RunContext } from "../engine/index.js";
import { HEAD } from "../families/index.js";
import { ADDED, MLP_OUT } from "../nn/index.js";
import { attentionOf, type BlockResult, runBlock } from "./block.js";
import { checkStream } from "./check-finite.js";
import { runExperts } from "./experts.js";

/** The blocks to run, and the columns that are needed after them. */
export interface BlocksOptions {
  /** First block (default 0), and the block before which to stop (default: none). */
  readonly startAtLayer?: number;
  readonly stopAtLayer?: number;
  /** Blocks that pass the residual stream on unchanged. */
  readonly skipLayers?: readonly number[];
  /**
   * Absolute column from which on the stream is needed after the last block. Of earlier columns that block computes
   * keys and values alone, unless something else there needs more; `pass` of the result tells.
   */
  readonly firstPosition?: number;
}

/** The stream after some blocks. */
export interface BlocksResult {
  /** (batch, time, hidden_size), of the columns of `pass` */
  readonly x: Tensor;
  readonly pass: Pass;
  readonly keyValues: (KeyValues | undefined)[];
}

/**
 * Runs the residual stream through blocks `startAtLayer` … `stopAtLayer`−1.
 * @param x (batch, time, hidden_size)
 */
export async function runBlocks(
  context: RunContext,
  pass: Pass,
  x: Tensor,
  options: BlocksOptions = {},
): Promise<BlocksResult> {
  const { engine, signal, onProgress } = context;
  const { startAtLayer: from = 0, stopAtLayer: to = engine.config.num_hidden_layers } = options;
  const { skipLayers = [], firstPosition = pass.start } = options;
  const attention = attentionOf(engine, pass);
  const keyValues: (KeyValues | undefined)[] = [];
  let stream = x;
  let reached = pass;
  if (from === 0) checkStream(context, "blocks.0.hook_resid_pre", "outside the blocks", x, pass);
  for (let l = from; l < to; l++) {
    signal?.throwIfAborted();
    onProgress?.(l - from, to - from, `block ${l}`);
    stream = hookPoint(context, `blocks.${l}.hook_resid_pre`, stream, pass);
    if (!skipLayers.includes(l)) {
      const first = l === to - 1 && positionsIndependent(context, l) ? firstPosition - pass.start : 0;
      const block = await runBlock(context, l, { pass, x: stream, attention }, first);
      if (first > 0) reached = subPass(pass, first, pass.seqLength, []);
      stream = await withExperts(context, l, reached, block);
      keyValues[l] = block.keyValues;
    }
    stream = addDeepstack(context, l, reached, stream);
    stream = hookPoint(context, `blocks.${l}.hook_resid_post`, stream, reached);
    checkStream(context, `blocks.${l}.hook_resid_post`, l, stream, reached);
    // onnxruntime holds the event loop while it computes; here timers, messages and signals get their turn.
    await nextTurn();
  }
  onProgress?.(to - from, to - from, "blocks");
  return { x: stream, pass: reached, keyValues };
}

/** True where columns of a block and of the head can be computed without the others: no capture or edit there needs them. */
function positionsIndependent({ engine, plan, recorder }: RunContext, layer: number): boolean {
  const after = engine.hooks.filter(
    ({ piece, local }) => piece === HEAD || (piece === layer && local !== "hook_resid_pre"),
  );
  return after.every(
    (hook) =>
      !recorder.wants(hook.name) && isAffine(plan.get(hook.name) ?? []) && !needsAllQueries(hook, plan),
  );
}

/** Adds DeepStack's features after a block, whether or not the block itself is skipped. */
function addDeepstack(context: RunContext, layer: number, pass: Pass, x: Tensor): Tensor {
  const features = pass.injections?.get(layer);
  if (!features) return x;
  return addTensors(x, hookPoint(context, `blocks.${layer}.hook_deepstack`, features, pass));
}

/** The second half of a sparse block, outside its graph: x + hook_mlp_out. */
async function withExperts(
  context: RunContext,
  layer: number,
  pass: Pass,
  { x, experts }: BlockResult,
): Promise<Tensor> {
  if (!experts) return x;
  const { engine, plan, recorder, signal } = context;
  const nameOf = (local: string): string => `blocks.${layer}.${local}`;
  const at = (local: string, value: Tensor): Tensor => hookPoint(context, nameOf(local), value, pass);
  const touches = (local: string): boolean => plan.has(nameOf(local)) || recorder.wants(nameOf(local));
  const out = await runExperts(engine, layer, pass, experts, { at, touches, signal });
  return addTensors(x, at(ADDED, at(MLP_OUT, out)));
}
