/**
 * Readings of next-token distributions inside the graph of the head: the vocabulary's logits never come to JavaScript.
 * The head reads several states at each position (the stream after every block, say), the states side by side.
 */
import { ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { type Engine, runSession } from "../engine/index.js";
import { buildPiece, HEAD } from "../families/index.js";
import { input, type Node, ops } from "../graph/index.js";

/** Quantities read at each position, at all of its states. */
export interface DistributionRequest {
  /** By position, tokens whose probability is read, as many everywhere; the first one's rank is read too. */
  readonly ids: readonly (readonly number[])[];
  /** How many of the tokens that are likeliest at any of the states from `topFrom` on. */
  readonly top: number;
  readonly topFrom: number;
  /** Logits (positions, vocabulary) of distributions that every state is compared with. */
  readonly references: readonly Tensor[];
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
  /** By reference, (positions, states): Jensen–Shannon divergence from it. */
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
  { ids, top, topFrom, references }: DistributionRequest,
): Promise<DistributionReadings> {
  const [positions, depth] = states.shape;
  const each = ids[0].length;
  const { vocab_size } = engine.config;
  const wrong = ids.flat().find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab_size));
  if (wrong !== undefined) {
    throw new ModalscopeError(`Token ${wrong} is not one of the ${vocab_size} tokens.`);
  }
  const spec = { depth, each, top, topFrom, references: references.length };
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
  const wanted = [
    ...names,
    ...references.map((_, i) => `distance ${i}`),
    ...(top > 0 ? ["topIds", "topProbability"] : []),
  ];
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
    distances: references.map((_, i) => found[`distance ${i}`]),
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
}

function readings({ family, config }: Engine, spec: Spec): Record<string, Node> {
  const { depth, each, top, topFrom } = spec;
  const x = input("x", ["positions", depth, config.hidden_size]);
  const logits = buildPiece(family, config, HEAD, {}, x).out; // (positions, depth, vocabulary)
  const logP = ops.logSoftmax(logits);
  const ids = input("ids", ["positions", depth, each], "int64");
  const first = ops.gatherElements(logits, ops.slice(ids, -1, 0, 1));
  const outputs: Record<string, Node> = {
    probability: ops.exp(ops.gatherElements(logP, ids)),
    rank: ops.add(ops.sum(ops.step(ops.sub(logits, first)), [-1]), 1),
    entropy: bits(ops.neg(ops.sum(ops.mul(ops.exp(logP), logP), [-1]))),
  };
  if (depth > 1)
    outputs.change = jensenShannon(ops.slice(logP, 1, 0, depth - 1), ops.slice(logP, 1, 1, depth));
  for (let i = 0; i < spec.references; i++) {
    const reference = input(`reference ${i}`, ["positions", 1, config.vocab_size]);
    outputs[`distance ${i}`] = jensenShannon(logP, ops.logSoftmax(reference));
  }
  if (top > 0) {
    const most = ops.maxOver(ops.slice(logP, 1, topFrom, depth), [1], true);
    const places = ops.topKIndices(most, top); // (positions, 1, top)
    const everywhere = ops.expandLike(places, ops.slice(logP, -1, 0, top));
    outputs.topIds = ops.reshape(ops.toFloat(places), ["positions", top]);
    outputs.topProbability = ops.exp(ops.gatherElements(logP, everywhere));
  }
  return outputs;
}

const bits = (nats: Node): Node => ops.div(nats, Math.LN2);

/**
 * Jensen–Shannon divergence in bits, over the last axis of log-probabilities: ½KL(P‖A) + ½KL(Q‖A), A = (P + Q)/2.
 * The mean's logarithm is taken from the larger of both, so that tokens of probability zero stay numbers.
 */
function jensenShannon(logP: Node, logQ: Node): Node {
  const larger = ops.max(logP, logQ);
  const both = ops.add(ops.exp(ops.sub(logP, larger)), ops.exp(ops.sub(logQ, larger)));
  const logA = ops.sub(ops.add(larger, ops.log(both)), Math.LN2);
  const half = (log: Node): Node => ops.sum(ops.mul(ops.exp(log), ops.sub(log, logA)), [-1]);
  // Equal distributions may differ by rounding, below zero too.
  return ops.max(bits(ops.mul(ops.add(half(logP), half(logQ)), 0.5)), 0);
}
