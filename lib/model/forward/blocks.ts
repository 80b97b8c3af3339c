/** The residual stream through the blocks. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tensor } from "../../tensor.js";
import { AttentionInputs, type KeyValues, type Pass, subPass } from "../batch/pass.js";
import { addTensors } from "../batch/slices.js";
import { isAffine } from "../edits/apply.js";
import { needsAllQueries } from "../edits/plan.js";
import { type Engine, floats } from "../engine/engine.js";
import { hookPoint, type RunContext } from "../engine/run-piece.js";
import { HEAD } from "../families/index.js";
import { MLP_OUT } from "../nn/index.js";
import { runBlock } from "./block.js";
import { type ExpertInputs, runExperts } from "./experts.js";

export interface BlocksOptions extends RunContext {
  /** First block (default 0), and the block before which to stop (default: none). */
  readonly startAtLayer?: number;
  readonly stopAtLayer?: number;
  /** Blocks that pass the residual stream on unchanged. */
  readonly skipLayers?: readonly number[];
  /**
   * Absolute column from which on the stream is asked for in the end. Of earlier columns the last block computes keys
   * and values alone, if nothing else there needs more; `pass` of the result tells.
   */
  readonly firstPosition?: number;
}

/** The stream behind some blocks. */
export interface BlocksResult {
  /** (batch, time, hidden_size), of the columns of `pass` */
  readonly x: Tensor;
  readonly pass: Pass;
  readonly keyValues: (KeyValues | undefined)[];
}

/**
 * Runs the residual stream through blocks `from` … `to`−1.
 * @param x (batch, time, hidden_size)
 */
export async function runBlocks(
  engine: Engine,
  pass: Pass,
  x: Tensor,
  options: BlocksOptions,
): Promise<BlocksResult> {
  const {
    startAtLayer: from = 0,
    stopAtLayer: to = engine.config.num_hidden_layers,
    skipLayers = [],
    firstPosition: asked = pass.start,
  } = options;
  const shared = new AttentionInputs(engine.config, pass, (n) => floats(engine, n));
  const keys: (KeyValues | undefined)[] = [];
  let stream = x;
  let reached = pass;
  for (let l = from; l < to; l++) {
    options.signal?.throwIfAborted();
    options.onProgress?.(l - from, to - from, `block ${l}`);
    stream = hookPoint(engine, `blocks.${l}.hook_resid_pre`, stream, pass, options);
    if (!skipLayers.includes(l)) {
      const first = l === to - 1 && positionsIndependent(engine, l, options) ? asked - pass.start : 0;
      const block = await runBlock(engine, l, pass, shared, stream, first, options);
      if (first > 0) reached = subPass(pass, first, pass.seqLength, []);
      stream = block.experts
        ? await withExperts(engine, l, reached, block.x, block.experts, options)
        : block.x;
      keys[l] = block.keyValues;
    }
    stream = addDeepstack(engine, l, stream, reached, options);
    stream = hookPoint(engine, `blocks.${l}.hook_resid_post`, stream, reached, options);
    // onnxruntime holds the event loop while it computes; here timers, messages and signals get their turn.
    await nextTurn();
  }
  options.onProgress?.(to - from, to - from, "blocks");
  return { x: stream, pass: reached, keyValues: keys };
}

/** Whether some columns of a block and of the head can do without the others: no capture or edit there has to do with those. */
function positionsIndependent({ hooks }: Engine, layer: number, { plan, recorder }: RunContext): boolean {
  const after = hooks.filter(
    ({ piece, local }) => piece === HEAD || (piece === layer && local !== "hook_resid_pre"),
  );
  return after.every(
    (hook) =>
      !recorder.wants(hook.name) && isAffine(plan.get(hook.name) ?? []) && !needsAllQueries(hook, plan),
  );
}

/** Adds what DeepStack brings after a block; a block that is skipped does not keep it away. */
function addDeepstack(engine: Engine, layer: number, x: Tensor, pass: Pass, company: RunContext): Tensor {
  const found = pass.injections?.get(layer);
  if (!found) return x;
  return addTensors(x, hookPoint(engine, `blocks.${layer}.hook_deepstack`, found, pass, company));
}

/** The second half of a sparse block, outside its graph: x + hook_mlp_out. */
async function withExperts(
  engine: Engine,
  layer: number,
  pass: Pass,
  x: Tensor,
  inputs: ExpertInputs,
  company: RunContext,
): Promise<Tensor> {
  const { plan, recorder, signal } = company;
  const nameOf = (local: string): string => `blocks.${layer}.${local}`;
  const at = (local: string, value: Tensor): Tensor => hookPoint(engine, nameOf(local), value, pass, company);
  const touches = (local: string): boolean => plan.has(nameOf(local)) || recorder.wants(nameOf(local));
  return addTensors(x, at(MLP_OUT, await runExperts(engine, layer, pass, inputs, { at, touches, signal })));
}
