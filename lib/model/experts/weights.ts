/** Experts in a checkpoint: three layouts exist, and one expert is read at a time. */
import type { Tensor } from "../../tensor.js";
import type { FloatType } from "../pool.js";
import type { Checkpoint } from "../weights/index.js";
import { type Experts, type MatrixForm, matrixShapes } from "./graph.js";

/** Where a block's experts are and how large: the prefix of the block's weights, and the width of its stream. */
export interface ExpertPlace {
  readonly prefix: string;
  readonly experts: Experts;
  readonly hidden: number;
}

/**
 * How a checkpoint holds the experts of a block:
 * - "separate", `mlp.experts.3.gate_proj.weight` …: Qwen3-MoE on the Hub, and what transformers saves of it;
 * - "linear", all in `mlp.experts.gate_up_proj` (experts, 2 · inner, hidden) and `mlp.experts.down_proj`
 *   (experts, hidden, inner): what transformers 5 has in memory, and saves of Qwen3-VL-MoE;
 * - "transposed", the same names as (experts, hidden, 2 · inner) and (experts, inner, hidden): Qwen3-VL-MoE on the
 *   Hub, and what transformers 4.57 saves of it.
 */
export type ExpertLayout = "separate" | MatrixForm;

type Shapes = Map<string, readonly number[]>;

const JOINED = ["gate_up_proj", "down_proj"] as const;

/** The names and shapes of a block's experts in one layout. */
export function expertShapes(layout: ExpertLayout, { prefix, experts, hidden }: ExpertPlace): Shapes {
  const shapes: Shapes = new Map();
  if (layout === "separate") {
    for (let e = 0; e < experts.count; e++) {
      shapes.set(separateName(prefix, e, "gate"), [experts.inner, hidden]);
      shapes.set(separateName(prefix, e, "up"), [experts.inner, hidden]);
      shapes.set(separateName(prefix, e, "down"), [hidden, experts.inner]);
    }
  } else {
    const { gate_up, down } = matrixShapes(experts, hidden, layout);
    shapes.set(`${prefix}mlp.experts.${JOINED[0]}`, [experts.count, ...gate_up]);
    shapes.set(`${prefix}mlp.experts.${JOINED[1]}`, [experts.count, ...down]);
  }
  return shapes;
}

function separateName(prefix: string, e: number, matrix: "gate" | "up" | "down"): string {
  return `${prefix}mlp.experts.${e}.${matrix}_proj.weight`;
}

/**
 * The layout that a checkpoint has a block's experts in, by names and shapes; one that fits none is called by what
 * it is nearest to. Both joined matrices are looked at: the shape of one alone may fit both forms.
 */
export function expertLayout({ weights }: Pick<Checkpoint, "weights">, place: ExpertPlace): ExpertLayout {
  if (!JOINED.some((name) => weights.has(`${place.prefix}mlp.experts.${name}`))) return "separate";
  const turned = [...expertShapes("transposed", place)].every(
    ([name, shape]) => weights.get(name)?.shape.join() === shape.join(),
  );
  return turned ? "transposed" : "linear";
}

/** Whether a weight belongs to an expert, by its name: these are read one by one and never mapped. */
export function isExpert(name: string): boolean {
  return /\.mlp\.experts\./.test(name);
}

/** An expert's matrices, as `expertGraph` takes them. */
export interface ExpertWeights {
  readonly gate_up: Tensor;
  readonly down: Tensor;
}

/** Experts as they are asked for, the least recently used forgotten first where there are too many bytes. */
export class ExpertStore {
  private readonly held = new Map<string, ExpertWeights>();
  private bytes = 0;

  /** @param limit bytes to hold at most */
  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly float: FloatType,
    private readonly limit: number,
  ) {}

  /** One expert's weights: from memory, or read, and no other's with them. */
  get(place: ExpertPlace, e: number): ExpertWeights {
    const key = `${place.prefix}${e}`;
    const found = this.held.get(key) ?? this.read(place, e);
    if (!this.held.delete(key)) this.bytes += bytesOf(found);
    this.held.set(key, found);
    for (const [oldest, expert] of this.held) {
      if (this.bytes <= this.limit) break;
      this.held.delete(oldest);
      this.bytes -= bytesOf(expert);
    }
    return found;
  }

  /** How the matrices lie that `get` gives. */
  formOf(place: ExpertPlace): MatrixForm {
    return expertLayout(this.checkpoint, place) === "transposed" ? "transposed" : "linear";
  }

  private read(place: ExpertPlace, e: number): ExpertWeights {
    const { checkpoint } = this;
    const layout = expertLayout(checkpoint, place);
    const form = this.formOf(place);
    const { gate_up, down } = matrixShapes(place.experts, place.hidden, form);
    const tensor = (data: Float32Array, shape: readonly number[]): Tensor => ({
      data: this.cast(data),
      shape,
    });
    if (layout !== "separate") {
      const [both, out] = JOINED.map((name) =>
        checkpoint.readRows(`${place.prefix}mlp.experts.${name}`, [e]),
      );
      return { gate_up: tensor(both, gate_up), down: tensor(out, down) };
    }
    const half = place.experts.inner * place.hidden;
    const both = new Float32Array(2 * half);
    checkpoint.read(separateName(place.prefix, e, "gate"), both.subarray(0, half));
    checkpoint.read(separateName(place.prefix, e, "up"), both.subarray(half));
    const out = checkpoint.read(separateName(place.prefix, e, "down"));
    return { gate_up: tensor(both, gate_up), down: tensor(out, down) };
  }

  private cast(data: Float32Array): Float32Array {
    return this.float === "float32" ? data : (Float64Array.from(data) as unknown as Float32Array);
  }
}

function bytesOf({ gate_up, down }: ExpertWeights): number {
  return gate_up.data.byteLength + down.data.byteLength;
}
