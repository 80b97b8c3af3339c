import type { LongCall } from "../progress.js";
import type { Tensor } from "../tensor.js";
import type { Batch } from "./batch.js";
import { directCotangents } from "./gradients.js";
import type { Metric } from "./metrics.js";
import type { Model } from "./model.js";

export interface Attribution {
  /** `embed`, `blocks.3.attn`, `blocks.3.mlp`; or `blocks.3.attn.2` for a head. */
  readonly labels: readonly string[];
  /** (components, batch) */
  readonly values: Tensor<Float64Array>;
  /** (batch): the metric, which the values of all components sum to where logits are not soft-capped and the head has no bias. */
  readonly total: Float64Array;
}

/**
 * Direct logit attribution (Elhage et al. 2021): what each component adds to the last token's logits over the
 * residual stream alone, the final norm's scale taken as constant.
 * @param metric linear in the logits: `logit` or `logitDifference`
 * @param options.by whole attention layers (default), or each head
 */
export async function directLogitAttribution(
  model: Model,
  batch: Batch,
  metric: Metric,
  options: LongCall & { readonly by?: "component" | "head" } = {},
): Promise<Attribution> {
  const byHead = options.by === "head";
  const attention = byHead ? "attn.hook_z" : "hook_attn_out";
  const capture = ["hook_embed", `blocks.*.${attention}`, "blocks.*.hook_mlp_out"];
  const { cache } = await model.run(batch, { capture, logits: "none", ...options });
  const { stream, heads, values } = await directCotangents(model, batch, metric, byHead, options);
  const labels: string[] = [];
  const rows: Float64Array[] = [];
  const add = (label: string, row: Float64Array): void => {
    labels.push(label);
    rows.push(row);
  };
  add("embed", dots(cache.get("hook_embed"), stream, batch));
  for (const l of model.layers) {
    const name = `blocks.${l}.${attention}`;
    if (byHead) {
      headDots(cache.get(name), heads[l], batch).forEach((row, h) => {
        add(`blocks.${l}.attn.${h}`, row);
      });
    } else add(`blocks.${l}.attn`, dots(cache.get(name), stream, batch));
    add(`blocks.${l}.mlp`, dots(cache.get(`blocks.${l}.hook_mlp_out`), stream, batch));
  }
  const data = new Float64Array(rows.length * batch.size);
  rows.forEach((row, i) => {
    data.set(row, i * batch.size);
  });
  return { labels, values: { data, shape: [rows.length, batch.size] }, total: values };
}

/** ⟨x, g⟩ of each row at its last token: (batch, time, width) both. */
function dots(x: Tensor, g: Tensor, { size, time, last }: Batch): Float64Array {
  const width = x.data.length / (size * time);
  return Float64Array.from({ length: size }, (_, b) => {
    const from = (b * time + last[b]) * width;
    let dot = 0;
    for (let i = from; i < from + width; i++) dot += x.data[i] * g.data[i];
    return dot;
  });
}

/** The same for each head of (batch, time, heads, head_dim). */
function headDots(x: Tensor, g: Tensor, { size, time, last }: Batch): Float64Array[] {
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
