/** The vision transformer that CLIP and SigLIP share, under the names of its weights. */
import { ModalscopeError } from "../../errors.js";
import { add, expandLike, linear, type Node, reshape } from "../graph/index.js";
import {
  activation,
  attention,
  type BlockInputs,
  layerNorm,
  type ModuleContext,
  mlp,
  projectHeads,
  projection,
} from "../nn/index.js";
import type { VisionConfig } from "./config.js";
import { withDefaults } from "./defaults.js";
import type { PatchInputs } from "./family.js";
import { type RawConfig, readCount, readPositive, readText } from "./fields.js";

/** Configuration of the tower itself, without how the language model reads it. */
export type TowerConfig = Omit<
  VisionConfig,
  "readouts" | "out_hidden_size" | "image_token_id" | "skippedTokens"
>;

/** A vision transformer for images of one size. */
export interface Tower {
  parse(raw: RawConfig): TowerConfig;
  /** Patches and their positions as the stream that enters the first block: (batch, time, hidden_size). */
  embed(config: VisionConfig, ctx: ModuleContext, inputs: PatchInputs): Node;
  /** The norm after the last block, where the tower's output has one. */
  final?(config: VisionConfig, ctx: ModuleContext, x: Node): Node;
}

/**
 * Reads the fields that both towers have.
 * @param classTokens tokens before the patches
 */
export function parseTower(raw: RawConfig, classTokens: number): TowerConfig {
  const fields = withDefaults(raw);
  const patch_size = readCount(fields, "patch_size");
  const side = Math.floor(readCount(fields, "image_size") / patch_size);
  return {
    model_type: readText(fields, "model_type"),
    ...visionHeads(fields, "num_attention_heads"),
    intermediate_size: readCount(fields, "intermediate_size"),
    num_hidden_layers: readCount(fields, "num_hidden_layers"),
    hidden_act: readText(fields, "hidden_act"),
    layer_norm_eps: readPositive(fields, "layer_norm_eps"),
    patch_size,
    patchDim: readCount(fields, "num_channels") * patch_size ** 2,
    numPositions: side ** 2 + classTokens,
    classTokens,
    spatialMergeSize: 1,
  };
}

/**
 * The tower's width and its heads.
 * @throws ModalscopeError when the heads do not divide the width
 */
export function visionHeads(
  fields: RawConfig,
  name: string,
): Pick<VisionConfig, "hidden_size" | "num_attention_heads" | "head_dim"> {
  const hidden_size = readCount(fields, "hidden_size");
  const num_attention_heads = readCount(fields, name);
  if (hidden_size % num_attention_heads === 0)
    return { hidden_size, num_attention_heads, head_dim: hidden_size / num_attention_heads };
  throw new ModalscopeError(
    `config.json has a vision tower of width ${hidden_size} with ${num_attention_heads} heads ("${name}").`,
    "The first must be a multiple of the second.",
  );
}

/** A norm with the weights `<weights>.weight` and `<weights>.bias`. */
export function norm(config: VisionConfig, ctx: ModuleContext, name: string, weights: string, x: Node): Node {
  const width = [config.hidden_size];
  const gain = ctx.weight(`${weights}.weight`, width);
  return layerNorm(ctx, name, x, {
    gain,
    bias: ctx.weight(`${weights}.bias`, width),
    eps: config.layer_norm_eps,
  });
}

/** A convolution over patches: the shape of one patch, and whether it has a bias. */
export interface PatchConvolution {
  readonly name: string;
  readonly kernel: readonly number[];
  readonly bias: boolean;
}

/** A convolution whose stride is its size: one product per patch. (batch, patches, patchDim) → (batch, patches, hidden_size) */
export function embedPatches(
  config: VisionConfig,
  ctx: ModuleContext,
  patches: Node,
  { name, kernel, bias }: PatchConvolution,
): Node {
  const w = ctx.weight(`${name}.weight`, [config.hidden_size, ...kernel]);
  const flat = reshape(w, [config.hidden_size, config.patchDim]); // (hidden_size, patchDim)
  return linear(patches, flat, bias ? ctx.weight(`${name}.bias`, [config.hidden_size]) : undefined);
}

/** Patches of a tower of one size, before their positions: (batch, patches, hidden_size). */
export function embedSquare(
  config: VisionConfig,
  ctx: ModuleContext,
  patches: Node,
  { bias }: Pick<PatchConvolution, "bias">,
): Node {
  const { patch_size: p, patchDim } = config;
  const name = "vision_tower.embeddings.patch_embedding";
  return embedPatches(config, ctx, patches, { name, kernel: [patchDim / p ** 2, p, p], bias });
}

/** Tokens with a learned position each: (batch, numPositions, hidden_size). */
export function withPositions(config: VisionConfig, ctx: ModuleContext, tokens: Node): Node {
  const { hidden_size: d, numPositions } = config;
  const learned = ctx.weight("vision_tower.embeddings.position_embedding.weight", [numPositions, d]);
  const positions = reshape(learned, [1, numPositions, d]); // (1, numPositions, hidden_size)
  return add(
    ctx.hook("hook_embed", tokens),
    ctx.hook("hook_pos_embed", expandLike(positions, tokens)),
    tokens.shape,
  );
}

/** One encoder block: every patch attends to every other. */
export function vitBlock(config: VisionConfig, ctx: ModuleContext, inputs: BlockInputs): Node {
  const attn = selfAttention(config, ctx, norm(config, ctx, "ln1", "layer_norm1", inputs.x), inputs);
  const h = ctx.hook("hook_resid_mid", add(inputs.x, attn));
  const mlp = feedForward(config, ctx, norm(config, ctx, "ln2", "layer_norm2", h));
  return add(h, mlp);
}

function selfAttention(config: VisionConfig, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: headDim, num_attention_heads: heads } = config;
  const [q, k, v] = (["q", "k", "v"] as const).map((name) =>
    projectHeads(ctx, name, x, { heads, headDim, bias: true }),
  );
  const { mask, precomputed } = inputs;
  const z = attention(ctx, { q, k, v }, { mask, precomputed }, { scale: headDim ** -0.5 });
  return ctx.hook("hook_attn_out", projection(ctx, "self_attn.out_proj", z, d, { bias: true }));
}

function feedForward(config: VisionConfig, ctx: ModuleContext, x: Node): Node {
  const options = { hidden: config.intermediate_size, act: activation(config.hidden_act) };
  return ctx.hook("hook_mlp_out", mlp(ctx, x, ["mlp.fc1", "mlp.fc2"], options));
}
