import { ModalscopeError } from "../../errors.js";
import { add } from "../graph/index.js";
import { activation, type Experts, mixture } from "../nn/index.js";
import { optionalWindow, textConfig, windowEverywhere } from "./config.js";
import { feedForward, norm } from "./decoder.js";
import { withDefaults } from "./defaults.js";
import type { Family } from "./family.js";
import { isGiven, type RawConfig, readCount, readFlag, readIndices, readText } from "./fields.js";
import { afterAttention, mrope, type Qwen3Config, qwen3 } from "./qwen3.js";

interface Qwen3MoeConfig extends Qwen3Config {
  /** By layer: its mixture of experts, or undefined where the block has one dense MLP. */
  readonly experts: readonly (Experts | undefined)[];
}

/** Qwen3-MoE: Qwen3's block with a mixture of experts for its MLP. A window holds in every block. */
export const qwen3Moe: Family<Qwen3MoeConfig> = {
  ...qwen3,
  modelTypes: ["qwen3_moe"],

  parse(raw) {
    const fields = withDefaults(raw);
    const windows = windowEverywhere(readCount(fields, "num_hidden_layers"), optionalWindow(fields));
    return {
      ...textConfig(fields, windows),
      attention_bias: readFlag(fields, "attention_bias"),
      experts: expertsByLayer(fields, {
        normalised: readFlag(fields, "norm_topk_prob"),
        checkpointLayout: "separate",
      }),
    };
  },

  experts: (config, layer) => config.experts[layer],

  block(config, layer, ctx, inputs) {
    const h = afterAttention(config, ctx, inputs);
    const normed = norm(config, ctx, "ln2", h);
    const experts = config.experts[layer];
    return experts ? mixture(ctx, h, normed, experts) : add(h, feedForward(config, ctx, normed));
  },
};

/** The language model of Qwen3-VL-MoE: no windows, and the router's weights always add up to 1. */
export const qwen3VlMoeText: Family<Qwen3MoeConfig> = {
  ...qwen3Moe,
  modelTypes: ["qwen3_vl_moe_text"],
  parse(raw) {
    const fields = withDefaults(raw);
    return {
      ...textConfig(fields, { rope_parameters: mrope(fields) }),
      attention_bias: readFlag(fields, "attention_bias"),
      experts: expertsByLayer(fields, { normalised: true, checkpointLayout: "linear" }),
    };
  },
};

function expertsByLayer(
  raw: RawConfig,
  own: Pick<Experts, "normalised" | "checkpointLayout">,
): (Experts | undefined)[] {
  // transformers 5 writes num_local_experts, older releases num_experts.
  const count = readCount(raw, isGiven(raw, "num_local_experts") ? "num_local_experts" : "num_experts");
  const topK = readCount(raw, "num_experts_per_tok");
  if (topK > count) {
    throw new ModalscopeError(
      `config.json asks for ${topK} experts for each token ("num_experts_per_tok").`,
      `There are ${count} ("num_experts").`,
    );
  }
  const hidden_act = readText(raw, "hidden_act");
  // An unknown one is an error now, not when the first expert runs.
  activation(hidden_act);
  const experts = { count, topK, expertDim: readCount(raw, "moe_intermediate_size"), hidden_act, ...own };
  const step = readCount(raw, "decoder_sparse_step");
  const dense = isGiven(raw, "mlp_only_layers") ? readIndices(raw, "mlp_only_layers") : [];
  return Array.from({ length: readCount(raw, "num_hidden_layers") }, (_, l) =>
    dense.includes(l) || (l + 1) % step !== 0 ? undefined : experts,
  );
}
