/**
 * A checkpoint built by hand whose answer comes from a circuit of two neurons, or past them. Its MLPs are ReLU layers, so
 * that their neurons are a transcoder without any error, and an attribution graph can be held against the truth.
 */
import type { Tensor } from "../../tensor.js";
import {
  carry,
  type NeuronTranscoder,
  neuronNames,
  neuronTranscoders,
  plantNoise,
  reluConfig,
} from "./relu-blocks.js";
import { PlantedWeights } from "./weights.js";

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
  /** The neurons as transcoders, by block. */
  readonly transcoders: readonly NeuronTranscoder[];
}

const VOCABULARY = 12;
const CAUSE = 4;
const EFFECT = 9;
/** Axes after the tokens' own. */
const NOTE = VOCABULARY;
const CARRIED = VOCABULARY + 1;
const ANSWER = VOCABULARY + 2;
const NEURONS = [3, 5] as const;

/** Builds a checkpoint; equal seeds give equal weights. */
export function plantedCircuit(kind: PlantedCircuitKind, seed = 0): PlantedCircuit {
  const made = new PlantedWeights(seed);
  plantNoise(made, VOCABULARY);
  const [first, second] = NEURONS;
  const [below, above] = [0, 1].map(neuronNames);
  made.add(below.reads, [CAUSE, first], 2);
  made.add(below.biases, [first], -2);
  // A louder note would drown the cause in the next norm.
  made.add(below.writes, [first, NOTE], 0.3);
  carry(made, 0, kind === "two neurons" ? NOTE : CAUSE, CARRIED);
  made.add(above.reads, [CARRIED, second], kind === "two neurons" ? 3 : 0);
  made.add(above.biases, [second], -6);
  made.add(above.writes, [second, ANSWER], 3);
  made.add("lm_head.weight", [EFFECT, kind === "two neurons" ? ANSWER : CARRIED], 3);
  return {
    config: reluConfig(VOCABULARY),
    weights: made.tensors,
    prompt: [1, 6, CAUSE, 2, 7, 3],
    without: [1, 6, 8, 2, 7, 3],
    at: 2,
    effect: EFFECT,
    neurons: NEURONS,
    transcoders: neuronTranscoders(made),
  };
}
