import { didYouMean, ModalscopeError } from "../../errors.js";
import type { RawConfig } from "./config.js";
import type { Family, VisionFamily } from "./family.js";
import { gemma3 } from "./gemma3.js";
import { gemma3Text } from "./gemma3_text.js";
import { gpt2 } from "./gpt2.js";
import { llama, mistral } from "./llama.js";
import { llava } from "./llava.js";
import { llavaNext } from "./llava_next.js";
import { multimodal, textPart } from "./multimodal.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";
import { qwen3Moe } from "./qwen3_moe.js";
import { qwen3Vl } from "./qwen3_vl.js";

const families: readonly Family[] = [qwen2, qwen3, qwen3Moe, llama, mistral, gemma3Text, gpt2];

/** Towers by the `model_type` of the whole; the language model is the one that `text_config` names. */
const towers: Readonly<Record<string, VisionFamily>> = {
  llava,
  llava_next: llavaNext,
  gemma3,
  qwen3_vl: qwen3Vl,
  qwen3_vl_moe: qwen3Vl,
};

/**
 * The architecture of a checkpoint, by its config's `model_type`.
 * @throws ModalscopeError naming the nearest one when it is not known
 */
export function familyOf(raw: RawConfig): Family {
  const modelType = String(raw.model_type);
  const tower = towers[modelType];
  if (tower) return multimodal(modelType, familyOf(textPart(raw)), tower);
  const family = families.find((f) => f.modelTypes.includes(modelType));
  if (family) return family;
  const known = [...families.flatMap((f) => f.modelTypes), ...Object.keys(towers)];
  throw new ModalscopeError(
    `The architecture "${modelType}" is not known.`,
    `Known are ${known.join(", ")}.`,
    didYouMean(modelType, known),
  );
}

export type { ReadoutId, TextConfig, VisionConfig, VisionReadout } from "./config.js";
export type { Family, VisionFamily } from "./family.js";
export { textPart } from "./multimodal.js";
export {
  buildPiece,
  type GraphModule,
  type GraphVariant,
  HEAD,
  hookPrefix,
  KEYS,
  type PieceId,
  pieces,
  type VisionPieceId,
  visionBlock,
  visionPieces,
  weightsOf,
} from "./pieces.js";
