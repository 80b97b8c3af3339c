/** Experts read from the checkpoint as they are asked for, where not all fit into memory. */
import type { Tensor } from "../../tensor.js";
import type { Checkpoint } from "../checkpoint/index.js";
import { matrixShapes } from "../nn/index.js";
import { type ExpertPlace, expertLayout, formOf, joinedNames, separateNames } from "./expert-layout.js";
import type { FloatType } from "./pool.js";

/** An expert's matrices, by the names of the inputs of `fedMatrices`. */
export interface ExpertWeights {
  readonly gate_up: Tensor;
  readonly down: Tensor;
}

interface LoadedExpert {
  readonly weights: ExpertWeights;
  users: number;
}

/** Experts as they are asked for, the least recently used forgotten first where there are too many bytes. */
export class ExpertStore {
  private readonly loaded = new Map<string, LoadedExpert>();
  private bytes = 0;
  /** The last expert that was forgotten: the next is read in its place, which saves half the time. */
  private freeBuffers?: ExpertWeights;

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

  private enter(place: ExpertPlace, e: number): LoadedExpert {
    const key = `${place.prefix}${e}`;
    const known = this.loaded.get(key);
    const expert = known ?? { weights: this.read(place, e), users: 0 };
    if (!known) this.bytes += bytesOf(expert.weights);
    // At the end of the map, which is in order of last use.
    this.loaded.delete(key);
    this.loaded.set(key, expert);
    return expert;
  }

  private shrink(): void {
    for (const [key, { weights, users }] of this.loaded) {
      if (this.bytes <= this.limit) return;
      if (users > 0) continue;
      this.loaded.delete(key);
      this.bytes -= bytesOf(weights);
      this.freeBuffers = weights;
    }
  }

  private read(place: ExpertPlace, e: number): ExpertWeights {
    const { checkpoint } = this;
    const { prefix, experts, hidden } = place;
    const shapes = matrixShapes(experts, hidden, formOf(checkpoint, place));
    const size = experts.expertDim * hidden;
    const [both, out] = this.buffers(size);
    if (expertLayout(checkpoint, place) === "separate") {
      const [gate, up, down] = separateNames(prefix, e);
      checkpoint.read(gate, both.subarray(0, size));
      checkpoint.read(up, both.subarray(size));
      checkpoint.read(down, out);
    } else {
      const [gateUp, down] = joinedNames(prefix);
      checkpoint.readRows(gateUp, [e], both);
      checkpoint.readRows(down, [e], out);
    }
    return {
      gate_up: { data: this.cast(both), shape: shapes.gate_up },
      down: { data: this.cast(out), shape: shapes.down },
    };
  }

  /** Room for an expert's two matrices. */
  private buffers(size: number): [Float32Array, Float32Array] {
    const { freeBuffers } = this;
    this.freeBuffers = undefined;
    if (this.float !== "float32" || freeBuffers?.down.data.length !== size)
      return [new Float32Array(2 * size), new Float32Array(size)];
    return [freeBuffers.gate_up.data, freeBuffers.down.data];
  }

  private cast(data: Float32Array): Float32Array {
    return this.float === "float32" ? data : (Float64Array.from(data) as unknown as Float32Array);
  }
}

function bytesOf({ gate_up, down }: ExpertWeights): number {
  return gate_up.data.byteLength + down.data.byteLength;
}
