/** GPT-2 blocks of noise for checkpoints that are built by hand: their ReLU neurons are a transcoder without any error. */
import type { Tensor } from "../../tensor.js";
import { type PlantedWeights, range } from "./weights.js";

const WIDTH = 32;
const NOISE = 0.01;
const INNER = 16;
const LAYERS = 2;

/** Neurons as a transcoder: rows of W_enc and W_dec, with their biases. */
export type NeuronTranscoder = Readonly<Record<"W_enc" | "W_dec" | "b_enc" | "b_dec", Tensor>>;

/** config.json of two blocks with two heads. */
export function reluConfig(vocabulary: number): Readonly<Record<string, unknown>> {
  return {
    model_type: "gpt2",
    activation_function: "relu",
    layer_norm_epsilon: 1e-5,
    n_embd: WIDTH,
    n_head: 2,
    n_inner: INNER,
    n_layer: LAYERS,
    n_positions: 32,
    tie_word_embeddings: false,
    vocab_size: vocabulary,
  };
}

/** Embeddings with an axis for each token, blocks of noise, and a head of noise. */
export function plantNoise(made: PlantedWeights, vocabulary: number, noise: number = NOISE): void {
  made.normal("transformer.wte.weight", [vocabulary, WIDTH], noise);
  for (const token of range(0, vocabulary)) made.add("transformer.wte.weight", [token, token], 2);
  made.normal("transformer.wpe.weight", [32, WIDTH], noise);
  for (const layer of range(0, LAYERS)) plantBlock(made, layer, noise);
  norm(made, "transformer.ln_f");
  made.normal("lm_head.weight", [vocabulary, WIDTH], noise);
}

/** Names of what a block's neurons read and write. */
export const neuronNames = (layer: number): Readonly<Record<"reads" | "biases" | "writes", string>> => ({
  reads: `transformer.h.${layer}.mlp.c_fc.weight`,
  biases: `transformer.h.${layer}.mlp.c_fc.bias`,
  writes: `transformer.h.${layer}.mlp.c_proj.weight`,
});

/** Block 1's attention attends to every token before alike: its head's value `dimension` carries one axis to another. */
export function carry(made: PlantedWeights, dimension: number, from: number, to: number): void {
  made.add("transformer.h.1.attn.c_attn.weight", [from, 2 * WIDTH + dimension], 3);
  made.add("transformer.h.1.attn.c_proj.weight", [dimension, to], 3);
}

/** The neurons of each block as transcoders. */
export function neuronTranscoders({ tensors }: PlantedWeights): NeuronTranscoder[] {
  return range(0, LAYERS).map((l) => {
    const { reads, biases, writes } = neuronNames(l);
    return {
      W_enc: transposed(tensors.get(reads)!),
      b_enc: tensors.get(biases)!,
      W_dec: tensors.get(writes)!,
      b_dec: tensors.get(`transformer.h.${l}.mlp.c_proj.bias`)!,
    };
  });
}

/** A block of noise, whose neurons answer weakly to anything. */
function plantBlock(made: PlantedWeights, layer: number, noise: number): void {
  const name = (part: string): string => `transformer.h.${layer}.${part}`;
  norm(made, name("ln_1"));
  norm(made, name("ln_2"));
  made.normal(name("attn.c_attn.weight"), [WIDTH, 3 * WIDTH], noise);
  made.zeros(name("attn.c_attn.bias"), [3 * WIDTH]);
  made.normal(name("attn.c_proj.weight"), [WIDTH, WIDTH], noise);
  made.zeros(name("attn.c_proj.bias"), [WIDTH]);
  made.normal(name("mlp.c_fc.weight"), [WIDTH, INNER], 5 * noise);
  made.zeros(name("mlp.c_fc.bias"), [INNER]);
  made.normal(name("mlp.c_proj.weight"), [INNER, WIDTH], 5 * noise);
  made.normal(name("mlp.c_proj.bias"), [WIDTH], noise);
}

function norm(made: PlantedWeights, name: string): void {
  made.ones(`${name}.weight`, WIDTH);
  made.zeros(`${name}.bias`, [WIDTH]);
}

/** (from, to) → (to, from). */
function transposed({ data, shape: [from, to] }: Tensor): Tensor {
  const out = new Float32Array(data.length);
  for (let i = 0; i < from; i++) for (let j = 0; j < to; j++) out[j * from + i] = data[i * to + j];
  return { data: out, shape: [to, from] };
}
