/** Rules that pick some of the visual tokens. */
import { ModalscopeError } from "../../errors.js";
import type { TaskOptions } from "../../progress.js";
import { seeded } from "../../random.js";
import type { Batch, BatchImage } from "../batch/index.js";
import type { Model } from "../model.js";

/** A rule by which visual tokens are kept. */
export type TokenRule =
  /**
   * Those that get most attention, or least, which is the control: from the last token, as FastV's code has it, or on
   * average from every token, as its paper does (Chen et al. 2024, arXiv 2403.06764). It is read at block `layer`, by
   * default the one before the tokens are dropped; heads are averaged.
   */
  | {
      readonly kind: "attention";
      readonly queries?: "last" | "all";
      readonly layer?: number;
      readonly order?: "most" | "least";
    }
  /** Random ones; of equal seeds, what is kept of fewer tokens is kept of more. */
  | { readonly kind: "random"; readonly seed?: number }
  /** A uniform grid over each image, or each of its tiles. */
  | { readonly kind: "grid" };

/** For each row of the batch its visual tokens' columns, some of them. */
export type KeptColumns = readonly (readonly number[])[];

/** Number of tokens that a share of `count` comes to. */
export function shareOf(count: number, share: number): number {
  return Math.round(share * count);
}

/** Scores of each row's visual tokens (rows, tokens) by block: the attention that they get. */
export type ReceivedAttention = ReadonlyMap<string, readonly Float64Array[]>;

/** The block whose attention a rule reads where tokens are dropped before block `from`. */
function attentionLayer(rule: Extract<TokenRule, { kind: "attention" }>, from: number): number {
  const layer = rule.layer ?? from - 1;
  if (layer >= 0) return layer;
  throw new ModalscopeError(
    "Before block 0 no attention is known by which tokens could be kept.",
    "",
    'Drop them from block 1 on, or say which block\'s attention is read: { kind: "attention", layer: 0 }.',
  );
}

const attentionKey = (layer: number, queries: "last" | "all"): string => `${layer} ${queries}`;

/**
 * The attention that the rules ask for, from one run: of each row's visual tokens the share of the queries' attention,
 * averaged over heads and queries.
 * @throws ModalscopeError for a block that the model has not, and a rule by attention before block 0
 */
export async function receivedAttention(
  model: Model,
  batch: Batch,
  rules: readonly TokenRule[],
  froms: readonly number[],
  { signal, onProgress }: TaskOptions,
): Promise<ReceivedAttention> {
  const received = new Map<string, Float64Array[]>();
  for (const queries of ["last", "all"] as const) {
    const layers = new Set(
      rules.flatMap((rule) =>
        rule.kind === "attention" && (rule.queries ?? "last") === queries
          ? froms.map((from) => attentionLayer(rule, from))
          : [],
      ),
    );
    if (layers.size === 0) continue;
    const hook = (layer: number): string => `blocks.${layer}.attn.hook_pattern`;
    // (batch, heads, keys)
    const capture = [...layers].map((l) => ({ hook: hook(l), positions: queries, reduce: "mean" as const }));
    const options = {
      capture,
      logits: "none",
      stopAtLayer: 1 + Math.max(...layers),
      signal,
      onProgress,
    } as const;
    const { cache } = await model.run(batch, options);
    for (const layer of layers) {
      const { data, shape } = cache.get(`${hook(layer)}/mean`);
      const [, heads, keys] = shape;
      const ofRow = (columns: readonly number[], b: number): Float64Array =>
        Float64Array.from(columns, (key) => {
          let sum = 0;
          for (let h = 0; h < heads; h++) sum += data[(b * heads + h) * keys + key];
          return sum / heads;
        });
      received.set(attentionKey(layer, queries), batch.visual.map(ofRow));
    }
  }
  return received;
}

/** Where visual tokens are dropped, and what is known of them. */
export interface Dropping {
  readonly batch: Batch;
  /** The block before which they are dropped. */
  readonly from: number;
  /** Share that is kept. */
  readonly keep: number;
  readonly received: ReceivedAttention;
}

/** The columns that a rule keeps, by row, in the batch's order; of every row the same share. */
export function keptColumns(rule: TokenRule, { batch, from, keep, received }: Dropping): KeptColumns {
  switch (rule.kind) {
    case "attention": {
      const { queries = "last", order = "most" } = rule;
      const scores = received.get(attentionKey(attentionLayer(rule, from), queries))!;
      const sign = order === "most" ? -1 : 1;
      return batch.visual.map((columns, b) =>
        inOrder(
          columns,
          ranked(columns.length, (i) => sign * scores[b][i]),
          keep,
        ),
      );
    }
    case "random": {
      const random = seeded(rule.seed ?? 0);
      return batch.visual.map((columns) => {
        const order = random.shuffle(Array.from(columns.keys()));
        return inOrder(columns, order, keep);
      });
    }
    case "grid":
      return batch.visual.map((columns, row) => {
        const images = (batch.images ?? []).filter((image) => image.row === row);
        return gridColumns(images, shareOf(columns.length, keep));
      });
  }
}

/** Numbers below `count` by ascending score; of equal ones the first first. */
function ranked(count: number, score: (i: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => i).sort((a, b) => score(a) - score(b) || a - b);
}

/** The columns at the first places of an order, as they stand in the batch. */
function inOrder(columns: readonly number[], order: readonly number[], keep: number): number[] {
  return order
    .slice(0, shareOf(columns.length, keep))
    .sort((a, b) => a - b)
    .map((i) => columns[i]);
}

/** Columns of `count` tokens spread evenly over the tiles of some images, and over the rows and columns of each. */
function gridColumns(images: readonly BatchImage[], count: number): number[] {
  const tiles = images.flatMap(({ image, positions }) =>
    [...groupBy([...image.tokens.keys()], (t) => image.tokens[t].tile).values()].map((tokens) =>
      [...groupBy(tokens, (t) => image.tokens[t].row).values()].map((row) => row.map((t) => positions[t])),
    ),
  );
  const counts = allotted(
    tiles.map((rows) => rows.flat().length),
    count,
  );
  return tiles.flatMap((rows, i) => gridOfRows(rows, counts[i])).sort((a, b) => a - b);
}

/** `count` items spread over rows of items: evenly spaced rows, and evenly spaced items in each. */
function gridOfRows<T>(rows: readonly (readonly T[])[], count: number): T[] {
  const width = Math.max(...rows.map((row) => row.length));
  // As many rows as make squares of the spaces between; more where rows are too short for that.
  let lines = Math.min(rows.length, Math.max(1, Math.round(Math.sqrt((count * rows.length) / width))));
  let chosen = spaced(rows, lines);
  while (chosen.flat().length < count) chosen = spaced(rows, ++lines);
  const counts = allotted(
    chosen.map((row) => row.length),
    count,
  );
  return chosen.flatMap((row, i) => spaced(row, counts[i]));
}

/** `count` items in the middles of as many equal stretches of a list. */
function spaced<T>(items: readonly T[], count: number): T[] {
  return Array.from({ length: count }, (_, i) => items[Math.floor(((i + 0.5) * items.length) / count)]);
}

/** `count` in whole parts proportional to sizes, none larger than its size: the largest remainders round up. */
function allotted(sizes: readonly number[], count: number): number[] {
  const total = sizes.reduce((sum, n) => sum + n, 0);
  const exact = sizes.map((n) => (total === 0 ? 0 : (count * n) / total));
  const parts = exact.map(Math.floor);
  const left = count - parts.reduce((sum, n) => sum + n, 0);
  for (const i of ranked(sizes.length, (j) => parts[j] - exact[j]).slice(0, left)) parts[i]++;
  return parts;
}

function groupBy<T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const own = groups.get(key(item));
    if (own) own.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
