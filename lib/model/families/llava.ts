import { ModalscopeError } from "../../errors.js";
import { type Node, sliceFrom } from "../graph/index.js";
import { activation, type ModuleContext, mlp } from "../nn/index.js";
import { embedClip, parseClip } from "./clip.js";
import type { VisionConfig } from "./config.js";
import { type RawConfig, readCount, readField, type TextConfig } from "./config.js";
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
      readouts: [{ id: "projector", fromLayers: layers }],
      out_hidden_size: text.hidden_size,
      image_token_id: readCount(
        raw,
        raw.image_token_index === undefined ? "image_token_id" : "image_token_index",
        32_000,
      ),
      projector_hidden_act: readField(raw, "projector_hidden_act", "gelu"),
      multimodal_projector_bias: readField(raw, "multimodal_projector_bias", true),
      keepClassToken: keepsClassToken(raw),
    };
  },

  layer: (l) => `vision_tower.encoder.layers.${l}.`,
  embed: embedClip,
  block: (config, _layer, ctx, inputs) => vitBlock(config, ctx, inputs),
  readout: (config, _id, ctx, x) => project(config as LlavaConfig, ctx, x),
};

/** Leaves the class token out, unless the config keeps it, and projects every patch. */
function project(config: LlavaConfig, ctx: ModuleContext, x: Node): Node {
  const d = config.out_hidden_size;
  const patches = sliceFrom(x, -2, config.keepClassToken ? 0 : config.classTokens, "tokens");
  const names = ["multi_modal_projector.linear_1", "multi_modal_projector.linear_2"] as const;
  const act = activation(config.projector_hidden_act);
  return mlp(ctx, patches, names, d, act, { to: d, bias: config.multimodal_projector_bias });
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
  const given = readField<string>(raw, "vision_feature_select_strategy", "default");
  if (given === "default" || given === "full") return given === "full";
  throw new ModalscopeError(
    `config.json has "vision_feature_select_strategy": "${given}".`,
    'It must be "default" (without the class token) or "full".',
  );
}
