/** Architectures: config.json to a family, and a family's pieces as graphs. */
import { didYouMean, ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";
import { withDefaults } from "./defaults.js";
import type { Family, VisionFamily } from "./family.js";
import type { RawConfig } from "./fields.js";
import { gemma3 } from "./gemma3.js";
import { gemma3Text } from "./gemma3_text.js";
import { gpt2 } from "./gpt2.js";
import { llama, mistral } from "./llama.js";
import { llava } from "./llava.js";
import { llavaNext } from "./llava_next.js";
import { multimodal, textConfigOf } from "./multimodal.js";
import { qwen2 } from "./qwen2.js";
import { qwen3, qwen3VlText } from "./qwen3.js";
import { qwen3Moe, qwen3VlMoeText } from "./qwen3_moe.js";
import { qwen3Vl, qwen3VlMoe } from "./qwen3_vl.js";

const FAMILIES: readonly Family[] = [
  qwen2,
  qwen3,
  qwen3VlText,
  qwen3Moe,
  qwen3VlMoeText,
  llama,
  mistral,
  gemma3Text,
  gpt2,
];

/** Towers by the `model_type` of the whole model. */
const TOWERS: Readonly<Record<string, VisionFamily>> = {
  llava,
  llava_next: llavaNext,
  gemma3,
  qwen3_vl: qwen3Vl,
  qwen3_vl_moe: qwen3VlMoe,
};

/**
 * The architecture of a checkpoint, by its config's `model_type`.
 * @throws ModalscopeError naming the nearest one when it is not implemented
 */
export function familyOf(raw: RawConfig): Family {
  const modelType = String(raw.model_type);
  const tower = own(TOWERS, modelType);
  return tower ? multimodal(modelType, languageModel(textConfigOf(raw, tower)), tower) : languageModel(raw);
}

function languageModel(raw: RawConfig): Family {
  const modelType = String(raw.model_type);
  const family = FAMILIES.find((f) => f.modelTypes.includes(modelType));
  if (family) return family;
  const known = [...FAMILIES.flatMap((f) => f.modelTypes), ...Object.keys(TOWERS)];
  throw new ModalscopeError(
    `The architecture "${modelType}" is not implemented.`,
    `Implemented are ${known.join(", ")}.`,
    didYouMean(modelType, known),
  );
}

/** The language model's part of config.json, with the defaults of fields that it leaves out. */
export function textPart(raw: RawConfig): RawConfig {
  const tower = own(TOWERS, String(raw.model_type));
  return withDefaults(tower ? textConfigOf(raw, tower) : raw);
}

export type { ReadoutId, TextConfig, VisionConfig, VisionReadout } from "./config.js";
export type { Family, VisionFamily } from "./family.js";
export {
  AFTER_MLP,
  buildPiece,
  type GraphModule,
  type GraphVariant,
  HEAD,
  hookPrefix,
  KEYS,
  NEW_KEYS,
  type PieceId,
  pieces,
  type VisionPieceId,
  visionBlock,
  visionPieces,
  weightsOf,
} from "./pieces.js";
