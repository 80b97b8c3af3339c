import { didYouMean, ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";
import { type Node, sliceFrom } from "../graph/index.js";
import { activation, type ModuleContext, mlp } from "../nn/index.js";
import { clip } from "./clip.js";
import type { VisionConfig, VisionReadout } from "./config.js";
import { LLAVA_TOWER } from "./defaults.js";
import type { VisionFamily } from "./family.js";
import { isGiven, type RawConfig, readFlag, readPart, readText } from "./fields.js";
import { imageTokenId } from "./multimodal.js";
import { siglip } from "./siglip.js";
import { type Tower, vitBlock } from "./vit.js";

interface LlavaConfig extends VisionConfig {
  readonly projector_hidden_act: string;
  readonly multimodal_projector_bias: boolean;
}

/** Towers by the `model_type` of `vision_config`. */
const TOWERS: Readonly<Record<string, Tower>> = { clip_vision_model: clip, siglip_vision_model: siglip };

/** LLaVA 1.5: patches of CLIP or SigLIP after the last block but one, through two layers, in the places of the image tokens. */
export const llava: VisionFamily<LlavaConfig> = {
  text: { modelType: "llama", fixed: false },
  textMayTie: true,

  parse(raw, text) {
    const vision = isGiven(raw, "vision_config")
      ? { model_type: LLAVA_TOWER.model_type, ...readPart(raw, "vision_config") }
      : LLAVA_TOWER;
    const tower = towerOf(vision).parse(vision);
    const layers = featureLayers(raw, tower.num_hidden_layers);
    return {
      ...tower,
      num_hidden_layers: Math.max(...layers) + 1,
      readouts: [{ id: "projector", fromLayers: layers }],
      out_hidden_size: text.hidden_size,
      image_token_id: imageTokenId(raw),
      projector_hidden_act: readText(raw, "projector_hidden_act"),
      multimodal_projector_bias: readFlag(raw, "multimodal_projector_bias"),
      skippedTokens: skippedTokens(raw),
    };
  },

  layer: (l) => `vision_tower.encoder.layers.${l}.`,
  embed: (config, ctx, inputs) => towerOf(config).embed(config, ctx, inputs),
  block: (config, _layer, ctx, inputs) => vitBlock(config, ctx, inputs),
  readout: (config, _id, ctx, x) => project(config, ctx, x),
};

function towerOf({ model_type }: { readonly model_type?: unknown }): Tower {
  const name = String(model_type);
  const tower = own(TOWERS, name);
  if (tower) return tower;
  const known = Object.keys(TOWERS);
  throw new ModalscopeError(
    `config.json has a vision tower of the model type "${name}".`,
    `Implemented are ${known.join(", ")}.`,
    didYouMean(name, known),
  );
}

/** Projects every token of the tower but those that are skipped: (batch, tokens, out_hidden_size). */
function project(config: LlavaConfig, ctx: ModuleContext, x: Node): Node {
  const d = config.out_hidden_size;
  const tokens = sliceFrom(x, -2, config.skippedTokens, "tokens"); // (batch, tokens, hidden_size · streams)
  const names = ["multi_modal_projector.linear_1", "multi_modal_projector.linear_2"] as const;
  const act = activation(config.projector_hidden_act);
  return mlp(ctx, tokens, names, { hidden: d, act, to: d, bias: config.multimodal_projector_bias });
}

/** `vision_feature_layer` counts hidden states: 0 is the embedding, −1 what the last block returns. */
function featureLayers(
  raw: RawConfig,
  layers: number,
): Extract<VisionReadout["fromLayers"], readonly number[]> {
  const given = raw.vision_feature_layer;
  const states: unknown[] = Array.isArray(given) ? given : [given];
  return states.map((n) => {
    const state = typeof n === "number" && n < 0 ? layers + 1 + n : n;
    if (typeof state === "number" && Number.isInteger(state) && state >= 0 && state <= layers)
      return state - 1;
    throw new ModalscopeError(
      `config.json has "vision_feature_layer": ${JSON.stringify(given)}.`,
      `The tower has ${layers} blocks: hidden states 0 to ${layers}, or −1 to −${layers + 1}.`,
    );
  });
}

/** `default` leaves the tower's first token out, whatever it is; `full` keeps all. */
function skippedTokens(raw: RawConfig): number {
  const given = readText(raw, "vision_feature_select_strategy");
  if (given === "default" || given === "full") return given === "full" ? 0 : 1;
  throw new ModalscopeError(
    `config.json has "vision_feature_select_strategy": "${given}".`,
    'It must be "default" (without the first token) or "full".',
  );
}
