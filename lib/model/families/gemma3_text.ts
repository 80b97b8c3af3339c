import { add, div, linear, mul, type Node, tanh } from "../graph/index.js";
import {
  activation,
  attention,
  type BlockInputs,
  gatedMlp,
  type ModuleContext,
  projection,
  rmsNorm,
  ropeParameters,
  rotary,
  splitHeads,
} from "../nn/index.js";
import {
  layerTypes,
  type RawConfig,
  readCount,
  readField,
  readPositive,
  type TextConfig,
  textConfig,
} from "./config.js";
import { type Family, headWeight, standardNames } from "./family.js";

interface Gemma3Config extends TextConfig {
  readonly attention_bias: boolean;
  readonly query_pre_attn_scalar: number;
  readonly final_logit_softcapping: number | null;
}

/**
 * Gemma 3's language model: norms before and after attention and MLP, q/k norms, five local layers to one global.
 * Every norm's gain is 1 + weight. `attn_logit_softcapping` is read by no Gemma 3 and is ignored, as transformers does.
 */
export const gemma3Text: Family = {
  modelTypes: ["gemma3_text"],
  names: standardNames,

  parse(raw: RawConfig): Gemma3Config {
    const layers = readCount(raw, "num_hidden_layers");
    const pattern = readCount(raw, "sliding_window_pattern", 6);
    const positions = readCount(raw, "max_position_embeddings", 131_072);
    return {
      ...textConfig(withDefaults(raw), {
        tie_word_embeddings: readField(raw, "tie_word_embeddings", true),
        hidden_act: readField(raw, "hidden_activation", "gelu_pytorch_tanh"),
        sliding_window: readCount(raw, "sliding_window", 4096),
        layer_types: layerTypes(raw, layers, (l) =>
          (l + 1) % pattern ? "sliding_attention" : "full_attention",
        ),
        rope_parameters: rope(raw, positions),
      }),
      attention_bias: readField(raw, "attention_bias", false),
      query_pre_attn_scalar: readPositive(raw, "query_pre_attn_scalar", 256),
      final_logit_softcapping:
        (raw.final_logit_softcapping ?? null) === null ? null : readPositive(raw, "final_logit_softcapping"),
    };
  },

  embeddingScale: (config) => Math.fround(Math.sqrt(config.hidden_size)),

  block(config, _layer, ctx, inputs): Node {
    const attended = selfAttention(config as Gemma3Config, ctx, norm(config, ctx, "ln1", inputs.x), inputs);
    const attnOut = norm(config, ctx, "ln1_post", ctx.hook("attn.hook_out", attended));
    const mid = ctx.hook("hook_resid_mid", add(inputs.x, ctx.hook("hook_attn_out", attnOut)));
    const midNormed = norm(config, ctx, "ln2", mid);
    const fed = gatedMlp(ctx, midNormed, config.intermediate_size, activation(config.hidden_act));
    const mlpOut = norm(config, ctx, "ln2_post", ctx.hook("mlp.hook_out", fed));
    return add(mid, ctx.hook("hook_mlp_out", mlpOut));
  },

  head(config, ctx, x): Node {
    const gain = add(1, ctx.weight("model.norm.weight", [config.hidden_size]));
    const logits = linear(rmsNorm(ctx, "ln_final", x, gain, config.rms_norm_eps), headWeight(config, ctx));
    const cap = (config as Gemma3Config).final_logit_softcapping;
    return cap === null ? logits : mul(tanh(div(logits, cap)), cap);
  },
};

/** TransformerLens' names of the four norms, and the checkpoint's. */
const norms = {
  ln1: "input_layernorm",
  ln1_post: "post_attention_layernorm",
  ln2: "pre_feedforward_layernorm",
  ln2_post: "post_feedforward_layernorm",
} as const;

function norm(config: TextConfig, ctx: ModuleContext, name: keyof typeof norms, x: Node): Node {
  const gain = add(1, ctx.weight(`${norms[name]}.weight`, [config.hidden_size]));
  return rmsNorm(ctx, name, x, gain, config.rms_norm_eps);
}

function selfAttention(config: Gemma3Config, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const bias = config.attention_bias;
  const projectHeads = (name: "q" | "k" | "v", n: number): Node => {
    const projected = projection(ctx, `self_attn.${name}_proj`, x, n * size, bias);
    return ctx.hook(`attn.hook_${name}`, splitHeads(projected, n, size));
  };
  const rotated = (name: "q" | "k", n: number): Node => {
    const gain = add(1, ctx.weight(`self_attn.${name}_norm.weight`, [size]));
    const normed = rmsNorm(ctx, `attn.${name}_norm`, projectHeads(name, n), gain, config.rms_norm_eps);
    return ctx.hook(`attn.hook_rot_${name}`, rotary(normed, inputs.cos, inputs.sin));
  };
  const [q, k] = [rotated("q", heads), rotated("k", kvHeads)];
  const scale = config.query_pre_attn_scalar ** -0.5;
  const z = attention(ctx, { q, k, v: projectHeads("v", kvHeads) }, inputs, { scale });
  return projection(ctx, "self_attn.o_proj", z, d, bias);
}

/** Gemma 3 leaves its own defaults out of config.json. */
function withDefaults(raw: RawConfig): RawConfig {
  return {
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 131_072,
    ...raw,
    rope_parameters: {},
    rope_scaling: {},
  };
}

/** Local layers have a rotary base of their own; a scaling concerns the global ones. */
function rope(raw: RawConfig, positions: number): TextConfig["rope_parameters"] {
  const given = (raw.rope_parameters ?? {}) as Record<string, RawConfig | undefined>;
  const full = {
    rope_theta: raw.rope_theta ?? 1_000_000,
    ...(raw.rope_scaling as RawConfig),
    ...given.full_attention,
  };
  const local = { rope_theta: raw.rope_local_base_freq ?? 10_000, ...given.sliding_attention };
  return {
    full_attention: ropeParameters(full, positions),
    sliding_attention: ropeParameters(local, positions),
  };
}
