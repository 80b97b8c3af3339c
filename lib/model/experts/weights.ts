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

interface Held {
  readonly weights: ExpertWeights;
  users: number;
}

/** Experts as they are asked for, the least recently used forgotten first where there are too many bytes. */
export class ExpertStore {
  private readonly held = new Map<string, Held>();
  private bytes = 0;
  /** The last expert that was forgotten: the next is read in its place, which saves half the time. */
  private spare?: ExpertWeights;

  /** @param limit bytes to hold at most */
  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly float: FloatType,
    private readonly limit: number,
  ) {}

  /** Runs `work` with one expert's weights: from memory, or read, and no other's with them. */
  async use<T>(place: ExpertPlace, e: number, work: (weights: ExpertWeights) => Promise<T>): Promise<T> {
    const expert = this.enter(place, e);
    expert.users++;
    try {
      return await work(expert.weights);
    } finally {
      expert.users--;
      this.shrink();
    }
  }

  /** How the matrices lie that `use` gives. */
  formOf(place: ExpertPlace): MatrixForm {
    return expertLayout(this.checkpoint, place) === "transposed" ? "transposed" : "linear";
  }

  private enter(place: ExpertPlace, e: number): Held {
    const key = `${place.prefix}${e}`;
    const known = this.held.get(key);
    const expert = known ?? { weights: this.read(place, e), users: 0 };
    if (!known) this.bytes += bytesOf(expert.weights);
    // At the end of the map, which is in order of last use.
    this.held.delete(key);
    this.held.set(key, expert);
    return expert;
  }

  private shrink(): void {
    for (const [key, { weights, users }] of this.held) {
      if (this.bytes <= this.limit) return;
      if (users > 0) continue;
      this.held.delete(key);
      this.bytes -= bytesOf(weights);
      this.spare = weights;
    }
  }

  private read(place: ExpertPlace, e: number): ExpertWeights {
    const { checkpoint } = this;
    const { prefix, experts, hidden } = place;
    const shapes = matrixShapes(experts, hidden, this.formOf(place));
    const size = experts.inner * hidden;
    const [both, out] = this.buffers(size);
    if (expertLayout(checkpoint, place) === "separate") {
      checkpoint.read(separateName(prefix, e, "gate"), both.subarray(0, size));
      checkpoint.read(separateName(prefix, e, "up"), both.subarray(size));
      checkpoint.read(separateName(prefix, e, "down"), out);
    } else {
      checkpoint.readRows(`${prefix}mlp.experts.${JOINED[0]}`, [e], both);
      checkpoint.readRows(`${prefix}mlp.experts.${JOINED[1]}`, [e], out);
    }
    return {
      gate_up: { data: this.cast(both), shape: shapes.gate_up },
      down: { data: this.cast(out), shape: shapes.down },
    };
  }

  /** Room for an expert's two matrices. */
  private buffers(size: number): [Float32Array, Float32Array] {
    const { spare } = this;
    this.spare = undefined;
    if (this.float !== "float32" || spare?.down.data.length !== size)
      return [new Float32Array(2 * size), new Float32Array(size)];
    return [spare.gate_up.data, spare.down.data];
  }

  private cast(data: Float32Array): Float32Array {
    return this.float === "float32" ? data : (Float64Array.from(data) as unknown as Float32Array);
  }
}

function bytesOf({ gate_up, down }: ExpertWeights): number {
  return gate_up.data.byteLength + down.data.byteLength;
}
