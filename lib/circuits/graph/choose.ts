/** Which features a graph follows, layer by layer from the top. */

/** Rows of edges as they are filled, with what each target's edges must add up to. */
export class RowStore {
  readonly nodes: number[] = [];
  readonly values: number[] = [];
  private readonly weights: number[] = [];
  private readonly rows: Float32Array[] = [];

  constructor(private readonly width: number) {}

  /** Adds a target; returns its row. */
  add(node: number, value: number, weight: number): number {
    this.nodes.push(node);
    this.values.push(value);
    this.weights.push(weight);
    return this.rows.push(new Float32Array(this.width)) - 1;
  }

  edges(row: number): Float32Array {
    return this.rows[row];
  }

  /** All rows below each other. */
  all(): Float32Array {
    const edges = new Float32Array(this.rows.length * this.width);
    this.rows.forEach((row, r) => {
      edges.set(row, r * this.width);
    });
    return edges;
  }

  /** Number of targets that are no features. */
  private get outputs(): number {
    return this.weights.filter((w) => w > 0).length;
  }

  /** Sum of the outputs' weights: all influence that there is. */
  get total(): number {
    return this.weights.reduce((a, b) => a + b, 0);
  }

  /**
   * Influence of every node on the outputs. What is still missing of a row counts as one source of its own, so that
   * this bounds the final influence of a node from above.
   */
  influence(): Float64Array {
    const found = new Float64Array(this.width);
    this.rows.forEach((edges, r) => {
      const flow = this.weights[r] + found[this.nodes[r]];
      if (flow === 0) return;
      let [sum, size] = [0, 0];
      for (const edge of edges) {
        sum += edge;
        size += Math.abs(edge);
      }
      size += Math.abs(this.values[r] - sum);
      if (size === 0) return;
      for (let s = 0; s < edges.length; s++) found[s] += (flow * Math.abs(edges[s])) / size;
    });
    return found;
  }

  /** Share of the influence that does not end at features that were not followed, of those from `first` on. */
  followed(first: number, features: readonly { readonly ids: ArrayLike<number> }[]): number {
    const count = features.reduce((n, { ids }) => n + ids.length, 0);
    const own = new Set(this.nodes);
    if (own.size === this.rows.length && this.rows.length >= count + this.outputs) return 1;
    const influence = this.influence();
    let lost = 0;
    for (let i = first; i < first + count; i++) if (!own.has(i)) lost += influence[i];
    return this.total > 0 ? 1 - lost / this.total : 1;
  }
}

export interface Choice {
  readonly threshold?: number;
  readonly maxFeatures?: number;
  readonly layers: number;
  /** Rows that there may be, outputs included. */
  readonly all: number;
}

/**
 * Features of a layer to follow: those without the least influential, which together have no more than the layer's part
 * of the share that may be lost; at most the layer's part of `maxFeatures`.
 * @param own number of the layer's first feature node, and how many it has
 * @returns numbers within the layer, ascending
 */
export function chooseFeatures(
  store: RowStore,
  own: { first: number; count: number },
  choice: Choice,
): number[] {
  const { first, count } = own;
  const { threshold = 1, maxFeatures, layers, all } = choice;
  const every = Array.from({ length: count }, (_, i) => i);
  if (threshold === 1 && maxFeatures === undefined) return every;
  const influence = store.influence();
  const order = every.sort((a, b) => influence[first + b] - influence[first + a]);
  const most = Math.max(0, Math.min(count, all - store.nodes.length));
  let kept = maxFeatures === undefined ? count : Math.min(most, Math.ceil(maxFeatures / layers));
  const mayLose = ((1 - threshold) * store.total) / layers;
  let lost = order.slice(kept).reduce((sum, i) => sum + influence[first + i], 0);
  while (kept > 0 && lost + influence[first + order[kept - 1]] <= mayLose) {
    kept--;
    lost += influence[first + order[kept]];
  }
  return order.slice(0, kept).sort((a, b) => a - b);
}
