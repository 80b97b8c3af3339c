import { sizeOf, type Tensor, zerosLike } from "../../tensor.js";
import type { KeyValues } from "./pass.js";
import { concatBatch, sliceBatch } from "./slices.js";

/**
 * Keys and values of all blocks while tokens are generated. They grow by a column a step, in buffers with room for the
 * columns to come: written anew each step, they would keep the garbage collector busier than the blocks.
 */
export class KeyCache {
  private readonly layers: readonly (Readonly<Record<keyof KeyValues, GrowingTensor>> | undefined)[];

  /**
   * @param first by layer, those of the prompts
   * @param capacity the most columns that there will be
   */
  constructor(
    first: readonly (KeyValues | undefined)[],
    private readonly capacity: number,
  ) {
    const growing = (x: Tensor): GrowingTensor => new GrowingTensor(x, capacity);
    this.layers = first.map((own) => own && { key: growing(own.key), value: growing(own.value) });
  }

  /** By layer, until columns are appended: these overwrite it. */
  get past(): readonly (KeyValues | undefined)[] {
    return this.layers.map((own) => own && { key: own.key.packed, value: own.value.packed });
  }

  /** @param columns by layer, (batch, key-value heads, 1, head_dim) each */
  append(columns: readonly (KeyValues | undefined)[]): void {
    this.layers.forEach((own, l) => {
      own?.key.append(columns[l]!.key);
      own?.value.append(columns[l]!.value);
    });
  }

  /** Some of the rows, in buffers of their own. */
  rows(kept: readonly number[]): KeyCache {
    const cut = (x: Tensor): Tensor => concatBatch(kept.map((row) => sliceBatch(x, row, row + 1)));
    const own = this.past.map((kv) => kv && { key: cut(kv.key), value: cut(kv.value) });
    return new KeyCache(own, this.capacity);
  }
}

/** A tensor (batch, heads, columns, width) that grows along its columns, packed at the start of its buffer. */
class GrowingTensor {
  private readonly buffer: Tensor["data"];
  private shape: readonly number[];

  constructor({ data, shape }: Tensor, capacity: number) {
    this.shape = shape;
    this.buffer = zerosLike(data, (data.length / shape[2]) * capacity);
    this.buffer.set(data);
  }

  get packed(): Tensor {
    return {
      data: this.buffer.subarray(0, sizeOf(this.shape)),
      shape: this.shape,
    };
  }

  append(column: Tensor): void {
    const [batch, heads, columns, width] = this.shape;
    const [before, after] = [columns * width, (columns + 1) * width];
    // From the last on: what has yet to move must not be written over.
    for (let head = batch * heads - 1; head >= 0; head--) {
      this.buffer.copyWithin(head * after, head * before, (head + 1) * before);
      // A view of so few numbers costs more than they do.
      const from = head * width;
      const to = head * after + before;
      for (let i = 0; i < width; i++) this.buffer[to + i] = column.data[from + i];
    }
    this.shape = [batch, heads, columns + 1, width];
  }
}
