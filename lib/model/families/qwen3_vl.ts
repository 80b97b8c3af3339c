import { ModalscopeError } from "../../errors.js";
import { add, matmul, type Node, reshape, slice } from "../graph/index.js";
import {
  activation,
  attention,
  type BlockInputs,
  layerNorm,
  type ModuleContext,
  mlp,
  projection,
  rotary,
} from "../nn/index.js";
import type { ReadoutId, VisionConfig, VisionReadout } from "./config.js";
import { type RawConfig, readCount, readField, type TextConfig } from "./config.js";
import type { PatchInputs, VisionFamily } from "./family.js";
import { embedPatches } from "./vit.js";

interface Qwen3VisionConfig extends VisionConfig {
  /** Shape of one patch: channels, frames, rows, columns. */
  readonly kernel: readonly number[];
}

/** transformers' constant for all of the tower's norms. */
const EPS = 1e-6;

/**
 * Qwen3-VL's tower, dense and with experts alike: images at their own size, learned positions stretched over their
 * grids, rotary rows and columns; squares of patches merged to one token; DeepStack brings the streams after some
 * blocks to the language model's first blocks.
 */
export const qwen3Vl: VisionFamily = {
  parse(raw: RawConfig, text: TextConfig): Qwen3VisionConfig {
    const vision = { model_type: "qwen3_vl", ...(raw.vision_config as RawConfig | undefined) };
    const hidden_size = readCount(vision, "hidden_size", 1152);
    const num_attention_heads = readCount(vision, "num_heads", 16);
    const num_hidden_layers = readCount(vision, "depth", 27);
    const patch_size = readCount(vision, "patch_size", 16);
    const kernel = [
      readCount(vision, "in_channels", 3),
      readCount(vision, "temporal_patch_size", 2),
      patch_size,
      patch_size,
    ];
    const out = readCount(vision, "out_hidden_size", 3584);
    if (out !== text.hidden_size) {
      throw new ModalscopeError(
        `config.json has "out_hidden_size": ${out}.`,
        `The language model's hidden_size is ${text.hidden_size}.`,
      );
    }
    return {
      model_type: vision.model_type,
      hidden_size,
      intermediate_size: readCount(vision, "intermediate_size", 4304),
      num_hidden_layers,
      num_attention_heads,
      head_dim: Math.floor(hidden_size / num_attention_heads),
      hidden_act: readField(vision, "hidden_act", "gelu_pytorch_tanh"),
      layer_norm_eps: EPS,
      patch_size,
      patchDim: kernel.reduce((a, b) => a * b),
      kernel,
      numPositions: readCount(vision, "num_position_embeddings", 2304),
      classTokens: 0,
      keepClassToken: false,
      spatialMergeSize: readCount(vision, "spatial_merge_size", 2),
      readouts: [
        { id: "projector", fromLayers: [num_hidden_layers - 1] },
        ...deepstack(vision, num_hidden_layers),
      ],
      out_hidden_size: out,
      image_token_id: readCount(raw, "image_token_id", 151_655),
    };
  },

  layer: (l) => `visual.blocks.${l}.`,
  embed: (config, ctx, inputs) => embed(config as Qwen3VisionConfig, ctx, inputs),
  block,
  readout: merger,
  interpolatesPositions: true,
  usesRope: true,
};

/** The n-th of `deepstack_visual_indexes` is read after that block of the tower and added after the n-th block. */
function deepstack(vision: RawConfig, layers: number): VisionReadout[] {
  const given = vision.deepstack_visual_indexes ?? [8, 16, 24];
  if (!Array.isArray(given) || !given.every((l) => Number.isInteger(l) && l >= 0 && l < layers)) {
    throw new ModalscopeError(
      `config.json has "deepstack_visual_indexes": ${JSON.stringify(given)}.`,
      `The tower has blocks 0 to ${layers - 1}.`,
    );
  }
  return given.map((l: number, n) => ({ id: `projector.deepstack.${n}`, fromLayers: [l], toLayer: n }));
}

function embed(
  config: Qwen3VisionConfig,
  ctx: ModuleContext,
  { patches, positionWeights }: PatchInputs,
): Node {
  const embedded = embedPatches(config, ctx, "visual.patch_embed.proj", patches, config.kernel, true);
  const positions = ctx.weight("visual.pos_embed.weight", [config.numPositions, config.hidden_size]);
  const stretched = ctx.hook("hook_pos_embed", matmul(positionWeights, positions));
  return add(ctx.hook("hook_embed", embedded), stretched);
}

function norm(ctx: ModuleContext, name: string, weights: string, x: Node): Node {
  const width = x.shape[x.shape.length - 1] as number;
  const gain = ctx.weight(`${weights}.weight`, [width]);
  return layerNorm(ctx, name, x, gain, ctx.weight(`${weights}.bias`, [width]), EPS);
}

function block(config: VisionConfig, _layer: number, ctx: ModuleContext, inputs: BlockInputs): Node {
  const attended = selfAttention(config, ctx, norm(ctx, "ln1", "norm1", inputs.x), inputs);
  const mid = ctx.hook("hook_resid_mid", add(inputs.x, ctx.hook("hook_attn_out", attended)));
  const names = ["mlp.linear_fc1", "mlp.linear_fc2"] as const;
  const act = activation(config.hidden_act);
  const fed = mlp(ctx, norm(ctx, "ln2", "norm2", mid), names, config.intermediate_size, act);
  return add(mid, ctx.hook("hook_mlp_out", fed));
}

/** One weight makes queries, keys and values. */
function selfAttention(config: VisionConfig, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { cos, sin, mask, precomputed } = inputs;
  const { hidden_size: d, head_dim: size, num_attention_heads: heads } = config;
  const all = projection(ctx, "attn.qkv", x, 3 * d, true);
  const projectHeads = (name: "q" | "k" | "v", n: number): Node => {
    const own = slice(all, -1, n * d, (n + 1) * d);
    return ctx.hook(`attn.hook_${name}`, reshape(own, [x.shape[0], x.shape[1], heads, size]));
  };
  const rotated = (name: "q" | "k", n: number): Node =>
    ctx.hook(`attn.hook_rot_${name}`, rotary(projectHeads(name, n), cos, sin));
  const parts = { q: rotated("q", 0), k: rotated("k", 1), v: projectHeads("v", 2) };
  const z = attention(ctx, parts, { mask, precomputed }, { scale: size ** -0.5 });
  return projection(ctx, "attn.proj", z, d, true);
}

/** A square of patches to one token: normed before they are put side by side, or after (DeepStack's). */
function merger(config: VisionConfig, id: ReadoutId, ctx: ModuleContext, x: Node): Node {
  const { hidden_size: d, spatialMergeSize } = config;
  const after = id !== "projector";
  const weights = after ? `visual.deepstack_merger_list.${id.split(".").pop()}` : "visual.merger";
  const wide = d * spatialMergeSize ** 2;
  const squares = reshape(x, [x.shape[0], "tokens", spatialMergeSize ** 2, d]);
  const joined = (y: Node): Node => reshape(y, [x.shape[0], "tokens", wide]);
  const normed = after
    ? norm(ctx, "ln", `${weights}.norm`, joined(squares))
    : joined(norm(ctx, "ln", `${weights}.norm`, squares));
  const names = [`${weights}.linear_fc1`, `${weights}.linear_fc2`] as const;
  return mlp(ctx, normed, names, wide, activation("gelu"), { to: config.out_hidden_size });
}
