import { checkOptions, oneOf, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { at0, type Tensor } from "../../tensor.js";
import { backwardContext, vjpBlock, vjpHead } from "../backward/index.js";
import type { Batch } from "../batch/index.js";
import { floats } from "../engine/index.js";
import { buildPiece, HEAD, weightsOf } from "../families/index.js";
import { batchPass, type RunResult } from "../forward/index.js";
import { matchHooks } from "../hooks/index.js";
import type { Model } from "../model.js";
import { finalStream, stack } from "./gradients.js";
import type { Metric } from "./metrics.js";
import { unembedding } from "./unembedding.js";

export interface Attribution {
  /**
   * `embed` (and `pos_embed` where positions are learned), `blocks.3.attn`, `blocks.3.mlp`; or `blocks.3.attn.2` for a head and `blocks.3.attn.bias` for what the
   * layer adds besides its heads, where its output projection has a bias; `blocks.0.deepstack` where features of
   * images are added; `ln_final.bias` for the logits of an empty stream, where the final norm has a bias.
   */
  readonly labels: readonly string[];
  /** (components, batch) */
  readonly values: Tensor<Float64Array>;
  /** (batch): the metric, which the values of all components sum to where logits are not soft-capped. */
  readonly total: Float64Array;
}

/**
 * Direct logit attribution (Elhage et al. 2021): what each component adds to the last token's logits over the
 * residual stream alone, the final norm's scale taken as constant.
 * @param metric linear in the logits: `logit` or `logitDifference`
 * @param options.by whole attention layers (default), or each head
 * @throws ModalscopeError when the activations do not fit into the memory
 */
export async function directLogitAttribution(
  model: Model,
  batch: Batch,
  metric: Metric,
  options: TaskOptions & { readonly by?: "component" | "head" } = {},
): Promise<Attribution> {
  checkOptions("directLogitAttribution", options, { ...TASK_OPTIONS, by: oneOf("component", "head") });
  const { by, ...task } = options;
  const byHead = by === "head";
  const perHead = byHead ? ["blocks.*.attn.hook_z", "blocks.*.hook_resid_pre"] : [];
  const deepstack = model.hooks.filter((h) => batch.images && h.endsWith(".hook_deepstack"));
  const embeddings = model.hooks.filter((h) => h === "hook_embed" || h === "hook_pos_embed");
  const components = [
    ...embeddings,
    "blocks.*.hook_attn_out",
    "blocks.*.hook_mlp_out",
    ...deepstack,
    ...perHead,
  ];
  const capture = [...components, finalStream(model.engine)];
  const run = await model.run(batch, { capture, logits: "last", ...task });
  const { stream, heads } = await directCotangents(model, batch, run, metric, { byHead, ...task });
  const labels: string[] = [];
  const rows: Float64Array[] = [];
  const add = (label: string, row: Float64Array): void => {
    labels.push(label);
    rows.push(row);
  };
  const carried = (hook: string): Float64Array => dots(run.cache.get(hook), stream, batch);
  for (const hook of embeddings) add(hook.replace("hook_", ""), carried(hook));
  for (const l of model.layers) {
    const whole = carried(`blocks.${l}.hook_attn_out`);
    if (byHead) {
      const parts = headDots(run.cache.get(`blocks.${l}.attn.hook_z`), heads[l], batch);
      parts.forEach((row, h) => {
        add(`blocks.${l}.attn.${h}`, row);
      });
      if (hasBias(model, l)) {
        const rest = whole.map((v, b) => parts.reduce((left, row) => left - row[b], v));
        add(`blocks.${l}.attn.bias`, rest);
      }
    } else add(`blocks.${l}.attn`, whole);
    add(`blocks.${l}.mlp`, carried(`blocks.${l}.hook_mlp_out`));
    const injection = `blocks.${l}.hook_deepstack`;
    if (deepstack.includes(injection)) add(`blocks.${l}.deepstack`, carried(injection));
  }
  if (hasFinalBias(model)) {
    const { hidden_size } = model.config;
    const stream = { data: floats(model.engine, hidden_size), shape: [1, hidden_size] };
    const empty = await unembedding(model).forward(stream);
    add("ln_final.bias", rowDots(metric.gradient(run.logits!).data, empty.data));
  }
  const data = new Float64Array(rows.length * batch.size);
  rows.forEach((row, i) => {
    data.set(row, i * batch.size);
  });
  return { labels, values: { data, shape: [rows.length, batch.size] }, total: metric.value(run.logits!) };
}

/** True for a layer whose attention adds something that no head carries. */
function hasBias({ engine: { checkpoint, family } }: Model, layer: number): boolean {
  const prefix = family.names.layer(layer);
  return ["self_attn.o_proj.bias", "attn.c_proj.bias"].some((name) => checkpoint.weights.has(prefix + name));
}

/** Whether the final norm adds something to an empty stream. */
function hasFinalBias({ engine: { family, config } }: Model): boolean {
  const { out } = buildPiece(family, config, HEAD);
  return [...weightsOf([out]).keys()].some((name) => name.endsWith(".bias"));
}

/** Products of each row of a (rows, n) with b (n). */
function rowDots(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: a.length / b.length }, (_, row) => {
    let dot = 0;
    for (let i = 0; i < b.length; i++) dot += a[row * b.length + i] * b[i];
    return dot;
  });
}

/** ⟨x, g⟩ of each row at its last token: (batch, time, width) both. */
function dots(x: Tensor, g: Tensor, { size, seqLength: time, last }: Batch): Float64Array {
  const width = x.data.length / (size * time);
  return Float64Array.from({ length: size }, (_, b) => {
    const from = (b * time + last[b]) * width;
    let dot = 0;
    for (let i = from; i < from + width; i++) dot += x.data[i] * g.data[i];
    return dot;
  });
}

/** The same for each head of (batch, time, heads, head_dim). */
function headDots(x: Tensor, g: Tensor, { size, seqLength: time, last }: Batch): Float64Array[] {
  const [, , heads, width] = x.shape;
  return Array.from({ length: heads }, (_, h) =>
    Float64Array.from({ length: size }, (_, b) => {
      const from = ((b * time + last[b]) * heads + h) * width;
      let dot = 0;
      for (let i = from; i < from + width; i++) dot += x.data[i] * g.data[i];
      return dot;
    }),
  );
}

/** Direct derivatives of a metric's last-token logits, by the residual stream and by each head. */
interface DirectCotangents {
  /** (batch, time, hidden_size): by the residual stream, the final norm's scale held. */
  readonly stream: Tensor;
  /** By layer, (batch, time, heads, head_dim): by `attn.hook_z`, everything after the block's attention held. */
  readonly heads: readonly Tensor[];
}

async function directCotangents(
  { engine }: Model,
  batch: Batch,
  run: RunResult,
  metric: Metric,
  { byHead, signal }: TaskOptions & { readonly byHead: boolean },
): Promise<DirectCotangents> {
  const scales = engine.hooks.filter((h) => h.local.endsWith("hook_scale"));
  const mlps = engine.hooks.filter((h) => h.local === "hook_mlp_out");
  const z = byHead ? matchHooks(engine.hooks, "blocks.*.attn.hook_z") : [];
  const hooks = { wrt: z, frozen: [...scales, ...mlps] };
  const back = backwardContext({ engine, plan: new Map(), signal }, batchPass(engine, batch), hooks);
  const g = stack(engine, [metric.gradient(run.logits!)]);
  const stream = await vjpHead(back, run.cache.get(finalStream(engine)), run.logitPositions, g);
  const heads: Tensor[] = [];
  for (const { name, piece } of z) {
    signal?.throwIfAborted();
    const l = piece as number;
    await vjpBlock(back, l, run.cache.get(`blocks.${l}.hook_resid_pre`), stream);
    heads[l] = at0(back.gradients.get(name), 0);
  }
  return { stream: at0(stream, 0), heads };
}
