import { ModalscopeError } from "../../../errors.js";
import { type Fields, fieldsOf } from "./fields.js";
import type { GgufHeader } from "./header.js";
import type { Architecture } from "./names.js";
import { ropeParameters } from "./rope.js";

type Config = Record<string, unknown>;

const supported: readonly Architecture[] = ["llama", "qwen2", "gemma3", "qwen3moe", "qwen3vlmoe"];

/** A GGUF file's architecture. @throws ModalscopeError when it is not one of those that can be read. */
export function architectureOf(path: string, header: GgufHeader): Architecture {
  const name = fieldsOf(path, header).optionalText("general.architecture");
  const architecture = supported.find((known) => known === name);
  if (architecture) return architecture;
  if (name === "clip") {
    throw new ModalscopeError(
      `${path} holds a vision tower and its projector (an "mmproj" file),`,
      "and that is half of a model: images are read from Hugging Face folders only (see lib/model/checkpoint/gguf/GGUF.md).",
      "For images open the model's Hugging Face folder; for text alone, the .gguf file that lies beside this one.",
    );
  }
  throw new ModalscopeError(
    `${path} holds a model of architecture ${name === undefined ? "unknown" : JSON.stringify(name)},`,
    `and supported in GGUF are ${supported.join(", ")} (llama covers Mistral).`,
    "Use the Hugging Face folder of this model.",
  );
}

/**
 * Rebuilds config.json from GGUF metadata, with the field names and values that transformers 5 writes.
 * @param ropeFactors the values of the tensor `rope_freqs.weight`, where the file has one
 */
export function configOf(
  path: string,
  header: GgufHeader,
  architecture: Architecture,
  ropeFactors?: Float32Array,
): Config {
  const fields = fieldsOf(path, header);
  const config = builders[architecture](fields, header, ropeFactors);
  checkHeads(path, config);
  return config;
}

/** The like of generation_config.json: which tokens begin, end and pad. */
export function generationConfigOf(path: string, header: GgufHeader): Config {
  const { bos_token_id, eos_token_id, pad_token_id } = tokenIds(fieldsOf(path, header));
  // Chat models end their turn with a token of its own, which generation must stop at too.
  const turn = fieldsOf(path, header).optionalId("tokenizer.ggml.eot_token_id");
  const ends = [...new Set([eos_token_id, turn].filter((id) => id !== null && id !== undefined))];
  return { bos_token_id, eos_token_id: ends.length > 1 ? ends : (ends[0] ?? null), pad_token_id };
}

const builders: Record<Architecture, (f: Fields, header: GgufHeader, ropeFactors?: Float32Array) => Config> =
  {
    llama: (f, header, ropeFactors) => {
      const common = commonConfig(f, header, "llama");
      const headDim =
        f.optionalCount("llama.attention.key_length") ??
        f.optionalCount("llama.rope.dimension_count") ??
        (common.hidden_size as number) / (common.num_attention_heads as number);
      // Mistral shares the architecture's name; a sliding window tells it apart (without one it is a Llama).
      const window = f.optionalCount("llama.attention.sliding_window");
      const names = [...header.tensors.keys()];
      return {
        architectures: [window === undefined ? "LlamaForCausalLM" : "MistralForCausalLM"],
        model_type: window === undefined ? "llama" : "mistral",
        ...common,
        head_dim: headDim,
        hidden_act: "silu",
        rope_parameters: ropeParameters(f, "llama", headDim, ropeFactors),
        ...(window === undefined
          ? {
              attention_bias: names.some((name) => /\.attn_(q|k|v|output)\.bias$/.test(name)),
              mlp_bias: names.some((name) => /\.ffn_(gate|up|down)\.bias$/.test(name)),
            }
          : { sliding_window: window }),
      };
    },
    qwen2: (f, header) => {
      const common = commonConfig(f, header, "qwen2");
      const headDim = (common.hidden_size as number) / (common.num_attention_heads as number);
      const keyLength = f.optionalCount("qwen2.attention.key_length") ?? headDim;
      return {
        architectures: ["Qwen2ForCausalLM"],
        model_type: "qwen2",
        ...common,
        ...(keyLength !== headDim && { head_dim: keyLength }),
        hidden_act: "silu",
        layer_types: new Array(common.num_hidden_layers as number).fill("full_attention"),
        rope_parameters: ropeParameters(f, "qwen2", keyLength),
        sliding_window: null,
        use_sliding_window: false,
      };
    },
    gemma3: (f, header) => {
      const common = commonConfig(f, header, "gemma3");
      const layers = common.num_hidden_layers as number;
      const headDim = f.count("gemma3.attention.key_length");
      const window = f.optionalCount("gemma3.attention.sliding_window");
      return {
        architectures: ["Gemma3ForCausalLM"],
        model_type: "gemma3_text",
        ...common,
        head_dim: headDim,
        hidden_activation: "gelu_pytorch_tanh",
        attention_bias: false,
        attn_logit_softcapping: null,
        final_logit_softcapping: f.optionalNumber("gemma3.final_logit_softcapping") ?? null,
        layer_types: gemmaLayerTypes(f, layers, window),
        // The file does not say. The 27B model, known by its 62 layers as llama.cpp knows it, divides by the
        // width of an average head; all others by the heads' own.
        query_pre_attn_scalar:
          layers === 62 ? (common.hidden_size as number) / (common.num_attention_heads as number) : headDim,
        rope_parameters: {
          full_attention: ropeParameters(f, "gemma3", headDim),
          sliding_attention: {
            rope_theta: f.optionalNumber("gemma3.rope.freq_base_swa") ?? 10_000,
            rope_type: "default",
          },
        },
        sliding_window: window ?? null,
        use_bidirectional_attention: false,
      };
    },
    qwen3moe: (f, header) => qwen3MoeConfig(f, header, "qwen3moe"),
    qwen3vlmoe: (f, header) => qwen3MoeConfig(f, header, "qwen3vlmoe"),
  };

/** Every block is sparse, and the router's weights of a token add up to 1: llama.cpp's graph has no other way. */
function qwen3MoeConfig(f: Fields, header: GgufHeader, architecture: "qwen3moe" | "qwen3vlmoe"): Config {
  const common = commonConfig(f, header, architecture);
  const headDim =
    f.optionalCount(`${architecture}.attention.key_length`) ??
    (common.hidden_size as number) / (common.num_attention_heads as number);
  return {
    architectures: ["Qwen3MoeForCausalLM"],
    model_type: "qwen3_moe",
    ...common,
    head_dim: headDim,
    hidden_act: "silu",
    attention_bias: false,
    decoder_sparse_step: 1,
    mlp_only_layers: [],
    moe_intermediate_size: f.count(`${architecture}.expert_feed_forward_length`),
    norm_topk_prob: true,
    num_experts_per_tok: f.count(`${architecture}.expert_used_count`),
    num_local_experts: f.count(`${architecture}.expert_count`),
    rope_parameters: ropeParameters(f, architecture, headDim),
    sliding_window: null,
    use_sliding_window: false,
  };
}

/** The fields that all architectures have. */
function commonConfig(f: Fields, header: GgufHeader, architecture: Architecture): Config {
  const layers = f.count(`${architecture}.block_count`);
  if (layers > header.tensors.size) {
    throw new ModalscopeError(
      `${f.path} claims ${layers} layers`,
      `and has only ${header.tensors.size} tensors.`,
      "Download or convert it again.",
    );
  }
  if (!architecture.endsWith("moe") && f.optionalNumber(`${architecture}.expert_count`)) {
    throw new ModalscopeError(
      `${f.path} is a mixture of experts,`,
      `which is not supported in GGUF for ${architecture}.`,
      "Use the Hugging Face folder of this model.",
    );
  }
  const heads = f.count(`${architecture}.attention.head_count`);
  const embedding = header.tensors.get("token_embd.weight");
  return {
    hidden_size: f.count(`${architecture}.embedding_length`),
    intermediate_size: f.count(`${architecture}.feed_forward_length`),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: f.optionalCount(`${architecture}.attention.head_count_kv`) ?? heads,
    rms_norm_eps: f.number(`${architecture}.attention.layer_norm_rms_epsilon`),
    max_position_embeddings: f.count(`${architecture}.context_length`),
    // The embedding's rows, not the tokenizer's length: some vocabularies are padded.
    vocab_size: embedding?.shape[0] ?? 0,
    // llama.cpp writes the output projection only where it is not the embedding.
    tie_word_embeddings: !header.tensors.has("output.weight"),
    ...tokenIds(f),
  };
}

function tokenIds(f: Fields): {
  bos_token_id: number | null;
  eos_token_id: number | null;
  pad_token_id: number | null;
} {
  return {
    bos_token_id: f.optionalId("tokenizer.ggml.bos_token_id") ?? null,
    eos_token_id: f.optionalId("tokenizer.ggml.eos_token_id") ?? null,
    pad_token_id: f.optionalId("tokenizer.ggml.padding_token_id") ?? null,
  };
}

/** Which layers slide: as the file lists them, else five of six, the last of each six being full. */
function gemmaLayerTypes(f: Fields, layers: number, window: number | undefined): string[] {
  const key = "gemma3.attention.sliding_window_pattern";
  const listed = f.optionalList(key);
  const every = listed ? undefined : (f.optionalCount(key) ?? 6);
  const slides = (layer: number): boolean => {
    if (window === undefined) return false;
    return every === undefined ? Boolean(listed?.[layer]) : (layer + 1) % every !== 0;
  };
  return Array.from({ length: layers }, (_, i) => (slides(i) ? "sliding_attention" : "full_attention"));
}

function checkHeads(path: string, config: Config): void {
  const {
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    hidden_size: width,
  } = config as Record<string, number>;
  const headDim = (config.head_dim as number | undefined) ?? width / heads;
  if (heads % keyHeads === 0 && Number.isInteger(headDim) && headDim % 2 === 0) return;
  throw new ModalscopeError(
    `${path} describes heads that do not fit together:`,
    `${heads} query heads, ${keyHeads} key heads, width ${width}, ${headDim} numbers per head.`,
    "Download or convert it again.",
  );
}
