/** Models made of others: config.json holds a config for the language model and one for the vision tower. */
import { ModalscopeError } from "../../errors.js";
import type { RawConfig } from "./config.js";
import type { Family, VisionFamily } from "./family.js";

/** What transformers takes where a nested config leaves a field out: checkpoints save only what differs. */
const textDefaults: Readonly<Record<string, RawConfig>> = {
  llama: {
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    max_position_embeddings: 2048,
  },
  mistral: {
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    max_position_embeddings: 131_072,
  },
  gemma3_text: {
    vocab_size: 262_208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 131_072,
  },
  qwen3_vl_text: {
    vocab_size: 151_936,
    hidden_size: 4096,
    intermediate_size: 22_016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    head_dim: 128,
    max_position_embeddings: 128_000,
  },
  qwen3_vl_moe_text: {
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    max_position_embeddings: 128_000,
  },
};

/** The config of the language model, whole; `config.json` itself for a model of one part. */
export function textPart(raw: RawConfig): RawConfig {
  const text = raw.text_config;
  if (text === undefined) return raw;
  if (typeof text !== "object" || text === null) {
    throw new ModalscopeError(
      `config.json has "text_config": ${JSON.stringify(text)}.`,
      "It must be an object.",
    );
  }
  const given: RawConfig = { model_type: "llama", ...text };
  // The outer field is the one that transformers goes by.
  const tied = raw.tie_word_embeddings ?? given.tie_word_embeddings;
  return {
    ...textDefaults[String(given.model_type)],
    ...given,
    ...(tied === undefined ? {} : { tie_word_embeddings: tied }),
  };
}

/** A language model that sees with a vision tower. */
export function multimodal(modelType: string, text: Family, vision: VisionFamily): Family {
  return {
    ...text,
    modelTypes: [modelType],
    vision,
    parse(raw) {
      const config = text.parse(textPart(raw));
      return { ...config, model_type: modelType, vision_config: vision.parse(raw, config) };
    },
  };
}
