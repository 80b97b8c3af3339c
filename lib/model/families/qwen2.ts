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

/** Qwen2 and Qwen2.5: Llama's block with biases on q, k and v. */
export const qwen2: Family = {
  modelTypes: ["qwen2"],
  names: standardNames,

  parse(raw: RawConfig): TextConfig {
    const layers = count(raw, "num_hidden_layers");
    const sliding_window = field(raw, "use_sliding_window", false)
      ? count(raw, "sliding_window", 4096)
      : null;
    const first = field(raw, "max_window_layers", 28);
    return textConfig(raw, {
      sliding_window,
      layer_types: layerTypes(raw, layers, (l) =>
        sliding_window !== null && l >= first ? "sliding_attention" : "full_attention",
      ),
    });
  },

  embeddingScale: () => 1,

  block(config, _layer, scope, inputs): Node {
    const { hidden_size: d, rms_norm_eps: eps } = config;
    const normed = rmsNorm(scope, "ln1", inputs.x, scope.weight("input_layernorm.weight", [d]), eps);
    const mid = scope.hook(
      "hook_resid_mid",
      add(inputs.x, scope.hook("hook_attn_out", selfAttention(config, scope, normed, inputs))),
    );
    const midNormed = rmsNorm(scope, "ln2", mid, scope.weight("post_attention_layernorm.weight", [d]), eps);
    return add(
      mid,
      scope.hook(
        "hook_mlp_out",
        gatedMlp(scope, midNormed, config.intermediate_size, activation(config.hidden_act)),
      ),
    );
  },

  head(config, scope, x): Node {
    const gain = scope.weight("model.norm.weight", [config.hidden_size]);
    return linear(rmsNorm(scope, "ln_final", x, gain, config.rms_norm_eps), headWeight(config, scope));
  },
};

function selfAttention(config: TextConfig, scope: Scope, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const heading = (name: "q" | "k" | "v", n: number): Node => {
    const projected = projection(scope, `self_attn.${name}_proj`, x, n * size, true);
    return scope.hook(`attn.hook_${name}`, splitHeads(projected, n, size));
  };
  const q = scope.hook("attn.hook_rot_q", rotary(heading("q", heads), inputs.cos, inputs.sin));
  const k = scope.hook("attn.hook_rot_k", rotary(heading("k", kvHeads), inputs.cos, inputs.sin));
  const z = attention(scope, { q, k, v: heading("v", kvHeads) }, inputs, { scale: size ** -0.5 });
  return projection(scope, "self_attn.o_proj", z, d);
}
