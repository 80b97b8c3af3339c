/**
 * Readings of next-token distributions inside the graph of the head: the vocabulary's logits never come to JavaScript.
 * The head reads several states at each position (the stream after every block, say), the states side by side.
 */
import type { Tensor } from "../../tensor.js";
import { type Engine, runSession } from "../engine/index.js";
import { buildPiece, HEAD } from "../families/index.js";
import { input, type Node, ops } from "../graph/index.js";
import { checkTokens } from "./check-tokens.js";

/** Quantities read at each position, at all of its states. */
export interface DistributionRequest {
  /** By position, tokens whose probability is read, as many everywhere; the first one's rank is read too. */
  readonly ids: readonly (readonly number[])[];
  /** How many of the tokens that are likeliest at any of the states from `topFrom` on. */
  readonly top: number;
  readonly topFrom: number;
  /** Logits (positions, vocabulary) of distributions that every state is compared with. */
  readonly references: readonly Tensor[];
  /** How many of the states, the last ones, are not read themselves but compared with, as references are. */
  readonly referenceStates: number;
}

/** Readings of positions × states. Probabilities are of all tokens; entropies and divergences are in bits. */
export interface DistributionReadings {
  /** (positions, states, ids) */
  readonly probability: Tensor;
  /** (positions, states): place of the first id among all tokens; 1 is the likeliest. */
  readonly rank: Tensor;
  /** (positions, states) */
  readonly entropy: Tensor;
  /** (positions, states − 1): Jensen–Shannon divergence of neighbouring states. */
  readonly change: Tensor;
  /** By reference, those given as logits first, (positions, states): Jensen–Shannon divergence from it. */
  readonly distances: readonly Tensor[];
  /** (positions, top): token ids, the likeliest first. */
  readonly topIds: Tensor;
  /** (positions, states, top) */
  readonly topProbability: Tensor;
}

/**
 * Readings of states (positions, states, hidden_size) through the final norm and the language head.
 * @throws ModalscopeError for an id outside the vocabulary
 */
export async function readDistributions(
  engine: Engine,
  states: Tensor,
  { ids, top, topFrom, references, referenceStates }: DistributionRequest,
): Promise<DistributionReadings> {
  const [positions, all] = states.shape;
  const depth = all - referenceStates;
  const each = ids[0].length;
  checkTokens(ids.flat(), engine.config.vocab_size);
  const spec = { depth, each, top, topFrom, references: references.length, referenceStates };
  const feeds: Record<string, Tensor | Tensor<BigInt64Array>> = {
    x: states,
    ids: {
      data: BigInt64Array.from(
        ids.flatMap((own) => new Array<readonly number[]>(depth).fill(own).flat()),
        BigInt,
      ),
      shape: [positions, depth, each],
    },
  };
  references.forEach((logits, i) => {
    feeds[`reference ${i}`] = { data: logits.data, shape: [positions, 1, logits.shape[1]] };
  });
  const names = ["probability", "rank", "entropy", ...(depth > 1 ? ["change"] : [])];
  const distances = Array.from({ length: references.length + referenceStates }, (_, i) => `distance ${i}`);
  const wanted = [...names, ...distances, ...(top > 0 ? ["topIds", "topProbability"] : [])];
  const request = {
    key: `distributions ${JSON.stringify(spec)}`,
    build: () => readings(engine, spec),
    prepack: false,
  };
  const found = await engine.pool.use(request, (session) => runSession(engine, session, feeds, wanted));
  const empty = (...shape: number[]): Tensor => ({ data: new Float32Array(0), shape });
  return {
    probability: found.probability,
    rank: found.rank,
    entropy: found.entropy,
    change: found.change ?? empty(positions, 0),
    distances: distances.map((name) => found[name]),
    topIds: top > 0 ? found.topIds : empty(positions, 0),
    topProbability: top > 0 ? found.topProbability : empty(positions, depth, 0),
  };
}

interface Spec {
  readonly depth: number;
  readonly each: number;
  readonly top: number;
  readonly topFrom: number;
  readonly references: number;
  readonly referenceStates: number;
}

function readings({ family, config }: Engine, spec: Spec): Record<string, Node> {
  const { depth, each, top, topFrom, referenceStates } = spec;
  const x = input("x", ["positions", depth + referenceStates, config.hidden_size]);
  const all = buildPiece(family, config, HEAD, {}, x).out; // (positions, states, vocabulary)
  const logits = referenceStates === 0 ? all : ops.slice(all, 1, 0, depth);
  const read = distribution(logits);
  const { logP, p, entropy } = read;
  const ids = input("ids", ["positions", depth, each], "int64");
  const first = ops.gatherElements(logits, ops.slice(ids, -1, 0, 1));
  const outputs: Record<string, Node> = {
    probability: ops.gatherElements(p, ids),
    rank: ops.add(ops.sum(ops.step(ops.sub(logits, first)), [-1]), 1),
    entropy,
  };
  const states = (from: number, to: number): Distribution => ({
    logP: ops.slice(logP, 1, from, to),
    p: ops.slice(p, 1, from, to),
  });
  if (depth > 1) outputs.change = jensenShannon(states(0, depth - 1), states(1, depth));
  const references = [
    ...Array.from({ length: spec.references }, (_, i) =>
      input(`reference ${i}`, ["positions", 1, config.vocab_size]),
    ),
    ...Array.from({ length: referenceStates }, (_, i) => ops.slice(all, 1, depth + i, depth + i + 1)),
  ];
  references.forEach((reference, i) => {
    outputs[`distance ${i}`] = jensenShannon(read, distribution(reference));
  });
  if (top > 0) {
    const most = ops.maxOver(ops.slice(logP, 1, topFrom, depth), [1], true);
    const places = ops.topKIndices(most, top); // (positions, 1, top)
    const everywhere = ops.expandLike(places, ops.slice(logP, -1, 0, top));
    outputs.topIds = ops.reshape(ops.toFloat(places), ["positions", top]);
    outputs.topProbability = ops.gatherElements(p, everywhere);
  }
  return outputs;
}

const bits = (nats: Node): Node => ops.div(nats, Math.LN2);

interface Distribution {
  readonly logP: Node;
  readonly p: Node;
}

/** Distributions of logits (positions, states, vocabulary), less their largest; entropies in bits. */
function distribution(logits: Node): Distribution & { readonly entropy: Node } {
  const shifted = ops.sub(logits, ops.maxOver(logits, [-1], true));
  const weights = ops.exp(shifted);
  const total = overVocabulary(weights);
  const [sum, logSum] = [total, ops.log(total)].map((x) => ops.reshape(x, [...x.shape, 1]));
  const p = ops.div(weights, sum);
  return {
    p,
    logP: ops.sub(shifted, logSum),
    entropy: bits(ops.sub(ops.log(total), overVocabulary(ops.mul(p, shifted)))),
  };
}

/** Elements that are summed at once. */
const BLOCK = 512;

/**
 * Sum over the last axis, block by block: one float32 sum of 150,000 elements is off by 3e-6 of it, an entropy of 17 bits
 * then by 5e-5.
 */
function overVocabulary(x: Node): Node {
  const [positions, states, last] = x.shape;
  const vocabulary = Number(last);
  if (vocabulary <= BLOCK) return ops.sum(x, [-1]);
  const blocks = Math.ceil(vocabulary / BLOCK);
  const missing = blocks * BLOCK - vocabulary;
  const whole = missing === 0 ? x : ops.pad(x, -1, 0, missing);
  return ops.sum(ops.sum(ops.reshape(whole, [positions, states, blocks, BLOCK]), [-1]), [-1]);
}

/**
 * Jensen–Shannon divergence in bits: ½KL(P‖A) + ½KL(Q‖A), A = (P + Q)/2. Logarithms are taken from that of the larger of both,
 * where A's is log((1 + e^−|log P − log Q|)/2): tokens of probability zero stay numbers, and little is lost to rounding.
 */
function jensenShannon(of: Distribution, other: Distribution): Node {
  const above = ops.sub(of.logP, other.logP);
  const [less, more] = [ops.relu(ops.neg(above)), ops.relu(above)];
  const logA = ops.sub(ops.log(ops.add(ops.exp(ops.neg(ops.add(less, more))), 1)), Math.LN2);
  const lost = ops.add(ops.mul(of.p, ops.add(less, logA)), ops.mul(other.p, ops.add(more, logA)));
  // Equal distributions may differ by rounding, below zero too.
  return ops.relu(bits(ops.mul(overVocabulary(lost), -0.5)));
}
