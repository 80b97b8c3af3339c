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

/** Qwen2 and Qwen2.5: Llama's block with biases on q, k and v. */
export const qwen2: Family = {
  modelTypes: ["qwen2"],
  names: standardNames,

  parse(raw: RawConfig): TextConfig {
    const layers = readCount(raw, "num_hidden_layers");
    const sliding_window = readField(raw, "use_sliding_window", false)
      ? readCount(raw, "sliding_window", 4096)
      : null;
    const first = readField(raw, "max_window_layers", 28);
    return textConfig(raw, {
      sliding_window,
      layer_types: layerTypes(raw, layers, (l) =>
        sliding_window !== null && l >= first ? "sliding_attention" : "full_attention",
      ),
    });
  },

  embeddingScale: () => 1,

  block(config, _layer, ctx, inputs): Node {
    const { hidden_size: d, rms_norm_eps: eps } = config;
    const normed = rmsNorm(ctx, "ln1", inputs.x, ctx.weight("input_layernorm.weight", [d]), eps);
    const mid = ctx.hook(
      "hook_resid_mid",
      add(inputs.x, ctx.hook("hook_attn_out", selfAttention(config, ctx, normed, inputs))),
    );
    const midNormed = rmsNorm(ctx, "ln2", mid, ctx.weight("post_attention_layernorm.weight", [d]), eps);
    return add(
      mid,
      ctx.hook(
        "hook_mlp_out",
        gatedMlp(ctx, midNormed, config.intermediate_size, activation(config.hidden_act)),
      ),
    );
  },

  head(config, ctx, x): Node {
    const gain = ctx.weight("model.norm.weight", [config.hidden_size]);
    return linear(rmsNorm(ctx, "ln_final", x, gain, config.rms_norm_eps), headWeight(config, ctx));
  },
};

function selfAttention(config: TextConfig, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const projectHeads = (name: "q" | "k" | "v", n: number): Node => {
    const projected = projection(ctx, `self_attn.${name}_proj`, x, n * size, true);
    return ctx.hook(`attn.hook_${name}`, splitHeads(projected, n, size));
  };
  const q = ctx.hook("attn.hook_rot_q", rotary(projectHeads("q", heads), inputs.cos, inputs.sin));
  const k = ctx.hook("attn.hook_rot_k", rotary(projectHeads("k", kvHeads), inputs.cos, inputs.sin));
  const z = attention(ctx, { q, k, v: projectHeads("v", kvHeads) }, inputs, { scale: size ** -0.5 });
  return projection(ctx, "self_attn.o_proj", z, d);
}
