import { setImmediate as nextTurn } from "node:timers/promises";
import {
  checkOptions,
  checkSome,
  integers,
  list,
  type OptionChecks,
  positions,
  record,
  required,
  some,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import {
  type BackwardContext,
  type BackwardHooks,
  backwardContext,
  type InjectionPoint,
  visionBackwardBytes,
  vjpBlock,
  vjpHead,
  vjpStream,
  vjpVision,
} from "../backward/index.js";
import type { Batch, Pass, Positions } from "../batch/index.js";
import { type ActivationCache, captureShapes } from "../captures/index.js";
import type { Edits } from "../edits/index.js";
import { backwardBytes, ELEMENT_BYTES, type Engine, floats, type MemoryDemand } from "../engine/index.js";
import { HEAD } from "../families/index.js";
import {
  batchPass,
  innerBytes,
  type PreparedRun,
  prepareRun,
  type RunOptions,
  run,
  runDemand,
  runRange,
} from "../forward/index.js";
import { type Hook, isVisual, matchRunning, reaches } from "../hooks/index.js";
import type { Model } from "../model.js";
import { passFor } from "../vision/index.js";
import { checkDifferentiable, editsWithFrozen, type FrozenHook, frozenHooks } from "./differentiable.js";
import type { Metric } from "./metrics.js";

export interface GradientOptions extends TaskOptions {
  /** Hooks to differentiate by; of an edited hook, by its value after the edit. */
  readonly wrt: readonly (string | RegExp)[];
  /** Positions that the metrics read logits at (default: the last token of each row). */
  readonly positions?: Positions;
  /** Edits of the run whose derivatives these are; they are differentiated through. */
  readonly edits?: Edits;
  /** Blocks that are left out. */
  readonly skipLayers?: readonly number[];
  /**
   * Hooks taken as constants, such as attention patterns and norm scales: no gradient flows through them. One with a
   * value has that in the run too.
   */
  readonly frozen?: readonly (string | RegExp | FrozenHook)[];
}

const GRADIENT_OPTIONS: OptionChecks<GradientOptions> = {
  ...TASK_OPTIONS,
  wrt: required(some(list), "a list of hooks"),
  positions,
  edits: record,
  skipLayers: integers,
  frozen: list,
};

export interface Gradients {
  /** By metric, one number per row. */
  readonly values: readonly Float64Array[];
  /** ∂metric/∂hook: (metrics, …the hook's shape), each row's metric by its own activations. */
  readonly gradients: ActivationCache;
  readonly logits: Tensor;
}

/**
 * Derivatives of metrics by activations, block by block from the last to the first, and on through the vision tower
 * down to the patches of the images (`vision.hook_patches`): each block's graph computes its values again and pulls
 * all metrics' cotangents back at once.
 * @throws ModalscopeError for a hook that is unknown or does not run, one that the metric does not depend on, an edit
 * without derivative (`edit.apply`, `edit.resample`) on the way to one, or more derivatives than the memory holds
 */
export async function gradients(
  model: Model,
  batch: Batch,
  metrics: readonly Metric[],
  options: GradientOptions,
): Promise<Gradients> {
  checkOptions("gradients", options, GRADIENT_OPTIONS);
  checkSome("gradients", "metrics", metrics);
  const { engine } = model;
  const { prepared, request, hooks } = prepareGradients(engine, batch, metrics, options);
  const forward = await run(prepared, request);
  const logits = forward.logits!;
  const back = backwardContext({ ...prepared, onProgress: options.onProgress }, prepared.pass, hooks);
  const g = stack(
    engine,
    metrics.map((m) => m.gradient(logits)),
  );
  const final = await vjpHead(back, forward.cache.get(finalStream(engine)), forward.logitPositions, g);
  const arriving = await vjpBlocks(back, forward.cache, final, options.skipLayers);
  if (hooks.wrt.some(isVisual)) await vjpVision(back, batch.images!, arriving);
  return { values: metrics.map((m) => m.value(logits)), gradients: back.gradients, logits };
}

/** The forward run that the derivatives belong to, which keeps the stream before each block that they go back through. */
function prepareGradients(
  engine: Engine,
  batch: Batch,
  metrics: readonly Metric[],
  options: GradientOptions,
): { prepared: PreparedRun; request: RunOptions; hooks: BackwardHooks } {
  const { signal, skipLayers } = options;
  const runs = reaches(runRange(engine, batch, { skipLayers }));
  const wrt = options.wrt.flatMap((pattern) => matchRunning(engine.hooks, pattern, runs));
  const frozen = frozenHooks(engine, options.frozen ?? [], passFor(engine, batch, batchPass(engine, batch)));
  const blocks = Array.from({ length: engine.config.num_hidden_layers }, (_, l) => l);
  const request: RunOptions = {
    edits: editsWithFrozen(options.edits ?? {}, frozen.frozenValues),
    capture: [...blocks.slice(firstLayer(wrt)).map((l) => `blocks.${l}.hook_resid_pre`), finalStream(engine)],
    logits: options.positions ?? "last",
    skipLayers,
    signal,
  };
  const prepared = prepareRun(engine, batch, request, (run) => ({
    ...runDemand(run, request),
    ...gradientDemand(run, wrt, metrics.length),
  }));
  checkDifferentiable(engine, wrt, prepared.plan);
  return { prepared, request, hooks: { wrt, ...frozen } };
}

/** Memory of a backward pass, by what it is for; it comes after the forward pass, whose captures are still there. */
function gradientDemand(run: PreparedRun, wrt: readonly Hook[], targets: number): MemoryDemand {
  const { engine, pass, batch } = run;
  return {
    derivatives: targets * gradientBytes(engine, wrt, run.passFor),
    "values inside a block": Math.max(innerBytes(run), backwardBytes(engine, pass, targets)),
    ...(wrt.some(isVisual) ? visionBackwardBytes(engine, batch.images!, targets) : {}),
  };
}

/**
 * Pulls a cotangent (targets, batch, time, hidden_size) of the final stream back through the blocks, as far as the
 * hooks ask.
 * @returns the cotangents where visual features enter
 */
async function vjpBlocks(
  back: BackwardContext,
  streams: ActivationCache,
  final: Tensor,
  skipLayers: readonly number[] = [],
): Promise<ReadonlyMap<InjectionPoint, Tensor>> {
  const { engine, wrt, signal, onProgress } = back;
  const layers = engine.config.num_hidden_layers;
  const first = firstLayer(wrt);
  const visual = wrt.some(isVisual);
  const injected = new Set(engine.config.vision_config?.readouts.map(({ toLayer }) => toLayer));
  const arriving = new Map<InjectionPoint, Tensor>();
  let g = final;
  for (let l = layers - 1; l >= first; l--) {
    signal?.throwIfAborted();
    onProgress?.(layers - 1 - l, layers - first, `block ${l}`);
    g = vjpStream(back, `blocks.${l}.hook_resid_post`, g);
    const atDeepstack = vjpStream(back, `blocks.${l}.hook_deepstack`, g);
    if (visual && injected.has(l)) arriving.set(l, atDeepstack);
    if (!skipLayers.includes(l)) {
      g = await vjpBlock(back, l, streams.get(`blocks.${l}.hook_resid_pre`), g);
    }
    g = vjpStream(back, `blocks.${l}.hook_resid_pre`, g);
    await nextTurn();
  }
  if (engine.family.names.positions) vjpStream(back, "hook_pos_embed", g);
  arriving.set("hook_embed", vjpStream(back, "hook_embed", g));
  return arriving;
}

function gradientBytes({ float }: Engine, hooks: readonly Hook[], counted: (hook: Hook) => Pass): number {
  const sizes = hooks.map((h) => sizeOf(captureShapes(h, { hook: h.name }, counted(h))[0][1]));
  return sizes.reduce((a, b) => a + b, 0) * ELEMENT_BYTES[float];
}

/** Name of the stream after the last block. */
export const finalStream = ({ config }: Engine): string =>
  `blocks.${config.num_hidden_layers - 1}.hook_resid_post`;

/** The earliest block that a gradient must reach. */
function firstLayer(wanted: readonly Hook[]): number {
  const pieces = wanted.map(({ piece }) =>
    typeof piece === "number" ? piece : piece === HEAD ? Number.POSITIVE_INFINITY : 0,
  );
  return Math.min(...pieces);
}

/** Tensors of one shape along a new first axis. */
export function stack(engine: Engine, parts: readonly Tensor[]): Tensor {
  const size = sizeOf(parts[0].shape);
  const data = floats(engine, size * parts.length);
  parts.forEach((p, i) => {
    data.set(p.data, i * size);
  });
  return { data, shape: [parts.length, ...parts[0].shape] };
}
