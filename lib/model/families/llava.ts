import { ModalscopeError } from "../../errors.js";
import type { Node } from "../graph/node.js";
import { from } from "../graph/ops.js";
import { activation, mlp, type Scope } from "../nn/layers.js";
import { embedClip, parseClip } from "./clip.js";
import type { VisionConfig } from "./config.js";
import { count, field, type RawConfig, type TextConfig } from "./config.js";
import type { VisionFamily } from "./family.js";
import { vitBlock } from "./vit.js";

interface LlavaConfig extends VisionConfig {
  readonly projector_hidden_act: string;
  readonly multimodal_projector_bias: boolean;
}

/** LLaVA 1.5: CLIP's patches after the last block but one, through two layers, in the places of the image tokens. */
export const llava: VisionFamily = {
  parse(raw: RawConfig, text: TextConfig): LlavaConfig {
    const clip = parseClip((raw.vision_config ?? {}) as RawConfig);
    const layers = featureLayers(raw, clip.num_hidden_layers);
    return {
      ...clip,
      num_hidden_layers: Math.max(...layers) + 1,
      readouts: [{ id: "projector", after: layers }],
      out_hidden_size: text.hidden_size,
      image_token_id: count(
        raw,
        raw.image_token_index === undefined ? "image_token_id" : "image_token_index",
        32_000,
      ),
      projector_hidden_act: field(raw, "projector_hidden_act", "gelu"),
      multimodal_projector_bias: field(raw, "multimodal_projector_bias", true),
      keeps_class_tokens: keepsClassToken(raw),
    };
  },

  layer: (l) => `vision_tower.encoder.layers.${l}.`,
  embed: embedClip,
  block: (config, _layer, scope, inputs) => vitBlock(config, scope, inputs),
  readout: (config, _id, scope, x) => project(config as LlavaConfig, scope, x),
};

/** Leaves the class token out, unless the config keeps it, and projects every patch. */
function project(config: LlavaConfig, scope: Scope, x: Node): Node {
  const d = config.out_hidden_size;
  const patches = from(x, -2, config.keeps_class_tokens ? 0 : config.class_tokens, "tokens");
  const names = ["multi_modal_projector.linear_1", "multi_modal_projector.linear_2"] as const;
  const act = activation(config.projector_hidden_act);
  return mlp(scope, patches, names, d, act, { to: d, bias: config.multimodal_projector_bias });
}

/** `vision_feature_layer` counts hidden states: 0 is the embedding, −1 what the last block returns. */
function featureLayers(raw: RawConfig, layers: number): number[] {
  const given = raw.vision_feature_layer ?? -2;
  return (Array.isArray(given) ? given : [given]).map((n) => {
    const state = typeof n === "number" && n < 0 ? layers + 1 + n : n;
    if (Number.isInteger(state) && state >= 0 && state <= layers) return state - 1;
    throw new ModalscopeError(
      `config.json has "vision_feature_layer": ${JSON.stringify(given)}.`,
      `The tower has ${layers} blocks: hidden states 0 to ${layers}, or −1 to −${layers + 1}.`,
    );
  });
}

function keepsClassToken(raw: RawConfig): boolean {
  const given = field<string>(raw, "vision_feature_select_strategy", "default");
  if (given === "default" || given === "full") return given === "full";
  throw new ModalscopeError(
    `config.json has "vision_feature_select_strategy": "${given}".`,
    'It must be "default" (without the class token) or "full".',
  );
}
