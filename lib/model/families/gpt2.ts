import { add, linear, matmul, type Node, slice } from "../graph/index.js";
import {
  activation,
  attention,
  type BlockInputs,
  layerNorm,
  MLP_IN,
  MLP_OUT,
  type ModuleContext,
  splitHeads,
} from "../nn/index.js";
import { type TextConfig, textConfig } from "./config.js";
import { withDefaults } from "./defaults.js";
import type { Family } from "./family.js";
import { readCount, readFlag, readOptionalCount, readPositive, readText } from "./fields.js";

interface Gpt2Config extends TextConfig {
  readonly layer_norm_epsilon: number;
  readonly scale_attn_weights: boolean;
  readonly scale_attn_by_inverse_layer_idx: boolean;
}

const EMBEDDING = "transformer.wte.weight";

/** GPT-2: LayerNorms, learned positions added to the embeddings, one weight for queries, keys and values, a plain MLP. */
export const gpt2: Family<Gpt2Config> = {
  modelTypes: ["gpt2"],
  names: {
    embedding: EMBEDDING,
    positions: "transformer.wpe.weight",
    layer: (l) => `transformer.h.${l}.`,
    head: "",
  },

  parse(raw) {
    const fields = withDefaults(raw);
    const hidden_size = readCount(fields, "n_embd");
    const layer_norm_epsilon = readPositive(fields, "layer_norm_epsilon");
    return {
      ...textConfig({
        ...fields,
        hidden_size,
        intermediate_size: readOptionalCount(fields, "n_inner") ?? 4 * hidden_size,
        num_hidden_layers: readCount(fields, "n_layer"),
        num_attention_heads: readCount(fields, "n_head"),
        hidden_act: readText(fields, "activation_function"),
        max_position_embeddings: readCount(fields, "n_positions"),
        rms_norm_eps: layer_norm_epsilon,
        // Positions are learned; no block reads rotary angles.
        rope_theta: 10_000,
      }),
      layer_norm_epsilon,
      scale_attn_weights: readFlag(fields, "scale_attn_weights"),
      scale_attn_by_inverse_layer_idx: readFlag(fields, "scale_attn_by_inverse_layer_idx"),
    };
  },

  embeddingScale: () => 1,

  block(config, layer, ctx, inputs) {
    const attn = selfAttention(config, layer, ctx, {
      ...inputs,
      x: norm(config, ctx, "ln1", inputs.x),
    });
    const h = ctx.hook("hook_resid_mid", add(inputs.x, attn));
    const mlp = feedForward(config, ctx, norm(config, ctx, "ln2", h));
    return add(h, mlp);
  },

  head(config, ctx, x) {
    const name = config.tie_word_embeddings ? EMBEDDING : "lm_head.weight";
    return linear(
      norm(config, ctx, "ln_final", x),
      ctx.weight(name, [config.vocab_size, config.hidden_size]),
    );
  },
};

/** TransformerLens' names of the norms, and the checkpoint's. */
const norms = { ln1: "ln_1", ln2: "ln_2", ln_final: "transformer.ln_f" } as const;

function norm(config: Gpt2Config, ctx: ModuleContext, name: keyof typeof norms, x: Node): Node {
  const width = [config.hidden_size];
  const gain = ctx.weight(`${norms[name]}.weight`, width);
  const bias = ctx.weight(`${norms[name]}.bias`, width);
  return layerNorm(ctx, name, x, { gain, bias, eps: config.layer_norm_epsilon });
}

/** x W + b: GPT-2's checkpoints hold the weights of their "Conv1D" layers as (from, to). */
function conv1d(ctx: ModuleContext, name: string, x: Node, to: number): Node {
  const from = x.shape[x.shape.length - 1] as number;
  return add(matmul(x, ctx.weight(`${name}.weight`, [from, to])), ctx.weight(`${name}.bias`, [to]));
}

/** Queries, keys and values come from one weight. */
function selfAttention(config: Gpt2Config, layer: number, ctx: ModuleContext, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: headDim, num_attention_heads: heads } = config;
  const qkv = conv1d(ctx, "attn.c_attn", inputs.x, 3 * d);
  const [q, k, v] = (["q", "k", "v"] as const).map((name, n) =>
    ctx.hook(`attn.hook_${name}`, splitHeads(slice(qkv, -1, n * d, (n + 1) * d), { heads, headDim })),
  );
  const scale = config.scale_attn_weights ? headDim ** -0.5 : 1;
  const byLayer = config.scale_attn_by_inverse_layer_idx ? layer + 1 : 1;
  const z = attention(ctx, { q, k, v }, inputs, { scale: scale / byLayer });
  return ctx.hook("hook_attn_out", conv1d(ctx, "attn.c_proj", z, d));
}

function feedForward(config: Gpt2Config, ctx: ModuleContext, input: Node): Node {
  const x = ctx.hook(MLP_IN, input);
  const pre = ctx.hook("mlp.hook_pre", conv1d(ctx, "mlp.c_fc", x, config.intermediate_size));
  const post = ctx.hook("mlp.hook_post", activation(config.hidden_act)(pre));
  const out = ctx.hook(MLP_OUT, conv1d(ctx, "mlp.c_proj", post, config.hidden_size));
  return ctx.hook("hook_mlp_out", out);
}
