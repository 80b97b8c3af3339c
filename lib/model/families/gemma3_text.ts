import type { Node } from "../graph/node.js";
import { add, div, linear, mul, tanh } from "../graph/ops.js";
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
import { ropeParameters } from "../nn/rope.js";
import { count, field, layerTypes, positive, type RawConfig, type TextConfig, textConfig } from "./config.js";
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
    const layers = count(raw, "num_hidden_layers");
    const pattern = count(raw, "sliding_window_pattern", 6);
    const positions = count(raw, "max_position_embeddings", 131_072);
    return {
      ...textConfig(withDefaults(raw), {
        tie_word_embeddings: field(raw, "tie_word_embeddings", true),
        hidden_act: field(raw, "hidden_activation", "gelu_pytorch_tanh"),
        sliding_window: count(raw, "sliding_window", 4096),
        layer_types: layerTypes(raw, layers, (l) =>
          (l + 1) % pattern ? "sliding_attention" : "full_attention",
        ),
        rope_parameters: rope(raw, positions),
      }),
      attention_bias: field(raw, "attention_bias", false),
      query_pre_attn_scalar: positive(raw, "query_pre_attn_scalar", 256),
      final_logit_softcapping:
        (raw.final_logit_softcapping ?? null) === null ? null : positive(raw, "final_logit_softcapping"),
    };
  },

  embeddingScale: (config) => Math.fround(Math.sqrt(config.hidden_size)),

  block(config, _layer, scope, inputs): Node {
    const attended = selfAttention(
      config as Gemma3Config,
      scope,
      norm(config, scope, "ln1", inputs.x),
      inputs,
    );
    const attnOut = norm(config, scope, "ln1_post", scope.hook("attn.hook_out", attended));
    const mid = scope.hook("hook_resid_mid", add(inputs.x, scope.hook("hook_attn_out", attnOut)));
    const midNormed = norm(config, scope, "ln2", mid);
    const fed = gatedMlp(scope, midNormed, config.intermediate_size, activation(config.hidden_act));
    const mlpOut = norm(config, scope, "ln2_post", scope.hook("mlp.hook_out", fed));
    return add(mid, scope.hook("hook_mlp_out", mlpOut));
  },

  head(config, scope, x): Node {
    const gain = add(1, scope.weight("model.norm.weight", [config.hidden_size]));
    const logits = linear(
      rmsNorm(scope, "ln_final", x, gain, config.rms_norm_eps),
      headWeight(config, scope),
    );
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

function norm(config: TextConfig, scope: Scope, name: keyof typeof norms, x: Node): Node {
  const gain = add(1, scope.weight(`${norms[name]}.weight`, [config.hidden_size]));
  return rmsNorm(scope, name, x, gain, config.rms_norm_eps);
}

function selfAttention(config: Gemma3Config, scope: Scope, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const bias = config.attention_bias;
  const heading = (name: "q" | "k" | "v", n: number): Node => {
    const projected = projection(scope, `self_attn.${name}_proj`, x, n * size, bias);
    return scope.hook(`attn.hook_${name}`, splitHeads(projected, n, size));
  };
  const rotated = (name: "q" | "k", n: number): Node => {
    const gain = add(1, scope.weight(`self_attn.${name}_norm.weight`, [size]));
    const normed = rmsNorm(scope, `attn.${name}_norm`, heading(name, n), gain, config.rms_norm_eps);
    return scope.hook(`attn.hook_rot_${name}`, rotary(normed, inputs.cos, inputs.sin));
  };
  const [q, k] = [rotated("q", heads), rotated("k", kvHeads)];
  const scale = config.query_pre_attn_scalar ** -0.5;
  const z = attention(scope, { q, k, v: heading("v", kvHeads) }, inputs, { scale });
  return projection(scope, "self_attn.o_proj", z, d, bias);
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
