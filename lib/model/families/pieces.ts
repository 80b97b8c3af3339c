import { add, frozenInput, input, mul, type Node, scaleOf, shiftOf, sorted, weight } from "../graph/index.js";
import {
  ADDED,
  type BlockInputs,
  EXPERT_INPUT,
  MLP_OUT,
  type ModuleContext,
  trainedMixture,
} from "../nn/index.js";
import type { ReadoutId, TextConfig, VisionConfig } from "./config.js";
import type { Family } from "./family.js";

/** Differences between one graph of a block and its plain graph. */
export interface GraphVariant {
  /** Hooks whose value x becomes x · scale + shift, both given at run time as `<hook>.scale` and `<hook>.shift`. */
  readonly edited?: readonly string[];
  /** Hooks whose value is given at run time as `frozen.<hook>` instead of computed. */
  readonly frozen?: readonly string[];
  /**
   * Computes the named points only (of the head, what comes before its matrix), or of these the keys and values alone;
   * or AFTER_MLP alone, from frozen points.
   */
  readonly only?: "hookPoints" | "keys" | "afterMlp";
  /** Of the tower: attention in one operation, without its scores and pattern. */
  readonly fused?: boolean;
  /** Of a block: norms and rotations are one operation each, and it names CONDENSED_POINTS alone. */
  readonly condensed?: boolean;
  /** Of the tower: rotated queries, keys and values are inputs, as `precomputed.<name>`: there are more keys than queries. */
  readonly precomputed?: boolean;
  /** Of the head: logits before a soft cap. */
  readonly uncapped?: boolean;
  /** Leaves out the keys and values of earlier positions. */
  readonly withoutPast?: boolean;
  /** Put before the names of the angles and the mask, where pieces of one graph have different ones. */
  readonly inputPrefix?: string;
  /** For training: experts are computed inside the graph, and what is inside norms, attention and experts is no hook. */
  readonly training?: boolean;
}

/** A piece of the model as a graph: what goes in, what comes out, and every named point between. */
export interface GraphModule {
  readonly x: Node;
  readonly out: Node;
  /** Named points in the order in which they are computed. */
  readonly hookPoints: ReadonlyMap<string, Node>;
  /** Edited points as they are before their edit. */
  readonly preEdit: ReadonlyMap<string, Node>;
}

export const HEAD = "head";
/** What a block computes from its MLP's output and the stream before it. */
export const AFTER_MLP: readonly string[] = ["out", ADDED];
/** The points of a block at which its rotated keys and its values are, those of earlier positions included. */
export const KEYS = ["present.key", "present.value"] as const;
/** The points at which they are of the pass's own positions alone. */
export const NEW_KEYS = ["present.new_key", "present.new_value"] as const;
/** A piece of the vision tower, or what reads its stream. */
export type VisionPieceId = "vision.embed" | `vision.blocks.${number}` | "vision.final" | ReadoutId;
/** A block of the language model by its number, the final norm with the language head, or a piece that sees. */
export type PieceId = number | typeof HEAD | VisionPieceId;

/** Prefix of the names of a piece's hooks. */
export function hookPrefix(id: PieceId): string {
  if (typeof id === "number") return `blocks.${id}.`;
  if (id === HEAD) return "";
  return id === "vision.embed" || id === "vision.final" ? "vision." : `${id}.`;
}

/** The pieces that see, in the order in which they run. */
export function visionPieces(vision: VisionConfig | undefined): VisionPieceId[] {
  if (!vision) return [];
  const blocks = Array.from({ length: vision.num_hidden_layers }, (_, l) => `vision.blocks.${l}` as const);
  const final = vision.readouts.some(({ fromLayers }) => fromLayers === "final")
    ? (["vision.final"] as const)
    : [];
  return ["vision.embed", ...blocks, ...final, ...vision.readouts.map(({ id }) => id)];
}

/** All pieces of a model, in the order in which they run. */
export function pieces(config: TextConfig): PieceId[] {
  return [...visionPieces(config.vision_config), ...Array(config.num_hidden_layers).keys(), HEAD];
}

/** The number of a vision block, or undefined for another piece. */
export function visionBlock(id: PieceId): number | undefined {
  const match = typeof id === "string" ? /^vision\.blocks\.(\d+)$/.exec(id) : null;
  return match ? Number(match[1]) : undefined;
}

/** Builds a piece; of a sparse block, the part before its experts. The stream that it reads enters as `x`: (batch, time, width). */
export function buildPiece(
  family: Family,
  config: TextConfig,
  id: PieceId,
  variant: GraphVariant = {},
  x?: Node,
): GraphModule {
  const hookPoints = new Map<string, Node>();
  const preEdit = new Map<string, Node>();
  const prefix = weightPrefix(family, id);
  const ctx: ModuleContext = {
    hook(name, value) {
      const hooked = applied(name, value, variant);
      hookPoints.set(name, hooked);
      if (hooked !== value) preEdit.set(name, value);
      return hooked;
    },
    weight: (name, shape) => weight(prefix + name, shape),
    fused: variant.fused,
    condensed: variant.condensed,
    uncapped: variant.uncapped,
    training: variant.training
      ? { causal: typeof id === "number" && !family.vision?.bidirectional }
      : undefined,
    mixture(stream, x, weights, experts) {
      if (variant.training) {
        const out = ctx.hook(MLP_OUT, trainedMixture(ctx, x, weights, experts));
        return add(stream, ctx.hook(ADDED, out));
      }
      hookPoints.set(EXPERT_INPUT, x);
      return stream;
    },
  };
  const time = id === "vision.embed" ? "patches" : "time";
  const source = x ?? input("x", ["batch", time, inputWidth(config, id)]);
  return {
    x: source,
    out: compute({ family, config, variant }, id, ctx, source),
    hookPoints,
    preEdit,
  };
}

function weightPrefix(family: Family, id: PieceId): string {
  if (typeof id === "number") return family.names.layer(id);
  const block = visionBlock(id);
  return block === undefined ? "" : family.vision!.layer(block);
}

/** Length of the vectors that enter a piece. */
function inputWidth({ hidden_size, vision_config: vision }: TextConfig, id: PieceId): number {
  if (typeof id === "number" || id === HEAD) return hidden_size;
  if (id === "vision.embed") return vision!.patchDim;
  const readout = vision!.readouts.find((r) => r.id === id);
  return vision!.hidden_size * (Array.isArray(readout?.fromLayers) ? readout.fromLayers.length : 1);
}

/** The model, and the variant of its pieces. */
interface Architecture {
  readonly family: Family;
  readonly config: TextConfig;
  readonly variant: GraphVariant;
}

function compute({ family, config, variant }: Architecture, id: PieceId, ctx: ModuleContext, x: Node): Node {
  if (id === HEAD) return family.head(config, ctx, x);
  if (typeof id === "number")
    return family.block(config, id, ctx, { x, ...sharedInputs(config, variant, x) });
  const { vision } = family;
  const see = config.vision_config;
  if (!vision || !see) throw new TypeError(`A ${config.model_type} model has no piece "${id}".`);
  if (id === "vision.embed") {
    const positionWeights = input("positionWeights", [x.shape[0], x.shape[1], see.numPositions]);
    return vision.embed(see, ctx, { patches: x, positionWeights });
  }
  if (id === "vision.final") return vision.final!(see, ctx, x);
  const block = visionBlock(id);
  if (block === undefined) return ctx.hook("hook_out", vision.readout(see, id as ReadoutId, ctx, x));
  const keys = variant.precomputed ? "keys" : x.shape[1];
  return vision.block(see, block, ctx, {
    x,
    ...angles(see.head_dim, variant, x),
    mask: input(`${variant.inputPrefix ?? ""}mask`, ["mask rows", "mask heads", "queries", keys]),
    precomputed: variant.precomputed ? precomputedInputs(see, x) : undefined,
  });
}

function precomputedInputs(
  { num_attention_heads: heads, head_dim: size }: VisionConfig,
  x: Node,
): BlockInputs["precomputed"] {
  const [batch, time] = x.shape;
  return {
    query: input("precomputed.query", [batch, time, heads, size]),
    key: input("precomputed.key", [batch, heads, "keys", size]),
    value: input("precomputed.value", [batch, heads, "keys", size]),
  };
}

/** The lengths of what a block shares with others have the names of its stream's. */
function angles(headDim: number, { inputPrefix = "" }: GraphVariant, x: Node): { cos: Node; sin: Node } {
  const shape = [x.shape[0], x.shape[1], headDim];
  return { cos: input(`${inputPrefix}cos`, shape), sin: input(`${inputPrefix}sin`, shape) };
}

function sharedInputs(
  config: TextConfig,
  variant: GraphVariant,
  x: Node,
): { cos: Node; sin: Node; mask: Node; past?: { key: Node; value: Node } } {
  const [batch, time] = x.shape;
  const keys = variant.withoutPast ? time : "keys";
  const cached = [batch, config.num_key_value_heads, "past", config.head_dim];
  return {
    ...angles(config.head_dim, variant, x),
    mask: input(`${variant.inputPrefix ?? ""}mask`, [batch, "mask heads", time, keys]),
    past: variant.withoutPast
      ? undefined
      : { key: input("past.key", cached), value: input("past.value", cached) },
  };
}

function applied(name: string, value: Node, variant: GraphVariant): Node {
  if (variant.frozen?.includes(name)) return input(frozenInput(name), value.shape);
  if (!variant.edited?.includes(name)) return value;
  const free = (part: string): Node =>
    input(
      part,
      value.shape.map((_, i) => `${part}.${i}`),
    );
  return add(mul(value, free(scaleOf(name)), value.shape), free(shiftOf(name)), value.shape);
}

/** The weights that nodes depend on: checkpoint name → shape. */
export function weightsOf(outputs: Iterable<Node>): Map<string, readonly number[]> {
  const found = new Map<string, readonly number[]>();
  for (const n of sorted(outputs)) {
    if (n.op === "Weight") found.set(n.attributes.name as string, n.shape as readonly number[]);
  }
  return found;
}
