/** llama.cpp's tensor names ↔ Hugging Face's, for the architectures that are supported. */
import { ModalscopeError } from "../../../errors.js";
import type { WeightInfo } from "../checkpoint.js";

/** GGUF architectures that `openCheckpoint` reads. */
export type Architecture = "llama" | "qwen2" | "gemma3" | "qwen3moe" | "qwen3vlmoe";

/**
 * Names of a layer's modules: after `blk.N.` in GGUF, after `model.layers.N.` in Hugging Face. With a `*` in it, the name is
 * that of one expert's module, and the tensor has those of all experts along its first axis.
 */
type LayerNames = Readonly<Record<string, string>>;

const attention: LayerNames = {
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
};

const projections: LayerNames = {
  ...attention,
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

const preNorms: LayerNames = { attn_norm: "input_layernorm", ffn_norm: "post_attention_layernorm" };

const queryKeyNorms: LayerNames = { attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" };

const qwen3moe: LayerNames = {
  ...attention,
  ...preNorms,
  ...queryKeyNorms,
  ffn_gate_inp: "mlp.gate",
  ffn_gate_exps: "mlp.experts.*.gate_proj",
  ffn_up_exps: "mlp.experts.*.up_proj",
  ffn_down_exps: "mlp.experts.*.down_proj",
};

const layerNames: Readonly<Record<Architecture, LayerNames>> = {
  llama: { ...projections, ...preNorms },
  qwen2: { ...projections, ...preNorms },
  gemma3: {
    ...projections,
    ...queryKeyNorms,
    attn_norm: "input_layernorm",
    post_attention_norm: "post_attention_layernorm",
    ffn_norm: "pre_feedforward_layernorm",
    post_ffw_norm: "post_feedforward_layernorm",
  },
  qwen3moe,
  // Its language model alone; where every token is text, its rotary embedding is Qwen3's.
  qwen3vlmoe: qwen3moe,
};

const modelNames: Readonly<Record<string, string>> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

/** Tensors that no weight comes from: `rope_freqs` goes into the configuration, the other is never used. */
const notWeights = /^(rope_freqs\.weight|blk\.\d+\.attn_rot_embd\.weight)$/;

/** Projections that have biases in every model of the architecture. */
const biased: Readonly<Record<Architecture, readonly string[]>> = {
  llama: [],
  qwen2: ["attn_q", "attn_k", "attn_v"],
  gemma3: [],
  qwen3moe: [],
  qwen3vlmoe: [],
};

/**
 * Hugging Face's name of each tensor that holds a weight; with a `*` for the expert's number, of each that stacks experts.
 * @throws ModalscopeError for a tensor that the architecture does not have, or lacks.
 */
export function huggingFaceNames(
  path: string,
  architecture: Architecture,
  tensors: ReadonlyMap<string, unknown>,
  layers: number,
): Map<string, string> {
  const names = new Map<string, string>();
  for (const tensor of tensors.keys()) {
    if (notWeights.test(tensor)) continue;
    const name = huggingFaceName(architecture, tensor, layers);
    if (name === undefined) {
      throw new ModalscopeError(
        `${path} holds the tensor "${tensor}",`,
        `which a ${architecture} model of ${layers} layers does not have: it may be a mixture of experts, or carry an adapter.`,
        "Use the Hugging Face folder of this model.",
      );
    }
    names.set(tensor, name);
  }
  for (const tensor of required(architecture, layers)) {
    if (!names.has(tensor)) {
      throw new ModalscopeError(
        `${path} lacks the tensor "${tensor}"`,
        `of a ${architecture} model of ${layers} layers.`,
        "Download or convert it again.",
      );
    }
  }
  return names;
}

function huggingFaceName(architecture: Architecture, tensor: string, layers: number): string | undefined {
  if (Object.hasOwn(modelNames, tensor)) return modelNames[tensor];
  const [, layer, module, kind] = /^blk\.(0|[1-9]\d*)\.(\w+)\.(weight|bias)$/.exec(tensor) ?? [];
  const names = layerNames[architecture];
  if (module === undefined || Number(layer) >= layers || !Object.hasOwn(names, module)) return undefined;
  if (kind === "bias" && module.endsWith("norm")) return undefined;
  return `model.layers.${layer}.${names[module]}.${kind}`;
}

function* required(architecture: Architecture, layers: number): Iterable<string> {
  yield "token_embd.weight";
  yield "output_norm.weight";
  for (let layer = 0; layer < layers; layer++) {
    for (const module of Object.keys(layerNames[architecture])) yield `blk.${layer}.${module}.weight`;
    for (const module of biased[architecture]) yield `blk.${layer}.${module}.bias`;
  }
}

/** Inverse of llama.cpp's conversion of a tensor; see `WeightInfo.inverse`. */
export function inverseOf(
  architecture: Architecture,
  tensor: string,
  heads: { readonly query: number; readonly key: number },
): WeightInfo["inverse"] {
  if (architecture === "llama" && /\.attn_[qk]\./.test(tensor)) {
    return { kind: "unpermute", heads: tensor.includes(".attn_q.") ? heads.query : heads.key };
  }
  if (architecture === "gemma3" && tensor.endsWith("norm.weight")) return { kind: "subtractOne" };
  return undefined;
}
