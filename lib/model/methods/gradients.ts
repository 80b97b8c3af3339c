import { setImmediate as nextTurn } from "node:timers/promises";
import { ModalscopeError } from "../../errors.js";
import type { TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import { type BackwardContext, vjpBlock, vjpHead, vjpStream } from "../backward/piece.js";
import { type InjectionPoint, visionBackwardBytes, vjpVision } from "../backward/vision.js";
import type { Batch, Positions } from "../batch/batch.js";
import { AttentionInputs, type Pass } from "../batch/pass.js";
import { ActivationCache } from "../captures/activation-cache.js";
import { captureShapes } from "../captures/reductions.js";
import { type Edit, type Edits, fill } from "../edits/edit.js";
import { type Plan, planEdits } from "../edits/plan.js";
import { type Engine, floats } from "../engine/engine.js";
import { backwardBytes, checkMemory } from "../engine/estimate.js";
import { ELEMENT_BYTES } from "../engine/pool.js";
import { HEAD } from "../families/index.js";
import { batchPass, runsVision } from "../forward/embed.js";
import { type Hook, isVisual, matchHooks, matchRunning, reaches } from "../hooks/index.js";
import type { Model } from "../model.js";
import { EXPERT_INDICES, EXPERT_POST } from "../nn/index.js";
import { passFor } from "../vision/rows.js";
import type { Metric } from "./metrics.js";

export interface GradientOptions extends TaskOptions {
  /** Hooks to differentiate by; of an edited hook, by its value after the edit. */
  readonly wrt: readonly (string | RegExp)[];
  /** Where the metrics read logits (default: the last token of each row). */
  readonly positions?: Positions;
  /** The run whose derivatives these are is edited so; edits inside are differentiated through. */
  readonly edits?: Edits;
  /** Blocks that are left out. */
  readonly skipLayers?: readonly number[];
  /**
   * Hooks taken as constants, such as attention patterns and norm scales: no gradient flows through them. One with a
   * value has that in the run too.
   */
  readonly frozen?: readonly (string | RegExp | FrozenHook)[];
}

/** A hook held at a value, such as another run's. */
export interface FrozenHook {
  readonly hook: string;
  /** Of the hook's shape; what it has at padding does not count. */
  readonly value: Tensor;
}

export interface Gradients {
  /** By metric, one number per row. */
  readonly values: readonly Float64Array[];
  /** ∂metric/∂hook: (metrics, …the hook's shape), each row's metric by its own activations. */
  readonly gradients: ActivationCache;
  readonly logits: Tensor;
}

/**
 * Derivatives of metrics by activations, block by block from the last to the first, and on through what is seen down
 * to the patches of the images (`vision.hook_patches`): each block's graph computes
 * its values again and pulls all metrics' cotangents back at once.
 * @throws ModalscopeError for a hook that is unknown or does not run, one that the metric does not depend on, an edit
 * without derivative (`apply`, `resample`) on the way to one, or more derivatives than the memory holds
 */
export async function gradients(
  model: Model,
  batch: Batch,
  metrics: readonly Metric[],
  options: GradientOptions,
): Promise<Gradients> {
  const { engine } = model;
  const { positions = "last", signal, skipLayers = [] } = options;
  const pass = batchPass(engine, batch);
  const runs = reaches({ skip: skipLayers, withVision: runsVision(engine, batch) });
  const wanted = options.wrt.flatMap((pattern) => matchRunning(engine.hooks, pattern, runs));
  const counted = passFor(engine, batch, pass);
  const visual = wanted.some(isVisual);
  const { frozen, frozenValues: values } = frozenHooks(engine, options.frozen ?? [], counted);
  const edits = editsWithFrozen(options.edits ?? {}, values);
  const plan = planEdits(engine.hooks, edits, runs);
  checkDifferentiable(engine, wanted, plan);
  checkMemory(engine, {
    derivatives: metrics.length * gradientBytes(engine, wanted, counted),
    "values inside a block and their cotangents": backwardBytes(engine, pass, metrics.length),
    ...(visual ? visionBackwardBytes(engine, batch.images!, metrics.length) : {}),
  });
  const first = firstLayer(wanted);
  const layers = engine.config.num_hidden_layers;
  const final = `blocks.${layers - 1}.hook_resid_post`;
  const capture = model.layers.filter((l) => l >= first).map((l) => `blocks.${l}.hook_resid_pre`);
  capture.push(final);
  const run = await model.run(batch, { capture, logits: positions, edits, skipLayers, signal });
  const logits = run.logits!;
  const shared = new AttentionInputs(engine.config, pass, (n) => floats(engine, n));
  const found = new ActivationCache();
  const back: BackwardContext = {
    engine,
    pass,
    shared,
    plan,
    gradients: found,
    wrt: wanted,
    frozen,
    frozenValues: values,
  };
  const cotangent = stack(
    engine,
    metrics.map((m) => m.gradient(logits)),
  );
  let g = await vjpHead(back, run.cache.get(final), run.logitPositions, cotangent);
  const injected = new Set(engine.config.vision_config?.readouts.map(({ toLayer }) => toLayer));
  const seen = new Map<InjectionPoint, Tensor>();
  for (let l = layers - 1; l >= first; l--) {
    signal?.throwIfAborted();
    options.onProgress?.(layers - 1 - l, layers - first, `block ${l}`);
    g = vjpStream(back, `blocks.${l}.hook_resid_post`, g);
    const brought = vjpStream(back, `blocks.${l}.hook_deepstack`, g);
    if (visual && injected.has(l)) seen.set(l, brought);
    if (!skipLayers.includes(l)) {
      g = await vjpBlock(back, l, run.cache.get(`blocks.${l}.hook_resid_pre`), g);
    }
    g = vjpStream(back, `blocks.${l}.hook_resid_pre`, g);
    await nextTurn();
  }
  if (engine.family.names.positions) vjpStream(back, "hook_pos_embed", g);
  seen.set("hook_embed", vjpStream(back, "hook_embed", g));
  if (visual) await vjpVision(back, batch.images!, seen, { onProgress: options.onProgress, signal });
  return { values: metrics.map((m) => m.value(logits)), gradients: found, logits };
}

function frozenHooks(
  { hooks }: Engine,
  given: NonNullable<GradientOptions["frozen"]>,
  counted: (hook: Hook) => Pass,
): Pick<BackwardContext, "frozen" | "frozenValues"> {
  const values = new Map<string, Tensor>();
  const frozen = given.flatMap((one) => {
    if (typeof one === "string" || one instanceof RegExp) return matchHooks(hooks, one);
    const found = matchHooks(hooks, one.hook);
    for (const hook of found) {
      const [[, shape]] = captureShapes(hook, { hook: hook.name }, counted(hook));
      if (shape.join() !== one.value.shape.join() || sizeOf(shape) !== one.value.data.length) {
        throw new ModalscopeError(
          `The value for "${hook.name}" has the shape (${one.value.shape.join(", ")}).`,
          `In this batch the hook has (${shape.join(", ")}).`,
        );
      }
      values.set(hook.name, one.value);
    }
    return found;
  });
  return { frozen, frozenValues: values };
}

/** The edits, and after them the values of frozen hooks. */
function editsWithFrozen(edits: Edits, values: ReadonlyMap<string, Tensor>): Edits {
  const all: Record<string, Edit | readonly Edit[]> = { ...edits };
  for (const [name, value] of values) {
    delete all[name];
    all[name] = fill(value);
  }
  return all;
}

/** @throws ModalscopeError for a hook that is a choice, or an edit that no gradient passes */
function checkDifferentiable({ hooks }: Engine, wanted: readonly Hook[], plan: Plan): void {
  for (const { name, local } of wanted) {
    if (local === EXPERT_INDICES) {
      throw new ModalscopeError(
        `There is no derivative by "${name}".`,
        "It says which experts were chosen, which is taken as a constant.",
        "Ask for mlp.hook_expert_weights or mlp.hook_router_logits.",
      );
    }
  }
  const first = Math.min(...wanted.map((h) => hooks.indexOf(h)));
  for (const hook of hooks.slice(first + 1)) {
    const opaque = plan.get(hook.name)?.find(({ edit }) => isOpaque(hook, edit));
    if (!opaque) continue;
    throw new ModalscopeError(
      `No gradient passes the edit "${opaque.edit.kind}" at "${hook.name}".`,
      `"${hooks[first].name}" comes before it.`,
      "Replace the value by one that is captured, which is a constant, or differentiate by hooks after it.",
    );
  }
}

/** Experts' inner values are edited between two graphs of each expert, which are not differentiated apart. */
function isOpaque(hook: Hook, { kind }: Edit): boolean {
  return kind === "apply" || kind === "resample" || (hook.local === EXPERT_POST && !hook.inside);
}

function gradientBytes({ float }: Engine, hooks: readonly Hook[], counted: (hook: Hook) => Pass): number {
  const sizes = hooks.map((h) => sizeOf(captureShapes(h, { hook: h.name }, counted(h))[0][1]));
  return sizes.reduce((a, b) => a + b, 0) * ELEMENT_BYTES[float];
}

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
