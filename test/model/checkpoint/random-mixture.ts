/** GGUF files of Qwen3-MoE's architecture with random weights, written piece by piece. */
import { closeSync, openSync, writeSync } from "node:fs";
import { layouts } from "../../../lib/model/checkpoint/numbers/dtypes.js";
import { seeded } from "../../../lib/random.js";
import { sizeOf } from "../../../lib/tensor.js";
import { ggufBytes } from "./build-files.js";

/** Lengths by their names in config.json. */
export interface MixtureShape {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly num_experts: number;
  readonly num_experts_per_tok: number;
  readonly moe_intermediate_size: number;
  readonly vocab_size: number;
  /** As the file says it (default qwen3moe). */
  readonly architecture?: string;
  /** Experts by the file's metadata, where these are to contradict its tensors. */
  readonly said_experts?: number;
}

export const TINY_MIXTURE: MixtureShape = {
  hidden_size: 64,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  num_experts: 6,
  num_experts_per_tok: 2,
  moe_intermediate_size: 32,
  vocab_size: 48,
};

export type MatrixType = "Q4_0" | "Q4_1" | "Q5_1" | "Q8_0";

/** ggml's number, the numbers' spread at scale 1 as a power of two, and whether a minimum follows the scale. */
const types: Readonly<Record<MatrixType, { number: number; spread: number; hasMin: boolean }>> = {
  Q4_0: { number: 2, spread: 2, hasMin: false },
  Q4_1: { number: 3, spread: 2, hasMin: true },
  Q5_1: { number: 7, spread: 3, hasMin: true },
  Q8_0: { number: 8, spread: 6, hasMin: false },
};

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: MatrixType | "ones" | "router";
}

/** Blocks of noise that are repeated: a prime number, so that rows differ. */
const NOISE_BLOCKS = 60_013;

/** Writes the file; equal shapes give equal files. `typeOf` is the type of a matrix by its GGUF name (default Q4_0). */
export function writeRandomMixture(
  path: string,
  shape: MixtureShape,
  typeOf: (name: string) => MatrixType = () => "Q4_0",
): void {
  const tensors = tensorsOf(shape, typeOf);
  const sizes = tensors.map(bytesOf);
  const starts: number[] = [];
  let end = 0;
  for (const size of sizes) {
    starts.push(end);
    end += Math.ceil(size / 32) * 32;
  }
  const listed = tensors.map(({ name, shape, type }, i) => ({
    name,
    dims: [...shape].reverse(),
    type: type === "ones" || type === "router" ? 0 : types[type].number,
    offset: starts[i],
  }));
  const header = ggufBytes({ metadata: metadataOf(shape), tensors: listed, dataBytes: 0 });
  const file = openSync(path, "w");
  try {
    writeSync(file, header, 0, header.length, 0);
    const noises = new Map<string, Uint8Array>();
    tensors.forEach(({ type }, i) => {
      const noise = noises.get(type) ?? noiseOf(type, shape.hidden_size);
      noises.set(type, noise);
      // Each tensor starts elsewhere in the noise, so that no two are equal.
      const block = noise.length / NOISE_BLOCKS;
      let from = ((i * 7919) % NOISE_BLOCKS) * block;
      for (let at = 0; at < sizes[i]; from = 0) {
        const length = Math.min(noise.length - from, sizes[i] - at);
        writeSync(file, noise, from, length, header.length + starts[i] + at);
        at += length;
      }
    });
    // The last tensor's padding.
    writeSync(file, new Uint8Array(1), 0, 1, header.length + end - 1);
  } finally {
    closeSync(file);
  }
}

function bytesOf({ shape, type }: Tensor): number {
  if (type === "ones" || type === "router") return 4 * sizeOf(shape);
  const { elements, bytes } = layouts[type];
  return (sizeOf(shape) / elements) * bytes;
}

/** Weights of a standard deviation of about 1 / √hidden. */
function noiseOf(type: Tensor["type"], hidden: number): Uint8Array {
  const random = seeded(11);
  if (type === "ones") return new Uint8Array(new Float32Array(NOISE_BLOCKS).fill(1).buffer);
  if (type === "router") {
    const numbers = Float32Array.from({ length: NOISE_BLOCKS }, () => random.normal() / Math.sqrt(hidden));
    return new Uint8Array(numbers.buffer);
  }
  const { bytes } = layouts[type];
  const { spread, hasMin } = types[type];
  const exponent = Math.round(-Math.log2(hidden) / 2) - spread;
  const noise = Uint8Array.from({ length: NOISE_BLOCKS * bytes }, () => random.int(256));
  // The upper bytes of float16 numbers: 2^exponent, and what makes the numbers' middle zero.
  const power = (n: number): number => (n + 15) << 2;
  for (let at = 0; at < noise.length; at += bytes) {
    noise[at + 1] = power(exponent);
    if (hasMin) noise[at + 3] = 128 | power(exponent + spread + 1);
  }
  return noise;
}

function metadataOf(shape: MixtureShape): NonNullable<Parameters<typeof ggufBytes>[0]["metadata"]> {
  const { architecture = "qwen3moe" } = shape;
  const own = (name: string): string => `${architecture}.${name}`;
  return [
    ["general.architecture", "string", architecture],
    [own("block_count"), "u32", shape.num_hidden_layers],
    [own("context_length"), "u32", 4096],
    [own("embedding_length"), "u32", shape.hidden_size],
    [own("feed_forward_length"), "u32", 3 * shape.hidden_size],
    [own("attention.head_count"), "u32", shape.num_attention_heads],
    [own("attention.head_count_kv"), "u32", shape.num_key_value_heads],
    [own("attention.key_length"), "u32", shape.head_dim],
    [own("attention.layer_norm_rms_epsilon"), "f32", 1e-6],
    [own("rope.freq_base"), "f32", 1e6],
    [own("expert_count"), "u32", shape.said_experts ?? shape.num_experts],
    [own("expert_used_count"), "u32", shape.num_experts_per_tok],
    [own("expert_feed_forward_length"), "u32", shape.moe_intermediate_size],
  ];
}

function tensorsOf(shape: MixtureShape, typeOf: (name: string) => MatrixType): Tensor[] {
  const { hidden_size: hidden, head_dim, num_experts: experts, moe_intermediate_size: inner } = shape;
  const queries = shape.num_attention_heads * head_dim;
  const keys = shape.num_key_value_heads * head_dim;
  const matrix = (name: string, ...lengths: number[]): Tensor => ({
    name,
    shape: lengths,
    type: typeOf(name),
  });
  const ones = (name: string, length: number): Tensor => ({ name, shape: [length], type: "ones" });
  const block = (l: number): Tensor[] => [
    ones(`blk.${l}.attn_norm.weight`, hidden),
    matrix(`blk.${l}.attn_q.weight`, queries, hidden),
    matrix(`blk.${l}.attn_k.weight`, keys, hidden),
    matrix(`blk.${l}.attn_v.weight`, keys, hidden),
    ones(`blk.${l}.attn_q_norm.weight`, head_dim),
    ones(`blk.${l}.attn_k_norm.weight`, head_dim),
    matrix(`blk.${l}.attn_output.weight`, hidden, queries),
    ones(`blk.${l}.ffn_norm.weight`, hidden),
    { name: `blk.${l}.ffn_gate_inp.weight`, shape: [experts, hidden], type: "router" },
    matrix(`blk.${l}.ffn_gate_exps.weight`, experts, inner, hidden),
    matrix(`blk.${l}.ffn_up_exps.weight`, experts, inner, hidden),
    matrix(`blk.${l}.ffn_down_exps.weight`, experts, hidden, inner),
  ];
  return [
    matrix("token_embd.weight", shape.vocab_size, hidden),
    ...Array.from({ length: shape.num_hidden_layers }, (_, l) => block(l)).flat(),
    ones("output_norm.weight", hidden),
    matrix("output.weight", shape.vocab_size, hidden),
  ];
}
