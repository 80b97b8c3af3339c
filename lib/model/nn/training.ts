/**
 * Layers in graphs for training: nothing inside them is a hook, and their derivatives are written out, in fewer passes
 * over memory than those of their parts take.
 */
import {
  type Chosen,
  type Dim,
  evenParts,
  layerNormalised,
  type Node,
  ops,
  padLike,
  repeatedRows,
  rmsNormalised,
  rotated,
  upToPart,
  withPullback,
  withRowsOf,
} from "../graph/index.js";

/** An RMS norm over the last axis; its derivatives read the input and one over the scale. */
export function trainedRmsNorm(x: Node, gain: Node, epsilon: number): Node {
  const width = gain.shape[0] as number;
  const { value, inverse } = rmsNormalised(x, gain, epsilon);
  // With s = 1/√(mean x² + ε) and h = g · gain: dx = h·s − x · mean(h·x) · s³, d gain = Σ g·x·s.
  return withPullback(value, [x, gain], (g) => {
    const product = ops.mul(g, x);
    const mean = ops.mul(ops.linear(product, ops.reshape(gain, [1, width])), 1 / width); // (…, 1)
    const cube = ops.mul(inverse, ops.mul(inverse, inverse));
    const along = ops.mul(x, ops.mul(mean, cube));
    const dx = ops.sub(ops.mul(ops.mul(g, gain), inverse), along);
    return [dx, ops.reshape(ops.outerSum(product, inverse), [width])];
  });
}

/** A layer norm over the last axis. */
export function trainedLayerNorm(x: Node, gain: Node, bias: Node, epsilon: number): Node {
  const width = gain.shape[0] as number;
  const { value, mean, inverse } = layerNormalised(x, [gain, bias], epsilon);
  // With y = (x − mean) · s and h = g · gain: dx = (h − mean(h) − y · mean(h·y)) · s.
  return withPullback(value, [x, gain, bias], (g) => {
    const y = ops.mul(ops.sub(x, mean), inverse);
    const product = ops.mul(g, y);
    const meanOf = (of: Node): Node => ops.mul(ops.linear(of, ops.reshape(gain, [1, width])), 1 / width);
    const along = ops.add(ops.mul(y, meanOf(product)), meanOf(g));
    const dx = ops.mul(ops.sub(ops.mul(g, gain), along), inverse);
    const ones = ops.mul(inverse, 0);
    return [
      dx,
      ops.reshape(ops.outerSum(product, ops.add(ones, 1)), [width]),
      ops.reshape(ops.outerSum(g, ops.add(ones, 1)), [width]),
    ];
  });
}

/** Queries or keys (batch, time, heads, head_dim) turned by their positions: backwards they turn back. */
export function trainedRotary(x: Node, { cos, sin }: Readonly<Record<"cos" | "sin", Node>>): Node {
  return withPullback(rotated(x, cos, sin), [x], (g) => [rotated(g, cos, ops.neg(sin))]);
}

/** Options of attention in training. */
export interface TrainedAttention {
  /** Added to the scores: (batch or 1, 1, time, keys), where it is not the same for all queries. */
  readonly mask: Node;
  readonly scale: number;
  /** Whether the mask hides all keys after a query's own: what it hides is then not computed where it need not be. */
  readonly causal: boolean;
}

/** Pieces that attention is taken in: what one works with should lie in a processor's cache. */
const PARTS = 6;
const PART_NUMBERS = Array.from({ length: PARTS }, (_, i) => i);

/** How attention is taken in pieces. */
interface Pieces {
  /** Of (batch, key-value heads, group · time, …), the queries of a piece. */
  queries(x: Node, i: number): Node;
  /** Of (batch, key-value heads, time, …), the keys that these may see. */
  keys(x: Node, i: number): Node;
  mask(i: number): Node;
  joinQueries(pieces: readonly Node[]): Node;
  /** The sum by key of what came of the pieces. */
  joinKeys(pieces: readonly Node[]): Node;
}

/**
 * softmax(scale · q kᵀ + mask) v, in pieces.
 * @param q (batch, time, heads, head_dim), rotated; k, v: (batch, time, key-value heads, head_dim)
 * @returns (batch, time, heads, head_dim)
 */
export function trainedAttention(
  { q, k, v }: { readonly q: Node; readonly k: Node; readonly v: Node },
  { mask, scale, causal }: TrainedAttention,
): Node {
  const group = (q.shape[2] as number) / (k.shape[2] as number);
  const [query, key, value] = [rowsOf(q, group), ops.mul(rowsOf(k, 1), scale), rowsOf(v, 1)];
  const ofQueries = mask.shape[2] === q.shape[1] && group > 1;
  const hidden = ofQueries ? repeatedRows(mask, group, query.shape[2]) : mask;
  const pieces = causal ? piecesOfQueries(q, key, hidden, group) : piecesOfRows(q, hidden);
  const all = (compute: (i: number) => Node): Node[] => PART_NUMBERS.map(compute);
  const patterns = all((i) => {
    const scores = ops.matmul(pieces.queries(query, i), turned(pieces.keys(key, i)));
    return ops.softmax(ops.add(scores, pieces.mask(i), scores.shape));
  });
  const mixed = all((i) => ops.matmul(patterns[i], pieces.keys(value, i)));
  const out = headsOf(pieces.joinQueries(mixed), q);
  // With p the pattern and g the cotangent: ds = p · (g vᵀ − Σ g · out); the sum goes along as one more column of g.
  return withPullback(out, [q, k, v], (g) => {
    const cotangent = rowsOf(g, group);
    const minus = ops.neg(ops.sum(ops.mul(g, out), [-1], true));
    const widened = ops.concat([cotangent, rowsOf(minus, group)], -1);
    const ones = ops.add(ops.mul(ops.slice(value, -1, 0, 1), 0), 1);
    const values = ops.concat([value, ones], -1);
    const scores = all((i) =>
      ops.mul(patterns[i], ops.matmul(pieces.queries(widened, i), turned(pieces.keys(values, i)))),
    );
    const dq = pieces.joinQueries(all((i) => ops.matmul(scores[i], pieces.keys(key, i))));
    const dk = pieces.joinKeys(all((i) => ops.matmul(turned(scores[i]), pieces.queries(query, i))));
    const dv = pieces.joinKeys(all((i) => ops.matmul(turned(patterns[i]), pieces.queries(cotangent, i))));
    return [headsOf(dq, q), headsOf(ops.mul(dk, scale), k), headsOf(dv, v)];
  });
}

/** Some queries each, and no key that the last of them does not see. */
function piecesOfQueries(q: Node, key: Node, mask: Node, group: number): Pieces {
  const time = q.shape[1];
  const [lengths, rows] = [1, group].map((each) => evenParts(q, -3, PARTS, each));
  const queries = (x: Node, i: number): Node => ops.splitPart(x, rows, -2, i, `${group}·${time}.${i}`);
  const upTo = (x: Node, axis: number, i: number): Node =>
    i === PARTS - 1 ? x : upToPart(x, lengths, axis, i, `${time}..${i}`);
  return {
    queries,
    keys: (x, i) => upTo(x, -2, i),
    mask: (i) => upTo(queries(mask, i), -1, i),
    joinQueries: (pieces) => ops.concat(pieces, -2, timesName(group, time)),
    joinKeys: (pieces) => pieces.map((x) => padLike(x, key, -2)).reduce((a, b) => ops.add(a, b, key.shape)),
  };
}

/** Some rows of the batch each. */
function piecesOfRows(q: Node, mask: Node): Pieces {
  const [batch] = q.shape;
  const lengths = evenParts(q, -4, PARTS, 1);
  const rows = (x: Node, i: number): Node => ops.splitPart(x, lengths, -4, i, `${batch}.${i}`);
  const join = (pieces: readonly Node[]): Node => ops.concat(pieces, -4, batch);
  const masks = withRowsOf(mask, q);
  return { queries: rows, keys: rows, mask: (i) => rows(masks, i), joinQueries: join, joinKeys: join };
}

/** (batch, time, heads, size) → (batch, heads / group, time · group, size): a group's heads beside each other. */
function rowsOf(x: Node, group: number): Node {
  const [batch, time, heads, size] = x.shape as [Dim, Dim, number, number];
  if (group === 1) return ops.transpose(x, [0, 2, 1, 3]);
  const grouped = ops.reshape(x, [batch, time, heads / group, group, size]);
  const turned = ops.transpose(grouped, [0, 2, 1, 3, 4]); // (batch, heads / group, time, group, size)
  return ops.reshape(turned, [batch, heads / group, timesName(group, time), size]);
}

/** Undoes \`rowsOf\`: the shape of \`like\`. */
function headsOf(x: Node, like: Node): Node {
  const [batch, time, heads, size] = like.shape as [Dim, Dim, number, number];
  const outer = x.shape[1] as number;
  if (outer === heads) return ops.transpose(x, [0, 2, 1, 3]);
  const grouped = ops.reshape(x, [batch, outer, time, heads / outer, size]);
  return ops.reshape(ops.transpose(grouped, [0, 2, 1, 3, 4]), [batch, time, heads, size]);
}

/** Name of the length of `each` rows for one of a length. */
function timesName(each: number, length: Dim): Dim {
  return each === 1 ? length : `${each}·${length}`;
}

/** Swaps the last two of four axes. */
function turned(x: Node): Node {
  return ops.transpose(x, [0, 1, 3, 2]);
}

/** Rows in the order of their experts: (tokens, width) → (tokens · k, width). */
export function dispatched(x: Node, routes: Chosen): Node {
  return withPullback(ops.gather(x, routes.tokens), [x], (g) => [combined(g, routes)]);
}

/** The sum of each token's rows: (tokens · k, width) → (tokens, width). */
export function combined(rows: Node, routes: Chosen): Node {
  const sum = ops.sum(ops.gather(rows, routes.positions), [-2]);
  return withPullback(sum, [rows], (g) => [dispatched(g, routes)]);
}
