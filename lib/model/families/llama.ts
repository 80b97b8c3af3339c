import { add, type Node } from "../graph/index.js";
import {
  attention,
  type BlockInputs,
  type ModuleContext,
  projectHeads,
  projection,
  rotateHeads,
} from "../nn/index.js";
import { type TextConfig, textConfig, windowEverywhere } from "./config.js";
import { feedForward, head, norm, standardNames } from "./decoder.js";
import { withDefaults } from "./defaults.js";
import type { Family } from "./family.js";
import { readCount, readFlag, readOptionalCount } from "./fields.js";

interface LlamaConfig extends TextConfig {
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
}

/** Llama 1 to 3: pre-norm, rotary positions, grouped heads, SwiGLU. */
export const llama: Family<LlamaConfig> = {
  modelTypes: ["llama"],
  names: standardNames,

  parse(raw) {
    const fields = withDefaults(raw);
    return {
      ...textConfig(fields),
      attention_bias: readFlag(fields, "attention_bias"),
      mlp_bias: readFlag(fields, "mlp_bias"),
    };
  },

  embeddingScale: () => 1,

  block(config, _layer, ctx, inputs) {
    const attn = selfAttention(config, ctx, norm(config, ctx, "ln1", inputs.x), inputs);
    const h = ctx.hook("hook_resid_mid", add(inputs.x, attn));
    const mlp = feedForward(config, ctx, norm(config, ctx, "ln2", h), { bias: config.mlp_bias });
    return add(h, mlp);
  },

  head,
};

/** Mistral: Llama without biases, every layer within a sliding window where one is configured. */
export const mistral: Family<LlamaConfig> = {
  ...llama,
  modelTypes: ["mistral"],
  parse(raw) {
    const fields = withDefaults(raw);
    const layers = readCount(fields, "num_hidden_layers");
    const windows = windowEverywhere(layers, readOptionalCount(fields, "sliding_window"));
    return { ...textConfig(fields, windows), attention_bias: false, mlp_bias: false };
  },
};

function selfAttention(config: LlamaConfig, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { head_dim: headDim, attention_bias: bias } = config;
  const query = { heads: config.num_attention_heads, headDim, bias };
  const keyValue = { heads: config.num_key_value_heads, headDim, bias };
  const q = rotateHeads(ctx, "q", projectHeads(ctx, "q", x, query), inputs);
  const k = rotateHeads(ctx, "k", projectHeads(ctx, "k", x, keyValue), inputs);
  const v = projectHeads(ctx, "v", x, keyValue);
  const z = attention(ctx, { q, k, v }, inputs, { scale: headDim ** -0.5 });
  return ctx.hook("hook_attn_out", projection(ctx, "self_attn.o_proj", z, config.hidden_size, { bias }));
}
