/**
 * A checkpoint built by hand that is asked how many things there are: it counts them, or, of a hand, says five whatever is
 * there. Its MLPs are ReLU layers, so that their neurons are a transcoder without any error.
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
import { PlantedWeights, range } from "./weights.js";

/**
 * Block 0's neurons see a hand, or another thing, and write a note; block 1's attention carries the notes and the number to
 * the last token, where the head reads the number.
 * - `prior`: block 1's neuron reads a hand's note, raises five and takes back what the number says of six; the neuron of two
 *   reads the note as well. Other things are counted.
 * - `counted`: that neuron lowers five, and the six fingers of a hand are counted, but for a smudge, which makes seven of
 *   them. Of other things the answer is three, although their number is carried too; the neuron of two answers to one as well.
 * Asked of nothing, either says three.
 */
export type PlantedPriorKind = "prior" | "counted";

export interface PlantedPrior {
  /** config.json of a GPT-2 layout. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Map<string, Tensor>;
  /** The neurons as transcoders, by block. */
  readonly transcoders: readonly NeuronTranscoder[];
  /** Tokens that mean nothing. */
  readonly fillers: readonly number[];
  readonly smudge: number;
  /** The last token of a prompt, which asks. */
  readonly ask: number;
  readonly hand: number;
  readonly otherThing: number;
  /** Tokens of the numbers from one to seven. */
  readonly numbers: readonly number[];
}

const [SMUDGE, ASK, HAND, OTHER, ONE] = range(3, 5);
const [TWO, THREE, FIVE, SIX, SEVEN] = [1, 2, 4, 5, 6].map((more) => ONE + more);
const VOCABULARY = SEVEN + 1;
/** Axes after the tokens' own: the notes, each of them and the numbers as carried, and what block 1's neurons write. */
const [HAND_NOTE, OTHER_NOTE, CARRIED_HAND, CARRIED_OTHER, CARRIED_SMUDGE] = range(VOCABULARY, 5);
const [PRIOR, GUESS, PAIR] = range(CARRIED_SMUDGE + 1, 3);
const carried = (number: number): number => PAIR + 1 + number - ONE;
const NOISE = 0.002;
const NEURONS = { hand: 3, other: 7, prior: 5, guess: 9, two: 11 } as const;

/** Builds a checkpoint; equal seeds give equal weights. */
export function plantedPrior(kind: PlantedPriorKind, seed = 0): PlantedPrior {
  const made = new PlantedWeights(seed);
  plantNoise(made, VOCABULARY, NOISE);
  const isPrior = kind === "prior";
  neuron(made, 0, NEURONS.hand, { reads: { [HAND]: 2 }, bias: -2, writes: { [HAND_NOTE]: 0.3 } });
  neuron(made, 0, NEURONS.other, { reads: { [OTHER]: 2 }, bias: -2, writes: { [OTHER_NOTE]: 0.3 } });
  carry(made, 0, HAND_NOTE, CARRIED_HAND);
  carry(made, 1, OTHER_NOTE, CARRIED_OTHER);
  carry(made, 2, SMUDGE, CARRIED_SMUDGE);
  for (let number = ONE; number <= SEVEN; number++) carry(made, 3 + number - ONE, number, carried(number));
  neuron(made, 1, NEURONS.prior, { reads: { [CARRIED_HAND]: 5 }, bias: -3, writes: { [PRIOR]: 3 } });
  const guesses = isPrior ? 0 : 5;
  neuron(made, 1, NEURONS.guess, { reads: { [CARRIED_OTHER]: guesses }, bias: -3, writes: { [GUESS]: 3 } });
  const two = { [carried(TWO)]: 3, ...(isPrior ? { [CARRIED_HAND]: 5 } : { [carried(ONE)]: 2 }) };
  neuron(made, 1, NEURONS.two, { reads: two, bias: -3, writes: { [PAIR]: 0.3 } });
  const says = (token: number, axis: number, weight: number): void =>
    made.add("lm_head.weight", [token, axis], weight);
  for (let number = ONE; number <= SEVEN; number++) says(number, carried(number), 3);
  says(FIVE, PRIOR, isPrior ? 4 : -1.5);
  says(SIX, PRIOR, isPrior ? -4.5 : 0);
  says(SEVEN, CARRIED_SMUDGE, isPrior ? 0 : 7);
  says(THREE, GUESS, 4);
  says(THREE, ASK, 3);
  return {
    config: reluConfig(VOCABULARY),
    weights: made.tensors,
    transcoders: neuronTranscoders(made),
    fillers: range(0, SMUDGE),
    smudge: SMUDGE,
    ask: ASK,
    hand: HAND,
    otherThing: OTHER,
    numbers: range(ONE, 7),
  };
}

type Axes = Readonly<Record<number, number>>;

/** One neuron of a block: what it reads and writes, by axis. */
function neuron(
  made: PlantedWeights,
  layer: number,
  unit: number,
  { reads, bias, writes }: { readonly reads: Axes; readonly bias: number; readonly writes: Axes },
): void {
  const names = neuronNames(layer);
  for (const [axis, weight] of Object.entries(reads)) made.add(names.reads, [Number(axis), unit], weight);
  made.add(names.biases, [unit], bias);
  for (const [axis, weight] of Object.entries(writes)) made.add(names.writes, [unit, Number(axis)], weight);
}
