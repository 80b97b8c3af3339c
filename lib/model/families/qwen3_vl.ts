import { ModalscopeError } from "../../errors.js";
import { add, linear, matmul, type Node, reshape, slice } from "../graph/index.js";
import {
  activation,
  attention,
  type BlockInputs,
  layerNorm,
  type ModuleContext,
  mlp,
  projection,
  rotateHeads,
  splitHeads,
} from "../nn/index.js";
import type { ReadoutId, TextConfig, VisionConfig, VisionReadout } from "./config.js";
import { withDefaults } from "./defaults.js";
import type { PatchInputs, VisionFamily } from "./family.js";
import { type RawConfig, readCount, readIndex, readIndices, readPart, readText } from "./fields.js";
import { embedPatches, visionHeads } from "./vit.js";

interface Qwen3VisionConfig extends VisionConfig {
  /** Shape of one patch: channels, frames, rows, columns. */
  readonly kernel: readonly number[];
}

/** transformers' constant for all of the tower's norms. */
const EPS = 1e-6;

/**
 * Qwen3-VL's tower: images at their own size, learned positions interpolated to their grids, rotary rows and columns;
 * squares of patches merged to one token; DeepStack brings the streams after some blocks to the language model's first
 * blocks.
 */
export const qwen3Vl: VisionFamily<Qwen3VisionConfig> = {
  text: { modelType: "qwen3_vl_text", fixed: true },

  parse(raw, text) {
    const vision = withDefaults({ ...readPart(raw, "vision_config"), model_type: "qwen3_vl_vision" });
    const num_hidden_layers = readCount(vision, "depth");
    const patch_size = readCount(vision, "patch_size");
    const kernel = [
      readCount(vision, "in_channels"),
      readCount(vision, "temporal_patch_size"),
      patch_size,
      patch_size,
    ];
    return {
      model_type: readText(vision, "model_type"),
      ...visionHeads(vision, "num_heads"),
      intermediate_size: readCount(vision, "intermediate_size"),
      num_hidden_layers,
      hidden_act: readText(vision, "hidden_act"),
      layer_norm_eps: EPS,
      patch_size,
      patchDim: kernel.reduce((a, b) => a * b),
      kernel,
      numPositions: readCount(vision, "num_position_embeddings"),
      classTokens: 0,
      skippedTokens: 0,
      spatialMergeSize: readCount(vision, "spatial_merge_size"),
      readouts: [
        { id: "projector", fromLayers: [num_hidden_layers - 1] },
        ...deepstack(vision, num_hidden_layers),
      ],
      out_hidden_size: outHiddenSize(vision, text),
      image_token_id: readIndex(raw, "image_token_id"),
    };
  },

  layer: (l) => `visual.blocks.${l}.`,
  embed,
  block,
  readout: merger,
  interpolatesPositions: true,
  usesRope: true,
};

/** The same tower before a mixture of experts. */
export const qwen3VlMoe: VisionFamily = { ...qwen3Vl, text: { modelType: "qwen3_vl_moe_text", fixed: true } };

function outHiddenSize(vision: RawConfig, text: TextConfig): number {
  const out = readCount(vision, "out_hidden_size");
  if (out === text.hidden_size) return out;
  throw new ModalscopeError(
    `config.json has "out_hidden_size": ${out}.`,
    `The language model's hidden_size is ${text.hidden_size}.`,
  );
}

/** The n-th of `deepstack_visual_indexes` is read after that block of the tower and added after the n-th block. */
function deepstack(vision: RawConfig, layers: number): VisionReadout[] {
  const given = readIndices(vision, "deepstack_visual_indexes");
  if (given.some((l) => l >= layers)) {
    throw new ModalscopeError(
      `config.json has "deepstack_visual_indexes": ${JSON.stringify(given)}.`,
      `The tower has blocks 0 to ${layers - 1}.`,
    );
  }
  return given.map((l, n) => ({ id: `projector.deepstack.${n}`, fromLayers: [l], toLayer: n }));
}

function embed(
  config: Qwen3VisionConfig,
  ctx: ModuleContext,
  { patches, positionWeights }: PatchInputs,
): Node {
  const { kernel } = config;
  const embedded = embedPatches(config, ctx, patches, {
    name: "visual.patch_embed.proj",
    kernel,
    bias: true,
  });
  const learned = ctx.weight("visual.pos_embed.weight", [config.numPositions, config.hidden_size]);
  const positions = ctx.hook("hook_pos_embed", matmul(positionWeights, learned));
  return add(ctx.hook("hook_embed", embedded), positions);
}

function norm(ctx: ModuleContext, name: string, weights: string, x: Node): Node {
  const width = [x.shape[x.shape.length - 1] as number];
  const gain = ctx.weight(`${weights}.weight`, width);
  return layerNorm(ctx, name, x, { gain, bias: ctx.weight(`${weights}.bias`, width), eps: EPS });
}

function block(config: VisionConfig, _layer: number, ctx: ModuleContext, inputs: BlockInputs): Node {
  const attn = selfAttention(config, ctx, norm(ctx, "ln1", "norm1", inputs.x), inputs);
  const h = ctx.hook("hook_resid_mid", add(inputs.x, attn));
  const mlp = feedForward(config, ctx, norm(ctx, "ln2", "norm2", h));
  return add(h, mlp);
}

/** Queries, keys and values come from one weight. */
function selfAttention(config: VisionConfig, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: headDim, num_attention_heads: heads } = config;
  const part = thirds(ctx, x, d);
  const sliceHeads = (name: "q" | "k" | "v", n: number): Node =>
    ctx.hook(`attn.hook_${name}`, splitHeads(part(n), { heads, headDim }));
  const q = rotateHeads(ctx, "q", sliceHeads("q", 0), inputs);
  const k = rotateHeads(ctx, "k", sliceHeads("k", 1), inputs);
  const v = sliceHeads("v", 2);
  const { mask, precomputed } = inputs;
  const z = attention(ctx, { q, k, v }, { mask, precomputed }, { scale: headDim ** -0.5 });
  return ctx.hook("hook_attn_out", projection(ctx, "attn.proj", z, d, { bias: true }));
}

/** Queries, keys and values from one weight: for training from its parts, whose derivatives then need no padding. */
function thirds(ctx: ModuleContext, x: Node, d: number): (n: number) => Node {
  const cut = (whole: Node, axis: number, n: number): Node => slice(whole, axis, n * d, (n + 1) * d);
  if (ctx.training) {
    const [w, b] = [ctx.weight("attn.qkv.weight", [3 * d, d]), ctx.weight("attn.qkv.bias", [3 * d])];
    return (n) => linear(x, cut(w, -2, n), cut(b, -1, n));
  }
  const qkv = projection(ctx, "attn.qkv", x, 3 * d, { bias: true });
  return (n) => cut(qkv, -1, n);
}

function feedForward(config: VisionConfig, ctx: ModuleContext, x: Node): Node {
  const options = { hidden: config.intermediate_size, act: activation(config.hidden_act) };
  return ctx.hook("hook_mlp_out", mlp(ctx, x, ["mlp.linear_fc1", "mlp.linear_fc2"], options));
}

/** A square of patches to one token: normed before they are put side by side, or after (DeepStack's). */
function merger(config: VisionConfig, id: ReadoutId, ctx: ModuleContext, x: Node): Node {
  const { hidden_size: d, spatialMergeSize } = config;
  const normsJoined = id !== "projector";
  const weights = normsJoined ? `visual.deepstack_merger_list.${id.split(".").pop()}` : "visual.merger";
  const patches = spatialMergeSize ** 2;
  const squares = reshape(x, [x.shape[0], "tokens", patches, d]); // (batch, tokens, merge², hidden_size)
  const joined = (y: Node): Node => reshape(y, [x.shape[0], "tokens", patches * d]); // (batch, tokens, merge² · hidden_size)
  const normed = normsJoined
    ? norm(ctx, "ln", `${weights}.norm`, joined(squares))
    : joined(norm(ctx, "ln", `${weights}.norm`, squares));
  const names = [`${weights}.linear_fc1`, `${weights}.linear_fc2`] as const;
  return mlp(ctx, normed, names, {
    hidden: patches * d,
    act: activation("gelu"),
    to: config.out_hidden_size,
  });
}
