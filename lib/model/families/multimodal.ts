/** Vision-language models: config.json holds a config for the language model and one for the vision tower. */
import { withDefaults } from "./defaults.js";
import type { Family, VisionFamily } from "./family.js";
import { isGiven, type RawConfig, readFlag, readIndex, readPart } from "./fields.js";

/** Config of the language model, with its `model_type`. */
export function textConfigOf(raw: RawConfig, { text }: VisionFamily): RawConfig {
  const given = readPart(raw, "text_config");
  return text.fixed ? { ...given, model_type: text.modelType } : { model_type: text.modelType, ...given };
}

/** A language model with a vision tower. */
export function multimodal(modelType: string, text: Family, vision: VisionFamily): Family {
  return {
    ...text,
    modelTypes: [modelType],
    vision,
    parse(raw) {
      const fields = withDefaults(raw);
      const config = text.parse(textConfigOf(raw, vision));
      return {
        ...config,
        model_type: modelType,
        tie_word_embeddings: ties(fields) || (vision.textMayTie === true && config.tie_word_embeddings),
        vision_config: vision.parse(fields, config),
      };
    },
  };
}

/** The whole model's `tie_word_embeddings` is the one that transformers goes by. */
function ties(fields: RawConfig): boolean {
  return isGiven(fields, "tie_word_embeddings") && readFlag(fields, "tie_word_embeddings");
}

/** `image_token_id`, or by its older name `image_token_index`. */
export function imageTokenId(fields: RawConfig): number {
  return readIndex(fields, isGiven(fields, "image_token_id") ? "image_token_id" : "image_token_index");
}
