/** The parts that Llama, Qwen2 and Qwen3 have in common, under the names of their weights. */
import { linear, type Node } from "../graph/index.js";
import { activation, gatedMlp, type ModuleContext, rmsNorm } from "../nn/index.js";
import type { TextConfig } from "./config.js";
import type { Family } from "./family.js";

/** Weight names of the text models that transformers saves. */
export const standardNames: Family["names"] = {
  embedding: "model.embed_tokens.weight",
  layer: (l) => `model.layers.${l}.`,
  head: "",
};

/** TransformerLens' names of the norms, and the checkpoint's. */
const norms = {
  ln1: "input_layernorm",
  ln2: "post_attention_layernorm",
  ln_final: "model.norm",
} as const;

/** RMS norm before attention (`ln1`), before the MLP (`ln2`) or before the language head (`ln_final`). */
export function norm(config: TextConfig, ctx: ModuleContext, name: keyof typeof norms, x: Node): Node {
  const gain = ctx.weight(`${norms[name]}.weight`, [config.hidden_size]);
  return rmsNorm(ctx, name, x, { gain, eps: config.rms_norm_eps });
}

/** SwiGLU, as `hook_mlp_out`. */
export function feedForward(
  config: TextConfig,
  ctx: ModuleContext,
  x: Node,
  { bias = false }: { readonly bias?: boolean } = {},
): Node {
  const options = { hidden: config.intermediate_size, act: activation(config.hidden_act), bias };
  return ctx.hook("hook_mlp_out", gatedMlp(ctx, x, options));
}

/** Final norm and language head: (batch, time, hidden_size) → (batch, time, vocab_size). */
export function head(config: TextConfig, ctx: ModuleContext, x: Node): Node {
  return linear(norm(config, ctx, "ln_final", x), headWeight(config, ctx));
}

/** Matrix of the language head: its own, or the token embedding's. */
export function headWeight(config: TextConfig, ctx: ModuleContext): Node {
  const name = config.tie_word_embeddings ? standardNames.embedding : "lm_head.weight";
  return ctx.weight(name, [config.vocab_size, config.hidden_size]);
}
