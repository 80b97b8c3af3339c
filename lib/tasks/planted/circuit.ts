/**
 * A checkpoint built by hand whose answer comes from a circuit of two neurons, or past them. Its MLPs are ReLU layers, so
 * that their neurons are a transcoder without any error, and an attribution graph can be held against the truth.
 */
import type { Tensor } from "../../tensor.js";
import { PlantedWeights, range } from "./weights.js";

/**
 * - `two neurons`: block 0's neuron sees the cause and writes a note, block 1's attention carries the note to the last
 *   token, and there block 1's neuron reads it and writes the effect.
 * - `past them`: the same neuron sees the cause and writes its note, but nothing reads the note; block 1's attention carries
 *   the cause itself, and the head reads it as the effect. The answer is the same.
 */
export type PlantedCircuitKind = "two neurons" | "past them";

export interface PlantedCircuit {
  /** config.json of a GPT-2 layout. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Map<string, Tensor>;
  /** A prompt with the cause in it, and one without. */
  readonly prompt: readonly number[];
  readonly without: readonly number[];
  /** Column of the cause in the prompt. */
  readonly at: number;
  /** The token that follows the cause. */
  readonly effect: number;
  /** The planted neuron of each block. */
  readonly neurons: readonly [number, number];
  /** The neurons as transcoders: rows of W_enc and W_dec, with their biases, by block. */
  readonly transcoders: readonly Readonly<Record<"W_enc" | "W_dec" | "b_enc" | "b_dec", Tensor>>[];
}

const WIDTH = 32;
const INNER = 16;
const LAYERS = 2;
const VOCABULARY = 12;
const CAUSE = 4;
const EFFECT = 9;
/** Axes after the tokens' own. */
const NOTE = VOCABULARY;
const CARRIED = VOCABULARY + 1;
const ANSWER = VOCABULARY + 2;
const NEURONS = [3, 5] as const;
const NOISE = 0.01;

/** Builds a checkpoint; equal seeds give equal weights. */
export function plantedCircuit(kind: PlantedCircuitKind, seed = 0): PlantedCircuit {
  const made = new PlantedWeights(seed);
  made.normal("transformer.wte.weight", [VOCABULARY, WIDTH], NOISE);
  for (const token of range(0, VOCABULARY)) made.add("transformer.wte.weight", [token, token], 2);
  made.normal("transformer.wpe.weight", [32, WIDTH], NOISE);
  for (const layer of range(0, LAYERS)) plantBlock(made, layer);
  norm(made, "transformer.ln_f");
  made.normal("lm_head.weight", [VOCABULARY, WIDTH], NOISE);

  const [first, second] = NEURONS;
  const [reads, writes] = ["mlp.c_fc", "mlp.c_proj"].map(
    (part) => (l: number) => `transformer.h.${l}.${part}.weight`,
  );
  made.add(reads(0), [CAUSE, first], 2);
  made.add("transformer.h.0.mlp.c_fc.bias", [first], -2);
  // A louder note would drown the cause in the next norm.
  made.add(writes(0), [first, NOTE], 0.3);
  // Without scores every token before is attended to alike; the value's first dimension carries one axis.
  made.add("transformer.h.1.attn.c_attn.weight", [kind === "two neurons" ? NOTE : CAUSE, 2 * WIDTH], 3);
  made.add("transformer.h.1.attn.c_proj.weight", [0, CARRIED], 3);
  made.add(reads(1), [CARRIED, second], kind === "two neurons" ? 3 : 0);
  made.add("transformer.h.1.mlp.c_fc.bias", [second], -6);
  made.add(writes(1), [second, ANSWER], 3);
  made.add("lm_head.weight", [EFFECT, kind === "two neurons" ? ANSWER : CARRIED], 3);
  return {
    config: CONFIG,
    weights: made.tensors,
    prompt: [1, 6, CAUSE, 2, 7, 3],
    without: [1, 6, 8, 2, 7, 3],
    at: 2,
    effect: EFFECT,
    neurons: NEURONS,
    transcoders: range(0, LAYERS).map((l) => ({
      W_enc: transposed(made.tensors.get(reads(l))!),
      b_enc: made.tensors.get(`transformer.h.${l}.mlp.c_fc.bias`)!,
      W_dec: made.tensors.get(writes(l))!,
      b_dec: made.tensors.get(`transformer.h.${l}.mlp.c_proj.bias`)!,
    })),
  };
}

const CONFIG = {
  model_type: "gpt2",
  activation_function: "relu",
  layer_norm_epsilon: 1e-5,
  n_embd: WIDTH,
  n_head: 2,
  n_inner: INNER,
  n_layer: LAYERS,
  n_positions: 32,
  tie_word_embeddings: false,
  vocab_size: VOCABULARY,
};

/** A block of noise, whose other neurons answer weakly to anything. */
function plantBlock(made: PlantedWeights, layer: number): void {
  const name = (part: string): string => `transformer.h.${layer}.${part}`;
  norm(made, name("ln_1"));
  norm(made, name("ln_2"));
  made.normal(name("attn.c_attn.weight"), [WIDTH, 3 * WIDTH], NOISE);
  made.zeros(name("attn.c_attn.bias"), [3 * WIDTH]);
  made.normal(name("attn.c_proj.weight"), [WIDTH, WIDTH], NOISE);
  made.zeros(name("attn.c_proj.bias"), [WIDTH]);
  made.normal(name("mlp.c_fc.weight"), [WIDTH, INNER], 5 * NOISE);
  made.zeros(name("mlp.c_fc.bias"), [INNER]);
  made.normal(name("mlp.c_proj.weight"), [INNER, WIDTH], 5 * NOISE);
  made.normal(name("mlp.c_proj.bias"), [WIDTH], NOISE);
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
