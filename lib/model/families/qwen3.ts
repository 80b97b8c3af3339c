import { add, linear, type Node } from "../graph/index.js";
import {
  activation,
  attention,
  type BlockInputs,
  gatedMlp,
  type ModuleContext,
  projection,
  rmsNorm,
  rotary,
  splitHeads,
} from "../nn/index.js";
import { layerTypes, type RawConfig, readCount, readField, type TextConfig, textConfig } from "./config.js";
import { type Family, headWeight, standardNames } from "./family.js";

export interface Qwen3Config extends TextConfig {
  readonly attention_bias: boolean;
}

/** Qwen3, and the language model of Qwen3-VL: pre-norm, SwiGLU, a norm on each head's query and key. */
export const qwen3: Family = {
  modelTypes: ["qwen3", "qwen3_vl_text"],
  names: standardNames,

  parse(raw: RawConfig): Qwen3Config {
    const layers = readCount(raw, "num_hidden_layers");
    const sliding_window = slidingWindow(raw);
    const first = readField(raw, "max_window_layers", 28);
    const own = { num_key_value_heads: 32, head_dim: 128, ...rotaryDefaults(raw), ...raw };
    return {
      ...textConfig(own, {
        sliding_window,
        layer_types: layerTypes(raw, layers, (l) =>
          sliding_window !== null && l >= first ? "sliding_attention" : "full_attention",
        ),
      }),
      attention_bias: readField(raw, "attention_bias", false),
    };
  },

  embeddingScale: () => 1,

  block(config, _layer, ctx, inputs): Node {
    const mid = attended(config as Qwen3Config, ctx, inputs);
    const fed = gatedMlp(ctx, ln2(config, ctx, mid), config.intermediate_size, activation(config.hidden_act));
    return add(mid, ctx.hook("hook_mlp_out", fed));
  },

  head(config, ctx, x): Node {
    return linear(norm(config, ctx, "ln_final", "model.norm", x), headWeight(config, ctx));
  },
};

/** `sliding_window` counts only where `use_sliding_window` is set. */
export function slidingWindow(raw: RawConfig): number | null {
  if (!readField(raw, "use_sliding_window", false) || raw.sliding_window === null) return null;
  return readCount(raw, "sliding_window", 4096);
}

/** What the config classes take where config.json names no rotary base and no length. */
export function rotaryDefaults(raw: RawConfig): RawConfig {
  return String(raw.model_type).includes("_vl")
    ? { rope_theta: 500_000, max_position_embeddings: 128_000 }
    : { max_position_embeddings: 32_768 };
}

/** The first half of a block: the stream after attention. */
export function attended(config: Qwen3Config, ctx: ModuleContext, inputs: BlockInputs): Node {
  const normed = norm(config, ctx, "ln1", "input_layernorm", inputs.x);
  const attnOut = ctx.hook("hook_attn_out", selfAttention(config, ctx, normed, inputs));
  return ctx.hook("hook_resid_mid", add(inputs.x, attnOut));
}

/** The norm before the second half. */
export function ln2(config: TextConfig, ctx: ModuleContext, mid: Node): Node {
  return norm(config, ctx, "ln2", "post_attention_layernorm", mid);
}

function norm(config: TextConfig, ctx: ModuleContext, name: string, weight: string, x: Node): Node {
  return rmsNorm(ctx, name, x, ctx.weight(`${weight}.weight`, [config.hidden_size]), config.rms_norm_eps);
}

function selfAttention(config: Qwen3Config, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const bias = config.attention_bias;
  const projectHeads = (name: "q" | "k" | "v", n: number): Node => {
    const projected = projection(ctx, `self_attn.${name}_proj`, x, n * size, bias);
    return ctx.hook(`attn.hook_${name}`, splitHeads(projected, n, size));
  };
  const rotated = (name: "q" | "k", n: number): Node => {
    const gain = ctx.weight(`self_attn.${name}_norm.weight`, [size]);
    const normed = rmsNorm(ctx, `attn.${name}_norm`, projectHeads(name, n), gain, config.rms_norm_eps);
    return ctx.hook(`attn.hook_rot_${name}`, rotary(normed, inputs.cos, inputs.sin));
  };
  const [q, k] = [rotated("q", heads), rotated("k", kvHeads)];
  const z = attention(ctx, { q, k, v: projectHeads("v", kvHeads) }, inputs, { scale: size ** -0.5 });
  return projection(ctx, "self_attn.o_proj", z, d, bias);
}
