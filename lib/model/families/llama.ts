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
import { count, field, type RawConfig, type TextConfig, textConfig } from "./config.js";
import { type Family, headWeight, standardNames } from "./family.js";

/** Llama's config has two switches of its own. */
interface LlamaConfig extends TextConfig {
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
}

/** Llama 1 to 3: pre-norm, rotary positions, grouped heads, SwiGLU. */
export const llama: Family = {
  modelTypes: ["llama"],
  names: standardNames,

  parse(raw: RawConfig): LlamaConfig {
    return {
      ...textConfig(raw),
      attention_bias: field(raw, "attention_bias", false),
      mlp_bias: field(raw, "mlp_bias", false),
    };
  },

  embeddingScale: () => 1,

  block(config, _layer, scope, inputs): Node {
    const { hidden_size: d, rms_norm_eps: eps } = config;
    const normed = rmsNorm(scope, "ln1", inputs.x, scope.weight("input_layernorm.weight", [d]), eps);
    const mid = scope.hook(
      "hook_resid_mid",
      add(inputs.x, scope.hook("hook_attn_out", selfAttention(config as LlamaConfig, scope, normed, inputs))),
    );
    const midNormed = rmsNorm(scope, "ln2", mid, scope.weight("post_attention_layernorm.weight", [d]), eps);
    return add(mid, scope.hook("hook_mlp_out", mlp(config as LlamaConfig, scope, midNormed)));
  },

  head(config, scope, x): Node {
    const gain = scope.weight("model.norm.weight", [config.hidden_size]);
    return linear(rmsNorm(scope, "ln_final", x, gain, config.rms_norm_eps), headWeight(config, scope));
  },
};

/** Mistral: Llama without biases, every layer within a sliding window where one is configured. */
export const mistral: Family = {
  ...llama,
  modelTypes: ["mistral"],
  parse(raw: RawConfig): LlamaConfig {
    const windowed = raw.sliding_window !== undefined && raw.sliding_window !== null;
    const layers = count(raw, "num_hidden_layers");
    return {
      ...textConfig(raw, {
        sliding_window: windowed ? count(raw, "sliding_window") : null,
        layer_types: new Array(layers).fill(windowed ? "sliding_attention" : "full_attention"),
      }),
      attention_bias: false,
      mlp_bias: false,
    };
  },
};

function selfAttention(config: LlamaConfig, scope: Scope, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const bias = config.attention_bias;
  const heading = (name: "q" | "k" | "v", n: number): Node => {
    const projected = projection(scope, `self_attn.${name}_proj`, x, n * size, bias);
    return scope.hook(`attn.hook_${name}`, splitHeads(projected, n, size));
  };
  const q = scope.hook("attn.hook_rot_q", rotary(heading("q", heads), inputs.cos, inputs.sin));
  const k = scope.hook("attn.hook_rot_k", rotary(heading("k", kvHeads), inputs.cos, inputs.sin));
  const z = attention(scope, { q, k, v: heading("v", kvHeads) }, inputs, { scale: size ** -0.5 });
  return projection(scope, "self_attn.o_proj", z, d, bias);
}

function mlp(config: LlamaConfig, scope: Scope, x: Node): Node {
  return gatedMlp(scope, x, config.intermediate_size, activation(config.hidden_act), config.mlp_bias);
}
