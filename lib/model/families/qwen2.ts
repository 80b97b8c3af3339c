import type { Node } from "../graph/node.js";
import { add, linear } from "../graph/ops.js";
import { attention, type BlockInputs, gatedMlp, rmsNorm, rotary, type Scope, splitHeads } from "../layers.js";
import { count, field, layerTypes, type RawConfig, type TextConfig, textConfig } from "./config.js";
import { activation, type Family, headWeight, standardNames } from "./family.js";

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
    return add(mid, scope.hook("hook_mlp_out", mlp(config, scope, midNormed)));
  },

  head(config, scope, x): Node {
    const gain = scope.weight("model.norm.weight", [config.hidden_size]);
    return linear(rmsNorm(scope, "ln_final", x, gain, config.rms_norm_eps), headWeight(config, scope));
  },
};

function selfAttention(config: TextConfig, scope: Scope, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const project = (name: "q" | "k" | "v", n: number): Node => {
    const w = scope.weight(`self_attn.${name}_proj.weight`, [n * size, d]);
    const b = scope.weight(`self_attn.${name}_proj.bias`, [n * size]);
    return scope.hook(`attn.hook_${name}`, splitHeads(linear(x, w, b), n, size));
  };
  const q = scope.hook("attn.hook_rot_q", rotary(project("q", heads), inputs.cos, inputs.sin));
  const k = scope.hook("attn.hook_rot_k", rotary(project("k", kvHeads), inputs.cos, inputs.sin));
  const v = project("v", kvHeads);
  const z = attention(scope, { q, k, v }, inputs, { scale: size ** -0.5 });
  return linear(z, scope.weight("self_attn.o_proj.weight", [d, heads * size]));
}

function mlp(config: TextConfig, scope: Scope, x: Node): Node {
  const { hidden_size: d, intermediate_size: inner } = config;
  const gate = scope.weight("mlp.gate_proj.weight", [inner, d]);
  const up = scope.weight("mlp.up_proj.weight", [inner, d]);
  const down = scope.weight("mlp.down_proj.weight", [d, inner]);
  return gatedMlp(scope, x, { gate, up, down }, activation(config.hidden_act));
}
