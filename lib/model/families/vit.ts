/** The vision transformer that CLIP and SigLIP share, under the names of its weights. */
import type { Node } from "../graph/node.js";
import { add, linear, reshape } from "../graph/ops.js";
import {
  attention,
  type BlockInputs,
  layerNorm,
  mlp,
  projection,
  type Scope,
  splitHeads,
} from "../layers.js";
import { activation } from "./family.js";
import type { VisionConfig } from "./vision.js";

/** A norm with the weights `<weights>.weight` and `<weights>.bias`. */
export function norm(config: VisionConfig, scope: Scope, name: string, weights: string, x: Node): Node {
  const d = config.hidden_size;
  const gain = scope.weight(`${weights}.weight`, [d]);
  return layerNorm(scope, name, x, gain, scope.weight(`${weights}.bias`, [d]), config.layer_norm_eps);
}

/** A convolution whose stride is its size: one product per patch. (batch, patches, patch_values) → (…, hidden_size) */
export function embedPatches(
  config: VisionConfig,
  scope: Scope,
  name: string,
  patches: Node,
  kernel: readonly number[],
  bias: boolean,
): Node {
  const w = scope.weight(`${name}.weight`, [config.hidden_size, ...kernel]);
  const flat = reshape(w, [config.hidden_size, config.patch_values]);
  return linear(patches, flat, bias ? scope.weight(`${name}.bias`, [config.hidden_size]) : undefined);
}

/** One encoder block: norm, attention, norm, MLP, each sum a residual. Every patch sees every other. */
export function vitBlock(config: VisionConfig, scope: Scope, inputs: BlockInputs): Node {
  const attended = selfAttention(config, scope, norm(config, scope, "ln1", "layer_norm1", inputs.x), inputs);
  const mid = scope.hook("hook_resid_mid", add(inputs.x, scope.hook("hook_attn_out", attended)));
  const normed = norm(config, scope, "ln2", "layer_norm2", mid);
  const names = ["mlp.fc1", "mlp.fc2"] as const;
  const fed = mlp(scope, normed, names, config.intermediate_size, activation(config.hidden_act));
  return add(mid, scope.hook("hook_mlp_out", fed));
}

function selfAttention(config: VisionConfig, scope: Scope, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads } = config;
  const heading = (name: "q" | "k" | "v"): Node => {
    const projected = projection(scope, `self_attn.${name}_proj`, x, d, true);
    return scope.hook(`attn.hook_${name}`, splitHeads(projected, heads, size));
  };
  const parts = { q: heading("q"), k: heading("k"), v: heading("v") };
  const z = attention(scope, parts, { mask: inputs.mask }, { scale: size ** -0.5 });
  return projection(scope, "self_attn.out_proj", z, d, true);
}
