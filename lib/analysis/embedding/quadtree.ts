/**
 * A quadtree over points of the plane, its cells in depth-first order: the cell after `c` is its first child, and
 * `after[c]` the first cell that is not inside it. Walking it needs no stack.
 */
export interface Quadtree {
  readonly cells: number;
  readonly after: Int32Array;
  /** Points in the cell. */
  readonly mass: Float64Array;
  /** Their mean. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** Squared side of the cell; 0 for a leaf, whose points count as one place. */
  readonly size: Float64Array;
  /** `(n)`: the leaf that holds each point. */
  readonly leaf: Int32Array;
  /** `(n)`: the points in the order of their leaves; neighbours in it are neighbours in the plane. */
  readonly order: Int32Array;
}

/** Cells this many halvings below the whole are not split: points so near to each other count as one. */
const DEEPEST = 40;

/** The tree over `n` points, x and y of each in turn. */
export function quadtree(points: Float64Array, n: number): Quadtree {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  const spare = new Int32Array(n);
  const leaf = new Int32Array(n);
  const after: number[] = [];
  const mass: number[] = [];
  const x: number[] = [];
  const y: number[] = [];
  const size: number[] = [];
  /** Half the side of the cell that holds all points. */
  let halfOfAll = 0;

  const build = (from: number, to: number, cx: number, cy: number, depth: number): void => {
    // Halving is exact.
    const half = halfOfAll * 2 ** -depth;
    const cell = mass.length;
    let sumX = 0;
    let sumY = 0;
    let alike = true;
    const [firstX, firstY] = [points[2 * order[from]], points[2 * order[from] + 1]];
    for (let k = from; k < to; k++) {
      const px = points[2 * order[k]];
      const py = points[2 * order[k] + 1];
      sumX += px;
      sumY += py;
      alike &&= px === firstX && py === firstY;
    }
    mass.push(to - from);
    x.push(sumX / (to - from));
    y.push(sumY / (to - from));
    if (alike || depth === DEEPEST) {
      size.push(0);
      for (let k = from; k < to; k++) leaf[order[k]] = cell;
      after.push(cell + 1);
      return;
    }
    size.push(4 * half * half);
    after.push(0);
    const quadrant = (i: number): number => (points[2 * i] > cx ? 1 : 0) + (points[2 * i + 1] > cy ? 2 : 0);
    let at = from;
    const ends = [0, 1, 2, 3].map((q) => {
      for (let k = from; k < to; k++) if (quadrant(order[k]) === q) spare[at++] = order[k];
      return at;
    });
    order.set(spare.subarray(from, to), from);
    const h = half / 2;
    ends.forEach((end, q) => {
      const start = q === 0 ? from : ends[q - 1];
      if (end > start) build(start, end, cx + (q & 1 ? h : -h), cy + (q & 2 ? h : -h), depth + 1);
    });
    after[cell] = mass.length;
  };

  let [left, right, bottom, top] = [points[0], points[0], points[1], points[1]];
  for (let i = 1; i < n; i++) {
    left = Math.min(left, points[2 * i]);
    right = Math.max(right, points[2 * i]);
    bottom = Math.min(bottom, points[2 * i + 1]);
    top = Math.max(top, points[2 * i + 1]);
  }
  halfOfAll = Math.max(right - left, top - bottom) / 2;
  build(0, n, (left + right) / 2, (bottom + top) / 2, 0);
  return {
    cells: mass.length,
    after: Int32Array.from(after),
    mass: Float64Array.from(mass),
    x: Float64Array.from(x),
    y: Float64Array.from(y),
    size: Float64Array.from(size),
    leaf,
    order,
  };
}
