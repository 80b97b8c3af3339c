import { add, div, linear, mul, type Node, tanh } from "../graph/index.js";
import {
  activation,
  attention,
  type BlockInputs,
  gatedMlp,
  type ModuleContext,
  projectHeads,
  projection,
  rmsNorm,
  ropeParameters,
  rotateHeads,
} from "../nn/index.js";
import { layerTypes, type TextConfig, textConfig, windowed } from "./config.js";
import { headWeight, standardNames } from "./decoder.js";
import { withDefaults } from "./defaults.js";
import type { Family } from "./family.js";
import {
  isGiven,
  type RawConfig,
  readCount,
  readFlag,
  readOptionalCount,
  readPart,
  readPositive,
  readText,
} from "./fields.js";

interface Gemma3Config extends TextConfig {
  readonly attention_bias: boolean;
  readonly query_pre_attn_scalar: number;
  readonly final_logit_softcapping: number | null;
}

/**
 * Gemma 3's language model: norms before and after attention and MLP, q/k norms, five local layers to one global.
 * Every norm's gain is 1 + weight. `attn_logit_softcapping` is read by no Gemma 3 and is ignored, as transformers does.
 */
export const gemma3Text: Family<Gemma3Config> = {
  modelTypes: ["gemma3_text"],
  names: standardNames,

  parse(raw) {
    const fields = withDefaults(raw);
    const pattern = readCount(fields, "sliding_window_pattern");
    const types = layerTypes(fields, (l) => ((l + 1) % pattern ? "sliding_attention" : "full_attention"));
    return {
      ...textConfig(fields, {
        ...windowed(types, readOptionalCount(fields, "sliding_window")),
        hidden_act: readText(fields, "hidden_activation"),
        rope_parameters: rope(fields),
      }),
      attention_bias: readFlag(fields, "attention_bias"),
      query_pre_attn_scalar: readPositive(fields, "query_pre_attn_scalar"),
      final_logit_softcapping: isGiven(fields, "final_logit_softcapping")
        ? readPositive(fields, "final_logit_softcapping")
        : null,
    };
  },

  embeddingScale: (config) => Math.fround(Math.sqrt(config.hidden_size)),

  block(config, _layer, ctx, inputs) {
    const attn = selfAttention(config, ctx, norm(config, ctx, "ln1", inputs.x), inputs);
    const h = ctx.hook("hook_resid_mid", add(inputs.x, attn));
    const mlp = feedForward(config, ctx, norm(config, ctx, "ln2", h));
    return add(h, mlp);
  },

  head(config, ctx, x) {
    const logits = linear(norm(config, ctx, "ln_final", x), headWeight(config, ctx));
    const cap = config.final_logit_softcapping;
    return cap === null || ctx.uncapped ? logits : mul(tanh(div(logits, cap)), cap);
  },
};

/** TransformerLens' names of the norms, and the checkpoint's. */
const norms = {
  ln1: "input_layernorm",
  ln1_post: "post_attention_layernorm",
  ln2: "pre_feedforward_layernorm",
  ln2_post: "post_feedforward_layernorm",
  ln_final: "model.norm",
} as const;

function norm(config: TextConfig, ctx: ModuleContext, name: keyof typeof norms, x: Node): Node {
  const gain = add(1, ctx.weight(`${norms[name]}.weight`, [config.hidden_size]));
  return rmsNorm(ctx, name, x, { gain, eps: config.rms_norm_eps });
}

/** Attention and the norm after it. */
function selfAttention(config: Gemma3Config, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { head_dim: headDim, attention_bias: bias } = config;
  const query = { heads: config.num_attention_heads, headDim, bias };
  const keyValue = { heads: config.num_key_value_heads, headDim, bias };
  const q = rotateHeads(ctx, "q", headNorm(config, ctx, "q", projectHeads(ctx, "q", x, query)), inputs);
  const k = rotateHeads(ctx, "k", headNorm(config, ctx, "k", projectHeads(ctx, "k", x, keyValue)), inputs);
  const v = projectHeads(ctx, "v", x, keyValue);
  const z = attention(ctx, { q, k, v }, inputs, { scale: config.query_pre_attn_scalar ** -0.5 });
  const out = ctx.hook("attn.hook_out", projection(ctx, "self_attn.o_proj", z, config.hidden_size, { bias }));
  return ctx.hook("hook_attn_out", norm(config, ctx, "ln1_post", out));
}

/** RMS norm of each head: (batch, time, heads, head_dim). */
function headNorm(config: Gemma3Config, ctx: ModuleContext, name: "q" | "k", x: Node): Node {
  const gain = add(1, ctx.weight(`self_attn.${name}_norm.weight`, [config.head_dim]));
  return rmsNorm(ctx, `attn.${name}_norm`, x, { gain, eps: config.rms_norm_eps });
}

/** MLP and the norm after it. */
function feedForward(config: Gemma3Config, ctx: ModuleContext, x: Node): Node {
  const options = { hidden: config.intermediate_size, act: activation(config.hidden_act) };
  return ctx.hook("hook_mlp_out", norm(config, ctx, "ln2_post", gatedMlp(ctx, x, options)));
}

/** Local layers have a rotary base of their own; a scaling concerns the global ones. */
function rope(fields: RawConfig): TextConfig["rope_parameters"] {
  const given = readPart(fields, "rope_parameters");
  const positions = readCount(fields, "max_position_embeddings");
  const full = {
    rope_theta: fields.rope_theta,
    ...readPart(given, "full_attention"),
    ...readPart(fields, "rope_scaling"),
  };
  const local = { rope_theta: fields.rope_local_base_freq, ...readPart(given, "sliding_attention") };
  return {
    full_attention: ropeParameters(full, positions),
    sliding_attention: ropeParameters(local, positions),
  };
}
