/** A multi-label loss on visual tokens: which words are true of what each one shows. */
import { seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import { input, type Node, ops, weight } from "../graph/index.js";

export interface LabelLoss {
  /** Number of words that may be true of a token. */
  readonly words: number;
  /** Factor of this loss beside the cross-entropy. */
  readonly coefficient: number;
  /** Train the tower and what reads it by this loss alone: no language model is computed. */
  readonly alone?: boolean;
}

/** Names of the weights that only this loss reads; they are no part of a checkpoint. */
export const LABEL_WEIGHTS = {
  gain: "labels.norm.weight",
  matrix: "labels.linear.weight",
  bias: "labels.linear.bias",
} as const;

const EPSILON = 1e-6;
/** Logits of a few words in a hundred, which is about how many are true of a token. */
const FIRST_BIAS = -4;
const FIRST_DEVIATION = 0.02;

/**
 * Binary cross-entropy with logits, summed over words and averaged over visual tokens, nats; the logits come from an
 * RMS norm and one linear layer.
 * @param features (seen, hidden_size)
 */
export function labelLoss(features: Node, hiddenSize: number, { words }: LabelLoss): Node {
  const power = ops.mean(ops.mul(features, features), [-1], true);
  const normalized = ops.div(features, ops.sqrt(ops.add(power, EPSILON)));
  const logits = ops.linear(
    ops.mul(normalized, weight(LABEL_WEIGHTS.gain, [hiddenSize])),
    weight(LABEL_WEIGHTS.matrix, [words, hiddenSize]),
    weight(LABEL_WEIGHTS.bias, [words]),
  );
  const truth = input("labels", ["seen", words]);
  // max(z, 0) − z·y + log(1 + exp(−|z|)) does not overflow.
  const positive = ops.relu(logits);
  const size = ops.add(positive, ops.relu(ops.neg(logits)));
  const entropy = ops.add(
    ops.sub(positive, ops.mul(logits, truth)),
    ops.log(ops.add(ops.exp(ops.neg(size)), 1)),
  );
  return ops.sum(ops.mul(entropy, input("label shares", ["seen", 1])), [-1, -2]);
}

/** First values of the weights that only this loss reads. */
export function initialLabelWeights(hiddenSize: number, words: number, seed: number): Map<string, Tensor> {
  const random = seeded(seed);
  const matrix = Float32Array.from({ length: words * hiddenSize }, () => FIRST_DEVIATION * random.normal());
  return new Map<string, Tensor>([
    [LABEL_WEIGHTS.gain, { data: new Float32Array(hiddenSize).fill(1), shape: [hiddenSize] }],
    [LABEL_WEIGHTS.matrix, { data: matrix, shape: [words, hiddenSize] }],
    [LABEL_WEIGHTS.bias, { data: new Float32Array(words).fill(FIRST_BIAS), shape: [words] }],
  ]);
}
