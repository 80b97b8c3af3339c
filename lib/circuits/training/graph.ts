/** A step of training transcoders as one graph: the loss, its derivatives, and which features were active. */
import { derivativeBy, input, type Node, ops, pullback, scalar, weight } from "../../model/graph/index.js";

/** Kind and sizes of the transcoders that are trained. */
export interface TranscoderSpec {
  readonly kind: "per-layer" | "cross-layer";
  readonly layers: number;
  readonly width: number;
  /** Features of each layer. */
  readonly features: number;
  /** Features of a token that stay active: TopK after ReLU. */
  readonly k: number;
  /** Adds a matrix from input to output beside the features (default false). */
  readonly skip?: boolean;
  /** Dead features that explain what is left of a token (default: half the width; the paper takes a power of two near it). */
  readonly auxiliaryK?: number;
  /** Factor of that loss (default 1/32). */
  readonly auxiliaryCoefficient?: number;
}

/** Names of a layer's weights. */
export const weightName = (layer: number, part: string): string => `layers.${layer}.${part}`;
export const decoderName = (layer: number, target: number): string => weightName(layer, `W_dec.${target}`);

export interface StepGraph {
  readonly outputs: Readonly<Record<string, Node>>;
  readonly trainable: readonly string[];
}

/** Layers of one graph: with per-layer transcoders each is trained by the same graph of one. */
export const layersOfGraph = ({ kind, layers }: TranscoderSpec): number =>
  kind === "per-layer" ? 1 : layers;

/**
 * The layers 0 … n−1 of a set. Inputs are `x.l` and `y.l` (tokens, width) of each, `share.l` (the reciprocal of
 * tokens · variance) and, with `auxiliary`, `dead.l` (features): 1 where a feature has long not been active.
 *
 * The loss is the mean over layers of the share of variance that is not explained, Σ‖ŷ − y‖² · share. The auxiliary
 * loss is AuxK (Gao et al. 2024, "Scaling and evaluating sparse autoencoders", §A.2): ‖e − ê‖² for the error e = y − ŷ,
 * taken as given, and ê = W_dec z of the k_aux largest dead features, with the factor 1/32. The authors' code divides it
 * by the variance of e about the batch's mean; here it is divided by Σ‖e‖², so that it weighs the same when little is
 * left. The two differ by the mean error, which b_dec keeps small: of Σ‖e‖², up to 1 % with the embedded set of text and images,
 * 2 % with the cross-layer one, and 6 % where the set of text alone is asked about images.
 * Their code asks after the step's forward pass which features are dead; here one that the step itself activates is
 * still dead in it.
 */
export function stepGraph(spec: TranscoderSpec, auxiliary: boolean): StepGraph {
  const {
    width,
    features,
    k,
    skip,
    auxiliaryK = Math.max(1, width >> 1),
    auxiliaryCoefficient = 1 / 32,
  } = spec;
  const count = layersOfGraph(spec);
  const layers = Array.from({ length: count }, (_, l) => layerNodes(l, spec));
  const trainable: Node[] = [];
  const learned = (name: string, shape: readonly number[]): Node => {
    const node = weight(name, shape);
    trainable.push(node);
    return node;
  };
  const decoders = layers.map((_, l) =>
    layers.slice(l).map((_, j) => learned(decoderName(l, l + j), [features, width])),
  );
  const pre = layers.map(({ x }, l) => {
    const encoder = learned(weightName(l, "W_enc"), [features, width]);
    return ops.linear(x, encoder, learned(weightName(l, "b_enc"), [features]));
  });
  const decoded = (z: readonly Node[], target: number): Node =>
    z
      .slice(0, target + 1)
      .map((own, l) => ops.linearTransposed(own, decoders[l][target - l]))
      .reduce((a, b) => ops.add(a, b));
  // The mask of TopK after ReLU: its derivative is zero, so that z's by x is the mask, in one product.
  const kept = pre.map((x) => ops.mul(ops.topKMask(x, k), ops.step(x)));
  const z = pre.map((x, l) => ops.mul(x, kept[l]));
  const errors = layers.map(({ x, y }, l) => {
    const explained = ops.add(decoded(z, l), learned(weightName(l, "b_dec"), [width]));
    const more = skip
      ? ops.add(explained, ops.linear(x, learned(weightName(l, "W_skip"), [width, width])))
      : explained;
    return ops.sub(more, y);
  });
  const squares = (e: Node): Node => ops.sum(ops.mul(e, e), [-1, -2]);
  const meanOver = (parts: readonly Node[]): Node =>
    ops.mul(
      parts.reduce((a, b) => ops.add(a, b)),
      1 / count,
    );
  const loss = meanOver(errors.map((e, l) => ops.mul(squares(e), layers[l].share)));
  let derivatives = pullback(new Map([[loss, scalar(1)]]), trainable);
  if (auxiliary) {
    const dead = pre.map((x, l) => ops.mul(ops.relu(x), layers[l].dead));
    const revived = dead.map((own) => ops.mul(own, ops.topKMask(own, Math.min(auxiliaryK, features))));
    const left = errors.map((error, l) =>
      ops.div(squares(ops.add(decoded(revived, l), error)), ops.add(squares(error), SMALLEST_ERROR)),
    );
    const cotangent = new Map([[meanOver(left), scalar(auxiliaryCoefficient)]]);
    const more = pullback(cotangent, trainable, { frozen: new Set(errors) });
    derivatives = derivatives.map((d, i) => (d && more[i] ? ops.add(d, more[i]) : (d ?? more[i])));
  }
  const names = trainable.map((node) => node.attributes.name as string);
  const used = kept.map((mask, l) => [usedName(l), ops.sum(mask, [-2])] as const);
  return {
    outputs: {
      loss,
      ...Object.fromEntries(used),
      ...Object.fromEntries(names.map((name, i) => [derivativeBy(name), derivatives[i]!])),
    },
    trainable: names,
  };
}

/** Keeps the division by an error that is 0 finite. */
const SMALLEST_ERROR = 1e-20;

/** Output with the number of tokens at which each of a layer's features was active. */
export const usedName = (layer: number): string => `used.${layer}`;

function layerNodes(
  layer: number,
  { width, features }: TranscoderSpec,
): Record<"x" | "y" | "share" | "dead", Node> {
  return {
    x: input(`x.${layer}`, ["tokens", width]),
    y: input(`y.${layer}`, ["tokens", width]),
    share: input(`share.${layer}`, []),
    dead: input(`dead.${layer}`, [features]),
  };
}
