/** Measurements that are shared out among jobs: each measures some points of every sweep, and a last run joins them. */
import { ModalscopeError } from "../../errors.js";
import { mergeSweeps, type SweepResult } from "../../model/methods/index.js";
import type { Untestable } from "../index.js";
import type { Share, Store } from "./store.js";
import { type ByRows, eachCall, type Subject } from "./subject.js";

/**
 * Reads a share as a parameter gives it: "3/8" is the fourth of eight, "all/8" joins the eight, "" is everything at once.
 * @throws ModalscopeError for any other text
 */
export function parseShare(text: string): Share | undefined {
  if (text === "") return undefined;
  const [, first = "", second = ""] = /^(all|\d+)\/(\d+)$/.exec(text) ?? [];
  const [index, count] = [first === "all" ? ("all" as const) : Number(first), Number(second)];
  if (count >= 1 && (index === "all" || (first !== "" && index < count))) return { index, count };
  throw new ModalscopeError(
    `"${text}" is not a share.`,
    "It says which of how many: 0/8 is the first of eight.",
    'Give 0/8 to 7/8, and after them all/8; "" measures everything at once.',
  );
}

/** A share of a measurement, as it is kept. */
interface Piece extends ByRows {
  readonly settings: string;
  readonly points: readonly unknown[];
}

type Measure<P> = (own: readonly P[], from: number, to: number) => Promise<ByRows>;

/**
 * Measures samples at some points, a few samples at a time. A share's rows are NaN at the points of others.
 * @param points numbers, or objects of them
 * @throws ModalscopeError when shares are to be joined and one is missing, or is of other settings
 */
export async function atPoints<P>(
  calls: Pick<Subject, "rowsPerCall" | "store">,
  name: string,
  { count, points }: { readonly count: number; readonly points: readonly P[] },
  measure: Measure<P>,
): Promise<ByRows> {
  const { store } = calls;
  const { share } = store;
  return eachCall(calls, count, async (from, to) => {
    const key = `${name}-${from}`;
    if (share === undefined || store.has(key)) return store.remember(key, () => measure(points, from, to));
    if (share.index === "all") return store.remember(key, () => joined(store, key, share.count, points));
    const index = share.index;
    const own = points.filter((_, p) => p % share.count === index);
    const piece = await store.remember(pieceName(key, index, share.count), async (): Promise<Piece> => {
      // Where there are more shares than points: the clean run is what shares are held against all the same.
      const { rows, clean } = await measure(own.length > 0 ? own : points.slice(0, 1), from, to);
      return { settings: store.settings ?? "", points, rows: own.length > 0 ? rows : [], clean };
    });
    return spread(piece, { index, count: share.count });
  });
}

const pieceName = (key: string, index: number, count: number): string => `${key}.share-${index}-of-${count}`;

/** The rows of a share at the places of its points, NaN elsewhere; a sample that was left out has none. */
function spread({ points, rows, clean }: Piece, { index, count }: { index: number; count: number }): ByRows {
  const all = clean.map((_, b) =>
    rows[b]?.length === 0
      ? []
      : points.map((_, p) => (p % count === index ? rows[b][Math.floor(p / count)] : Number.NaN)),
  );
  return { rows: all, clean };
}

async function joined(store: Store, key: string, count: number, points: readonly unknown[]): Promise<ByRows> {
  const indexes = Array.from({ length: count }, (_, i) => i);
  const missing = indexes.filter((i) => !store.has(pieceName(key, i, count)));
  if (missing.length > 0) throw lacks(store, key, missing, count);
  const sweeps: SweepResult[] = [];
  const leftOut = new Set<number>();
  for (const index of indexes) {
    const piece = await store.remember(pieceName(key, index, count), (): Promise<Piece> => {
      throw new ModalscopeError(
        `Share ${index}/${count} of "${store.prefix ?? ""}${key}" cannot be read.`,
        "Its file is broken.",
        `Remove it and measure it anew with share = "${index}/${count}".`,
      );
    });
    if (piece.settings !== (store.settings ?? ""))
      throw new ModalscopeError(
        `Share ${index}/${count} of "${store.prefix ?? ""}${key}" was measured with other settings.`,
        "The checkpoint, the data, the sizes or the blocks are not those of this run.",
        `Measure it with share = "${index}/${count}" and these settings.`,
      );
    for (const [b, row] of piece.rows.entries()) if (row.length === 0) leftOut.add(b);
    sweeps.push(asSweep(piece, index, count));
  }
  const { values, clean, axes } = mergeSweeps(sweeps);
  if (JSON.stringify(axes[0].values) !== JSON.stringify(points))
    throw new ModalscopeError(
      `The shares of "${key}" were measured at other points.`,
      "",
      "Measure them anew.",
    );
  const rows = Array.from(clean, (_, b) =>
    leftOut.has(b) ? [] : points.map((_, p) => values.data[p * clean.length + b]),
  );
  return { rows, clean: Array.from(clean) };
}

function asSweep(piece: Piece, index: number, count: number): SweepResult {
  const { rows, clean } = spread(piece, { index, count });
  const data = Float64Array.from(piece.points.flatMap((_, p) => rows.map((row) => row[p] ?? Number.NaN)));
  return {
    values: { data, shape: [piece.points.length, clean.length] },
    axes: [{ name: "point", values: piece.points }],
    clean: Float64Array.from(clean),
    part: [index, count],
  };
}

function lacks(
  { prefix = "" }: Store,
  name: string,
  missing: readonly number[],
  count: number,
): ModalscopeError {
  const shares = missing.map((i) => `${i}/${count}`);
  return new ModalscopeError(
    `"${prefix}${name}" lacks ${shares.length === 1 ? "the share" : "the shares"} ${shares.join(", ")}.`,
    "It was not measured with these settings, or is not in the folder `save`.",
    `Run with share = "${shares[0]}"${shares.length === 1 ? "" : " and the others"} first.`,
  );
}

/**
 * Measures what has no points to share out: the job of one share does it as a whole, and the others leave it out.
 * @param place among the measurements of this kind
 */
export async function wholly<T>(
  store: Store,
  name: string,
  place: number,
  make: () => Promise<T>,
): Promise<T | Untestable> {
  const { share } = store;
  if (share === undefined || store.has(name)) return store.remember(name, make);
  const index = place % share.count;
  if (share.index === index) return store.remember(name, make);
  if (share.index === "all") throw lacks(store, name, [index], share.count);
  return { untestable: `${name} is measured by share ${index}/${share.count}` };
}

/** Why a measurement of which only a share was made is not judged; undefined where all of it is there. */
export function onlyAShare({ share }: Store): Untestable | undefined {
  if (share === undefined || share.index === "all") return undefined;
  const { index, count } = share;
  return { untestable: `share ${index}/${count} was measured; share = "all/${count}" joins all of them` };
}
