import { add, linear, matmul, type Node, reshape, slice } from "../graph/index.js";
import { activation, attention, type BlockInputs, layerNorm, type ModuleContext } from "../nn/index.js";
import { type RawConfig, readCount, readField, readPositive, type TextConfig, textConfig } from "./config.js";
import type { Family } from "./family.js";

interface Gpt2Config extends TextConfig {
  readonly layer_norm_epsilon: number;
  readonly scale_attn_weights: boolean;
  readonly scale_attn_by_inverse_layer_idx: boolean;
}

const EMBEDDING = "transformer.wte.weight";

/** GPT-2: LayerNorms, learned positions added to the embeddings, one weight for queries, keys and values, a plain MLP. */
export const gpt2: Family = {
  modelTypes: ["gpt2"],
  names: {
    embedding: EMBEDDING,
    positions: "transformer.wpe.weight",
    layer: (l) => `transformer.h.${l}.`,
    head: "",
  },

  parse(raw: RawConfig): Gpt2Config {
    const hidden_size = readCount(raw, "n_embd", 768);
    return {
      ...textConfig({
        ...raw,
        vocab_size: readCount(raw, "vocab_size", 50_257),
        hidden_size,
        intermediate_size: readCount(raw, "n_inner", 4 * hidden_size),
        num_hidden_layers: readCount(raw, "n_layer", 12),
        num_attention_heads: readCount(raw, "n_head", 12),
        hidden_act: readField(raw, "activation_function", "gelu_new"),
        max_position_embeddings: readCount(raw, "n_positions", 1024),
        tie_word_embeddings: readField(raw, "tie_word_embeddings", true),
      }),
      layer_norm_epsilon: readPositive(raw, "layer_norm_epsilon", 1e-5),
      scale_attn_weights: readField<boolean>(raw, "scale_attn_weights", true),
      scale_attn_by_inverse_layer_idx: readField<boolean>(raw, "scale_attn_by_inverse_layer_idx", false),
    };
  },

  embeddingScale: () => 1,

  block(config, layer, ctx, inputs): Node {
    const { layer_norm_epsilon } = config as Gpt2Config;
    const attn = selfAttention(
      config as Gpt2Config,
      layer,
      ctx,
      norm(ctx, "ln1", "ln_1", inputs.x, layer_norm_epsilon),
      inputs,
    );
    const mid = ctx.hook("hook_resid_mid", add(inputs.x, ctx.hook("hook_attn_out", attn)));
    const mlpOut = mlp(config, ctx, norm(ctx, "ln2", "ln_2", mid, layer_norm_epsilon));
    return add(mid, ctx.hook("hook_mlp_out", mlpOut));
  },

  head(config, ctx, x): Node {
    const normed = norm(ctx, "ln_final", "transformer.ln_f", x, (config as Gpt2Config).layer_norm_epsilon);
    const name = config.tie_word_embeddings ? EMBEDDING : "lm_head.weight";
    return linear(normed, ctx.weight(name, [config.vocab_size, config.hidden_size]));
  },
};

function norm(ctx: ModuleContext, name: string, weights: string, x: Node, eps: number): Node {
  const d = x.shape[x.shape.length - 1] as number;
  return layerNorm(
    ctx,
    name,
    x,
    ctx.weight(`${weights}.weight`, [d]),
    ctx.weight(`${weights}.bias`, [d]),
    eps,
  );
}

/** x W + b: GPT-2's checkpoints hold the weights of their "Conv1D" layers as (from, to). */
function conv1d(ctx: ModuleContext, name: string, x: Node, to: number): Node {
  const from = x.shape[x.shape.length - 1] as number;
  return add(matmul(x, ctx.weight(`${name}.weight`, [from, to])), ctx.weight(`${name}.bias`, [to]));
}

function selfAttention(
  config: Gpt2Config,
  layer: number,
  ctx: ModuleContext,
  x: Node,
  inputs: BlockInputs,
): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads } = config;
  const all = conv1d(ctx, "attn.c_attn", x, 3 * d);
  const part = (name: "q" | "k" | "v", n: number): Node => {
    const own = slice(all, -1, n * d, (n + 1) * d);
    // (batch, time, d) → (batch, time, heads, size)
    return ctx.hook(`attn.hook_${name}`, reshape(own, [x.shape[0], x.shape[1], heads, size]));
  };
  const scale =
    (config.scale_attn_weights ? size ** -0.5 : 1) / (config.scale_attn_by_inverse_layer_idx ? layer + 1 : 1);
  const z = attention(ctx, { q: part("q", 0), k: part("k", 1), v: part("v", 2) }, inputs, { scale });
  return conv1d(ctx, "attn.c_proj", z, d);
}

function mlp(config: TextConfig, ctx: ModuleContext, x: Node): Node {
  const pre = ctx.hook("mlp.hook_pre", conv1d(ctx, "mlp.c_fc", x, config.intermediate_size));
  const post = ctx.hook("mlp.hook_post", activation(config.hidden_act)(pre));
  return conv1d(ctx, "mlp.c_proj", post, config.hidden_size);
}
