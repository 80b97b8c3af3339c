import type { Node } from "../graph/node.js";
import { add, linear } from "../graph/ops.js";
import {
  activation,
  attention,
  type BlockInputs,
  gatedMlp,
  projection,
  rmsNorm,
  rotary,
  type Scope,
  splitHeads,
} from "../nn/layers.js";
import { count, field, layerTypes, type RawConfig, type TextConfig, textConfig } from "./config.js";
import { type Family, headWeight, standardNames } from "./family.js";

export interface Qwen3Config extends TextConfig {
  readonly attention_bias: boolean;
}

/** Qwen3, and the language model of Qwen3-VL: pre-norm, SwiGLU, a norm on each head's query and key. */
export const qwen3: Family = {
  modelTypes: ["qwen3", "qwen3_vl_text"],
  names: standardNames,

  parse(raw: RawConfig): Qwen3Config {
    const layers = count(raw, "num_hidden_layers");
    const sliding_window = slidingWindow(raw);
    const first = field(raw, "max_window_layers", 28);
    const own = { num_key_value_heads: 32, head_dim: 128, ...rotaryDefaults(raw), ...raw };
    return {
      ...textConfig(own, {
        sliding_window,
        layer_types: layerTypes(raw, layers, (l) =>
          sliding_window !== null && l >= first ? "sliding_attention" : "full_attention",
        ),
      }),
      attention_bias: field(raw, "attention_bias", false),
    };
  },

  embeddingScale: () => 1,

  block(config, _layer, scope, inputs): Node {
    const mid = attended(config as Qwen3Config, scope, inputs);
    const fed = gatedMlp(
      scope,
      ln2(config, scope, mid),
      config.intermediate_size,
      activation(config.hidden_act),
    );
    return add(mid, scope.hook("hook_mlp_out", fed));
  },

  head(config, scope, x): Node {
    return linear(norm(config, scope, "ln_final", "model.norm", x), headWeight(config, scope));
  },
};

/** `sliding_window` counts only where `use_sliding_window` is set. */
export function slidingWindow(raw: RawConfig): number | null {
  if (!field(raw, "use_sliding_window", false) || raw.sliding_window === null) return null;
  return count(raw, "sliding_window", 4096);
}

/** What the config classes take where config.json names no rotary base and no length. */
export function rotaryDefaults(raw: RawConfig): RawConfig {
  return String(raw.model_type).includes("_vl")
    ? { rope_theta: 500_000, max_position_embeddings: 128_000 }
    : { max_position_embeddings: 32_768 };
}

/** The first half of a block: the stream after attention. */
export function attended(config: Qwen3Config, scope: Scope, inputs: BlockInputs): Node {
  const normed = norm(config, scope, "ln1", "input_layernorm", inputs.x);
  const attnOut = scope.hook("hook_attn_out", selfAttention(config, scope, normed, inputs));
  return scope.hook("hook_resid_mid", add(inputs.x, attnOut));
}

/** The norm before the second half. */
export function ln2(config: TextConfig, scope: Scope, mid: Node): Node {
  return norm(config, scope, "ln2", "post_attention_layernorm", mid);
}

function norm(config: TextConfig, scope: Scope, name: string, weight: string, x: Node): Node {
  return rmsNorm(scope, name, x, scope.weight(`${weight}.weight`, [config.hidden_size]), config.rms_norm_eps);
}

function selfAttention(config: Qwen3Config, scope: Scope, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const bias = config.attention_bias;
  const heading = (name: "q" | "k" | "v", n: number): Node => {
    const projected = projection(scope, `self_attn.${name}_proj`, x, n * size, bias);
    return scope.hook(`attn.hook_${name}`, splitHeads(projected, n, size));
  };
  const rotated = (name: "q" | "k", n: number): Node => {
    const gain = scope.weight(`self_attn.${name}_norm.weight`, [size]);
    const normed = rmsNorm(scope, `attn.${name}_norm`, heading(name, n), gain, config.rms_norm_eps);
    return scope.hook(`attn.hook_rot_${name}`, rotary(normed, inputs.cos, inputs.sin));
  };
  const [q, k] = [rotated("q", heads), rotated("k", kvHeads)];
  const z = attention(scope, { q, k, v: heading("v", kvHeads) }, inputs, { scale: size ** -0.5 });
  return projection(scope, "self_attn.o_proj", z, d, bias);
}
