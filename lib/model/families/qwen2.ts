import { add, type Node } from "../graph/index.js";
import {
  attention,
  type BlockInputs,
  type ModuleContext,
  projectHeads,
  projection,
  rotateHeads,
} from "../nn/index.js";
import { type TextConfig, textConfig, upperWindows } from "./config.js";
import { feedForward, head, norm, standardNames } from "./decoder.js";
import { withDefaults } from "./defaults.js";
import type { Family } from "./family.js";

/** Qwen2 and Qwen2.5: Llama's block with biases on q, k and v. */
export const qwen2: Family = {
  modelTypes: ["qwen2"],
  names: standardNames,

  parse(raw) {
    const fields = withDefaults(raw);
    return textConfig(fields, upperWindows(fields));
  },

  embeddingScale: () => 1,

  block(config, _layer, ctx, inputs) {
    const attn = selfAttention(config, ctx, norm(config, ctx, "ln1", inputs.x), inputs);
    const h = ctx.hook("hook_resid_mid", add(inputs.x, attn));
    const mlp = feedForward(config, ctx, norm(config, ctx, "ln2", h));
    return add(h, mlp);
  },

  head,
};

function selfAttention(config: TextConfig, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { head_dim: headDim } = config;
  const query = { heads: config.num_attention_heads, headDim, bias: true };
  const keyValue = { heads: config.num_key_value_heads, headDim, bias: true };
  const q = rotateHeads(ctx, "q", projectHeads(ctx, "q", x, query), inputs);
  const k = rotateHeads(ctx, "k", projectHeads(ctx, "k", x, keyValue), inputs);
  const v = projectHeads(ctx, "v", x, keyValue);
  const z = attention(ctx, { q, k, v }, inputs, { scale: headDim ** -0.5 });
  return ctx.hook("hook_attn_out", projection(ctx, "self_attn.o_proj", z, config.hidden_size));
}
