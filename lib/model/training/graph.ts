import { ModalscopeError } from "../../errors.js";
import {
  buildPiece,
  type Family,
  type GraphModule,
  type GraphVariant,
  HEAD,
  type TextConfig,
  visionBlock,
  visionPieces,
} from "../families/index.js";
import {
  derivativeBy,
  derivedName,
  input,
  type Node,
  nameOf,
  ops,
  pullback,
  scalar,
  sorted,
  weight,
} from "../graph/index.js";
import { loadBalancingLoss } from "../nn/index.js";
import { type LabelLoss, labelLoss } from "./labels.js";

export interface TrainingGraph {
  /** `loss`, `balance` where there are experts, and `d <weight>`. */
  readonly outputs: Readonly<Record<string, Node>>;
  /** The weights that are learnt. */
  readonly trainable: readonly string[];
  /** All weights that the loss hangs on, with their shapes. */
  readonly weights: ReadonlyMap<string, readonly number[]>;
}

export interface Objective {
  /** Coefficient of the experts' load-balancing loss; 0 unless given. */
  readonly routerAuxLossCoef?: number;
  /** A loss at visual tokens beside the cross-entropy, or in its place. */
  readonly labels?: LabelLoss;
}

/**
 * The tower, what reads it, all blocks, the head and the loss.
 * @param isTrainable whether a weight is learnt: nothing is computed for the derivatives of the others
 * @throws ModalscopeError when visual tokens are to be labelled and there is no tower
 */
export function trainingGraph(
  family: Family,
  config: TextConfig,
  { routerAuxLossCoef = 0, labels }: Objective,
  isTrainable: (name: string) => boolean,
): TrainingGraph {
  const vision = visionGraph(family, config);
  if (labels && !vision.features) {
    throw new ModalscopeError(
      "There are no visual tokens to label.",
      "This model is text-only: it has no vision tower.",
      "Leave out labels.",
    );
  }
  const labelling = labels && labelLoss(vision.features!, config.hidden_size, labels);
  if (labels?.alone) return withDerivatives({ loss: labelling! }, isTrainable);
  const { crossEntropy, balance } = languageLosses(family, config, vision);
  const terms = [
    ...(balance && routerAuxLossCoef !== 0 ? [ops.mul(balance, routerAuxLossCoef)] : []),
    ...(labelling ? [ops.mul(labelling, labels.coefficient)] : []),
  ];
  const loss = terms.reduce((sum, term) => ops.add(sum, term), crossEntropy);
  return withDerivatives({ loss, ...(balance && { balance }) }, isTrainable);
}

/** Cross-entropy of the language model after all its blocks, and the load-balancing loss of its routers. */
function languageLosses(
  family: Family,
  config: TextConfig,
  { features, injections }: VisionGraph,
): { crossEntropy: Node; balance?: Node } {
  let stream = ops.gather(
    inputVectors(family, config, features),
    input("sources", ["batch", "time"], "int64"),
  );
  const { positions } = family.names;
  if (positions !== undefined) {
    const learned = weight(positions, [config.max_position_embeddings, config.hidden_size]);
    stream = ops.add(stream, ops.gather(learned, input("positionIds", ["batch", "time"], "int64")));
  }
  const routers: Node[] = [];
  for (let l = 0; l < config.num_hidden_layers; l++) {
    const variant = { ...trainingVariant, inputPrefix: `${config.layer_types[l]}.` };
    const { out, hookPoints } = buildPiece(family, config, l, variant, stream);
    stream = injected(out, injections.get(l));
    if (family.experts?.(config, l)) routers.push(hookPoints.get("mlp.hook_router_logits")!);
  }
  return {
    crossEntropy: predictionLoss(family, config, stream),
    balance: routerAuxLoss(family, config, routers),
  };
}

function withDerivatives(
  values: Readonly<Record<"loss", Node>> & Readonly<Record<string, Node>>,
  isTrainable: (name: string) => boolean,
): TrainingGraph {
  const leaves = sorted([values.loss]).filter(({ op }) => op === "Weight");
  const outputs = { ...values, ...derivatives(values.loss, leaves, isTrainable) };
  return {
    outputs,
    trainable: Object.keys(outputs).flatMap((name) => derivedName(name) ?? []),
    weights: new Map(leaves.map((w) => [nameOf(w), w.shape as readonly number[]])),
  };
}

const trainingVariant: GraphVariant = { withoutPast: true, training: true };

/** `d <weight>` of each weight that is learnt; one that is used twice gets the sum. */
function derivatives(
  loss: Node,
  leaves: readonly Node[],
  isTrainable: (name: string) => boolean,
): Record<string, Node> {
  const wanted = leaves.filter((w) => isTrainable(nameOf(w)));
  const found: Record<string, Node> = {};
  pullback(new Map([[loss, scalar(1)]]), wanted).forEach((g, i) => {
    const name = derivativeBy(nameOf(wanted[i]));
    found[name] = found[name] ? ops.add(found[name], g!) : g!;
  });
  return found;
}

/** All that a column of the stream may begin as: the token embeddings, then what is seen, then the end of a row of it. */
function inputVectors(family: Family, config: TextConfig, features: Node | undefined): Node {
  const embedding = weight(family.names.embedding, [config.vocab_size, config.hidden_size]);
  const factor = family.embeddingScale(config);
  const tokens = factor === 1 ? embedding : ops.mul(embedding, factor);
  if (!features) return tokens;
  const { newline } = family.vision!;
  const end = newline && ops.reshape(weight(newline, [config.hidden_size]), [1, config.hidden_size]);
  return ops.concat([tokens, features, ...(end ? [end] : [])], -2, "vectors");
}

interface VisionGraph {
  /** (seen, hidden_size): the vectors of all rows, one after the other. */
  readonly features?: Node;
  /** By block of the language model: what is added after it (DeepStack), likewise. */
  readonly injections: ReadonlyMap<number, Node>;
}

/** The tower on `patches`, and everything that reads its stream. */
function visionGraph(family: Family, config: TextConfig): VisionGraph {
  const vision = config.vision_config;
  const injections = new Map<number, Node>();
  if (!vision) return { injections };
  const streams = new Map<number | "final", Node>();
  let features: Node | undefined;
  let x = input("patches", ["images", "patches", vision.patchDim]);
  for (const id of visionPieces(vision)) {
    const readout = vision.readouts.find((r) => r.id === id);
    const piece = (from: Node): GraphModule => buildPiece(family, config, id, visionVariant, from);
    if (readout) {
      const read = readout.fromLayers === "final" ? (["final"] as const) : readout.fromLayers;
      const side = read.map((at) => streams.get(at)!);
      const { out } = piece(side.length === 1 ? side[0] : ops.concat(side, -1));
      if (readout.toLayer === undefined) features = ops.rows(out, "seen");
      else injections.set(readout.toLayer, ops.rows(out, "seen"));
    } else {
      x = piece(x).out;
      streams.set(id === "vision.final" ? "final" : (visionBlock(id) ?? -1), x);
    }
  }
  return { features, injections };
}

const visionVariant: GraphVariant = { inputPrefix: "vision.", training: true };

/** Adds to a stream what is seen, at the columns that show it; row 0 of what may be added is nothing. */
function injected(stream: Node, seen: Node | undefined): Node {
  if (!seen) return stream;
  const index = input("seen", ["batch", "time"], "int64");
  return ops.add(stream, ops.gather(ops.pad(seen, -2, 1, 0, "seen and none"), index));
}

/** Cross-entropy where something is to be predicted: the head is computed there only. */
function predictionLoss(family: Family, config: TextConfig, stream: Node): Node {
  const places = input("places of predictions", ["predictions"], "int64");
  const chosen = ops.gather(ops.rows(stream, "columns"), places);
  const { out } = buildPiece(
    family,
    config,
    HEAD,
    trainingVariant,
    ops.reshape(chosen, [1, "predictions", config.hidden_size]),
  );
  return ops.neg(ops.sum(ops.mul(input("targets", out.shape), ops.logSoftmax(out)), [-1, -2, -3]));
}

function routerAuxLoss(family: Family, config: TextConfig, routers: readonly Node[]): Node | undefined {
  const sparse = Array.from({ length: config.num_hidden_layers }, (_, l) => family.experts?.(config, l));
  const experts = sparse.find((e) => e !== undefined);
  return experts && loadBalancingLoss(routers, input("tokens", ["batch", "time", 1]), experts);
}
