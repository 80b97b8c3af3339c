import { type Random, seeded } from "../../random.js";
import { sizeOf, type Tensor } from "../../tensor.js";

/** Weights by the checkpoint's names, made one by one and then written into by hand. */
export class PlantedWeights {
  readonly tensors: Map<string, Tensor> = new Map();
  private readonly random: Random;

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  /** A new weight of normal noise, or zeros where `std` is 0. */
  normal(name: string, shape: readonly number[], std: number): void {
    const data = new Float32Array(sizeOf(shape));
    if (std > 0) for (let i = 0; i < data.length; i++) data[i] = std * this.random.normal();
    this.tensors.set(name, { data, shape });
  }

  zeros(name: string, shape: readonly number[]): void {
    this.normal(name, shape, 0);
  }

  ones(name: string, size: number): void {
    this.tensors.set(name, { data: new Float32Array(size).fill(1), shape: [size] });
  }

  /** Adds to one number of a weight that was made before. */
  add(name: string, index: readonly number[], value: number): void {
    const { data, shape } = this.tensors.get(name)!;
    data[index.reduce((flat, i, axis) => flat * shape[axis] + i, 0)] += value;
  }
}

/** Whole numbers from `from` on. */
export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}
