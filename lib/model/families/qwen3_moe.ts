import { ModalscopeError } from "../../errors.js";
import { add, type Node } from "../graph/index.js";
import { activation, type Experts, gatedMlp, mixture } from "../nn/index.js";
import { type RawConfig, readCount, readField, textConfig } from "./config.js";
import type { Family } from "./family.js";
import { attended, ln2, type Qwen3Config, qwen3, rotaryDefaults, slidingWindow } from "./qwen3.js";

interface Qwen3MoeConfig extends Qwen3Config {
  /** By layer: its mixture of experts, or undefined where the block has one dense MLP. */
  readonly experts: readonly (Experts | undefined)[];
}

/** Qwen3-MoE, and the language model of Qwen3-VL-MoE: Qwen3's block with a mixture of experts for its MLP. */
export const qwen3Moe: Family = {
  ...qwen3,
  modelTypes: ["qwen3_moe", "qwen3_vl_moe_text"],

  parse(raw: RawConfig): Qwen3MoeConfig {
    const layers = readCount(raw, "num_hidden_layers");
    const sliding_window = slidingWindow(raw);
    // This family reads no max_window_layers and no layer_types: a window holds in every block.
    const type = sliding_window === null ? "full_attention" : "sliding_attention";
    const own = { num_key_value_heads: hasVision(raw) ? 16 : 4, ...rotaryDefaults(raw), ...raw };
    return {
      ...textConfig(own, { sliding_window, layer_types: new Array(layers).fill(type) }),
      attention_bias: readField(raw, "attention_bias", false),
      experts: expertsByLayer(raw, layers),
    };
  },

  experts: (config, layer) => (config as Qwen3MoeConfig).experts[layer],

  block(config, layer, ctx, inputs): Node {
    const mid = attended(config as Qwen3Config, ctx, inputs);
    const normed = ln2(config, ctx, mid);
    const experts = (config as Qwen3MoeConfig).experts[layer];
    if (experts) return mixture(ctx, mid, normed, experts);
    const fed = gatedMlp(ctx, normed, config.intermediate_size, activation(config.hidden_act));
    return add(mid, ctx.hook("hook_mlp_out", fed));
  },
};

function hasVision(raw: RawConfig): boolean {
  return raw.model_type === "qwen3_vl_moe_text";
}

function expertsByLayer(raw: RawConfig, layers: number): (Experts | undefined)[] {
  const vision = hasVision(raw);
  // transformers 5 writes num_local_experts, older releases num_experts.
  const size = readCount(
    { ...raw, num_experts: raw.num_experts ?? raw.num_local_experts },
    "num_experts",
    vision ? 60 : 128,
  );
  const perToken = readCount(raw, "num_experts_per_tok", vision ? 4 : 8);
  if (perToken > size) {
    throw new ModalscopeError(
      `config.json asks for ${perToken} experts for each token ("num_experts_per_tok").`,
      `There are ${size} ("num_experts").`,
    );
  }
  const hidden_act = readField<string>(raw, "hidden_act", "silu");
  // An unknown one is an error now, not when the first expert runs.
  activation(hidden_act);
  const experts: Experts = {
    count: size,
    topK: perToken,
    expertDim: readCount(raw, "moe_intermediate_size", vision ? 1408 : 768),
    normalised: vision || readField(raw, "norm_topk_prob", false),
    hidden_act,
    checkpointLayout: vision ? "linear" : "separate",
  };
  const step = readCount(raw, "decoder_sparse_step", 1);
  const dense = denseLayers(raw, layers);
  return Array.from({ length: layers }, (_, l) =>
    dense.includes(l) || (l + 1) % step !== 0 ? undefined : experts,
  );
}

function denseLayers(raw: RawConfig, layers: number): readonly number[] {
  const given = raw.mlp_only_layers ?? [];
  if (Array.isArray(given) && given.every((l) => Number.isInteger(l) && l >= 0 && l < layers)) return given;
  throw new ModalscopeError(
    `config.json has "mlp_only_layers": ${JSON.stringify(given).slice(0, 200)}.`,
    `It must list layers from 0 to ${layers - 1}.`,
  );
}
