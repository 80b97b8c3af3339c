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
import { type RawConfig, readCount, readField, type TextConfig, textConfig } from "./config.js";
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
      attention_bias: readField(raw, "attention_bias", false),
      mlp_bias: readField(raw, "mlp_bias", false),
    };
  },

  embeddingScale: () => 1,

  block(config, _layer, ctx, inputs): Node {
    const { hidden_size: d, rms_norm_eps: eps } = config;
    const normed = rmsNorm(ctx, "ln1", inputs.x, ctx.weight("input_layernorm.weight", [d]), eps);
    const mid = ctx.hook(
      "hook_resid_mid",
      add(inputs.x, ctx.hook("hook_attn_out", selfAttention(config as LlamaConfig, ctx, normed, inputs))),
    );
    const midNormed = rmsNorm(ctx, "ln2", mid, ctx.weight("post_attention_layernorm.weight", [d]), eps);
    return add(mid, ctx.hook("hook_mlp_out", mlp(config as LlamaConfig, ctx, midNormed)));
  },

  head(config, ctx, x): Node {
    const gain = ctx.weight("model.norm.weight", [config.hidden_size]);
    return linear(rmsNorm(ctx, "ln_final", x, gain, config.rms_norm_eps), headWeight(config, ctx));
  },
};

/** Mistral: Llama without biases, every layer within a sliding window where one is configured. */
export const mistral: Family = {
  ...llama,
  modelTypes: ["mistral"],
  parse(raw: RawConfig): LlamaConfig {
    const windowed = raw.sliding_window !== undefined && raw.sliding_window !== null;
    const layers = readCount(raw, "num_hidden_layers");
    return {
      ...textConfig(raw, {
        sliding_window: windowed ? readCount(raw, "sliding_window") : null,
        layer_types: new Array(layers).fill(windowed ? "sliding_attention" : "full_attention"),
      }),
      attention_bias: false,
      mlp_bias: false,
    };
  },
};

function selfAttention(config: LlamaConfig, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const bias = config.attention_bias;
  const projectHeads = (name: "q" | "k" | "v", n: number): Node => {
    const projected = projection(ctx, `self_attn.${name}_proj`, x, n * size, bias);
    return ctx.hook(`attn.hook_${name}`, splitHeads(projected, n, size));
  };
  const q = ctx.hook("attn.hook_rot_q", rotary(projectHeads("q", heads), inputs.cos, inputs.sin));
  const k = ctx.hook("attn.hook_rot_k", rotary(projectHeads("k", kvHeads), inputs.cos, inputs.sin));
  const z = attention(ctx, { q, k, v: projectHeads("v", kvHeads) }, inputs, { scale: size ** -0.5 });
  return projection(ctx, "self_attn.o_proj", z, d, bias);
}

function mlp(config: LlamaConfig, ctx: ModuleContext, x: Node): Node {
  return gatedMlp(ctx, x, config.intermediate_size, activation(config.hidden_act), config.mlp_bias);
}
