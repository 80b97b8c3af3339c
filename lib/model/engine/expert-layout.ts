/** Experts in a checkpoint: three layouts exist. */

import type { Checkpoint } from "../checkpoint/index.js";
import type { Family, TextConfig } from "../families/index.js";
import { weight } from "../graph/index.js";
import { type Experts, type Matrices, type MatrixForm, matrixShapes } from "../nn/index.js";

/** A block's experts: the prefix of the block's weights, their sizes, and the width of its stream. */
export interface ExpertPlace {
  readonly prefix: string;
  readonly experts: Experts;
  readonly hidden: number;
}

/**
 * Layout of a block's experts in a checkpoint:
 * - "separate", `mlp.experts.3.gate_proj.weight` …: Qwen3-MoE on the Hub, and what transformers saves of it;
 * - "linear", all in `mlp.experts.gate_up_proj` (experts, 2 · inner, hidden) and `mlp.experts.down_proj`
 *   (experts, hidden, inner): what transformers 5 has in memory, and saves of Qwen3-VL-MoE;
 * - "transposed", the same names as (experts, hidden, 2 · inner) and (experts, inner, hidden): Qwen3-VL-MoE on the
 *   Hub, and what transformers 4.57 saves of it.
 */
export type ExpertLayout = "separate" | MatrixForm;

type Shapes = Map<string, readonly number[]>;

const SEPARATE = ["gate", "up", "down"] as const;
const JOINED = ["gate_up_proj", "down_proj"] as const;

/** The names and shapes of a block's experts in one layout. */
export function expertShapes(layout: ExpertLayout, { prefix, experts, hidden }: ExpertPlace): Shapes {
  const shapes: Shapes = new Map();
  if (layout === "separate") {
    for (let e = 0; e < experts.count; e++) {
      const [gate, up, down] = separateNames(prefix, e);
      shapes.set(gate, [experts.expertDim, hidden]);
      shapes.set(up, [experts.expertDim, hidden]);
      shapes.set(down, [hidden, experts.expertDim]);
    }
  } else {
    const { gate_up, down } = matrixShapes(experts, hidden, layout);
    const [both, out] = joinedNames(prefix);
    shapes.set(both, [experts.count, ...gate_up]);
    shapes.set(out, [experts.count, ...down]);
  }
  return shapes;
}

/** Names of an expert's gate, up and down matrices where each is a tensor of its own. */
export function separateNames(prefix: string, e: number): string[] {
  return SEPARATE.map((matrix) => `${prefix}mlp.experts.${e}.${matrix}_proj.weight`);
}

/** Names of the two tensors that hold those of all experts. */
export function joinedNames(prefix: string): string[] {
  return JOINED.map((name) => `${prefix}mlp.experts.${name}`);
}

/**
 * The layout that a checkpoint has a block's experts in, by names and shapes; one that fits none is called by what
 * it is nearest to. Both joined matrices are looked at: the shape of one alone may fit both forms.
 */
export function expertLayout({ weights }: Pick<Checkpoint, "weights">, place: ExpertPlace): ExpertLayout {
  if (!joinedNames(place.prefix).some((name) => weights.has(name))) return "separate";
  const turned = [...expertShapes("transposed", place)].every(
    ([name, shape]) => weights.get(name)?.shape.join() === shape.join(),
  );
  return turned ? "transposed" : "linear";
}

/** Layout of the matrices that an expert of the checkpoint is read as. */
export function formOf(checkpoint: Pick<Checkpoint, "weights">, place: ExpertPlace): MatrixForm {
  return expertLayout(checkpoint, place) === "transposed" ? "transposed" : "linear";
}

/** True for a weight of an expert, by its name: where not all experts fit into memory, they are read one by one. */
export function isExpert(name: string): boolean {
  return /\.mlp\.experts\./.test(name);
}

/** The matrices of every expert as weights of a graph. */
export function expertMatrices(checkpoint: Pick<Checkpoint, "weights">, place: ExpertPlace): Matrices[] {
  const { prefix, experts, hidden } = place;
  const layout = expertLayout(checkpoint, place);
  const numbers = Array.from({ length: experts.count }, (_, e) => e);
  if (layout === "separate") {
    return numbers.map((e) => {
      const [gate, up, down] = separateNames(prefix, e);
      const wide = [gate, up].map((name) => weight(name, [experts.expertDim, hidden]));
      return { form: "linear", gateUp: wide, down: weight(down, [hidden, experts.expertDim]) };
    });
  }
  const shapes = matrixShapes(experts, hidden, layout);
  return numbers.map((e) => {
    const [both, down] = joinedNames(prefix).map((name) => partName(name, e));
    return { form: layout, gateUp: [weight(both, shapes.gate_up)], down: weight(down, shapes.down) };
  });
}

function partName(name: string, e: number): string {
  return `${name}[${e}]`;
}

/** The checkpoint with a name for each expert's part of a joined tensor: as a weight of its own, which can be mapped. */
export function withExpertParts(
  checkpoint: Pick<Checkpoint, "weights" | "read" | "readRows">,
): Pick<Checkpoint, "weights" | "read"> {
  const weights = new Map(checkpoint.weights);
  const parts = new Map<string, readonly [whole: string, e: number]>();
  for (const whole of checkpoint.weights.values()) {
    if (!isExpert(whole.name) || whole.shape.length !== 3) continue;
    const [count, ...shape] = whole.shape;
    const byteLength = whole.byteLength / count;
    for (let e = 0; e < count; e++) {
      const name = partName(whole.name, e);
      parts.set(name, [whole.name, e]);
      weights.set(name, { ...whole, name, shape, offset: whole.offset + e * byteLength, byteLength });
    }
  }
  return {
    weights,
    read(name, into) {
      const part = parts.get(name);
      return part ? checkpoint.readRows(part[0], [part[1]], into) : checkpoint.read(name, into);
    },
  };
}

/** The experts of a block. */
export function placeOf(
  { family, config }: { readonly family: Family; readonly config: TextConfig },
  layer: number,
): ExpertPlace {
  const experts = family.experts!(config, layer)!;
  return { prefix: family.names.layer(layer), experts, hidden: config.hidden_size };
}
