import { add, type Node } from "../graph/index.js";
import {
  attention,
  type BlockInputs,
  type ModuleContext,
  projectHeads,
  projection,
  rmsNorm,
  rotateHeads,
  standardRope,
} from "../nn/index.js";
import { both, type TextConfig, textConfig, upperWindows } from "./config.js";
import { feedForward, head, norm, standardNames } from "./decoder.js";
import { withDefaults } from "./defaults.js";
import type { Family } from "./family.js";
import { type RawConfig, readFlag } from "./fields.js";

export interface Qwen3Config extends TextConfig {
  readonly attention_bias: boolean;
}

/** Qwen3: pre-norm, SwiGLU, a norm on each head's query and key. */
export const qwen3: Family<Qwen3Config> = {
  modelTypes: ["qwen3"],
  names: standardNames,

  parse(raw) {
    const fields = withDefaults(raw);
    return {
      ...textConfig(fields, upperWindows(fields)),
      attention_bias: readFlag(fields, "attention_bias"),
    };
  },

  embeddingScale: () => 1,

  block(config, _layer, ctx, inputs) {
    const h = afterAttention(config, ctx, inputs);
    const mlp = feedForward(config, ctx, norm(config, ctx, "ln2", h));
    return add(h, mlp);
  },

  head,
};

/** The language model of Qwen3-VL: Qwen3 without windows, positions along time, row and column. */
export const qwen3VlText: Family<Qwen3Config> = {
  ...qwen3,
  modelTypes: ["qwen3_vl_text"],
  parse(raw) {
    const fields = withDefaults(raw);
    return {
      ...textConfig(fields, { rope_parameters: mrope(fields) }),
      attention_bias: readFlag(fields, "attention_bias"),
    };
  },
};

/** Rotary parameters with `mrope_section`: transformers' own where config.json has none. */
export function mrope(fields: RawConfig): TextConfig["rope_parameters"] {
  return both({ mrope_section: [24, 20, 20], ...standardRope(fields) });
}

/** The first half of a block: h = x + attention. */
export function afterAttention(config: Qwen3Config, ctx: ModuleContext, inputs: BlockInputs): Node {
  const attn = selfAttention(config, ctx, norm(config, ctx, "ln1", inputs.x), inputs);
  return ctx.hook("hook_resid_mid", add(inputs.x, attn));
}

function selfAttention(config: Qwen3Config, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { head_dim: headDim, attention_bias: bias } = config;
  const query = { heads: config.num_attention_heads, headDim, bias };
  const keyValue = { heads: config.num_key_value_heads, headDim, bias };
  const q = rotateHeads(ctx, "q", headNorm(config, ctx, "q", projectHeads(ctx, "q", x, query)), inputs);
  const k = rotateHeads(ctx, "k", headNorm(config, ctx, "k", projectHeads(ctx, "k", x, keyValue)), inputs);
  const v = projectHeads(ctx, "v", x, keyValue);
  const z = attention(ctx, { q, k, v }, inputs, { scale: headDim ** -0.5 });
  return ctx.hook("hook_attn_out", projection(ctx, "self_attn.o_proj", z, config.hidden_size, { bias }));
}

/** RMS norm of each head: (batch, time, heads, head_dim). */
function headNorm(config: Qwen3Config, ctx: ModuleContext, name: "q" | "k", x: Node): Node {
  const gain = ctx.weight(`self_attn.${name}_norm.weight`, [config.head_dim]);
  return rmsNorm(ctx, `attn.${name}_norm`, x, { gain, eps: config.rms_norm_eps });
}
