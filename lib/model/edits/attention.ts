/** Pairs of queries and keys whose attention edits block. */

import { keyCount, type Pass } from "../batch/index.js";
import { columnsOf, resolveColumns } from "./apply.js";
import type { BoundEdit } from "./values.js";

/** Queries and keys that the mask edits of a pass hide from each other, in the pass's own columns. */
export function maskedPairs(
  edits: readonly BoundEdit[],
  pass: Pass,
): { row: number; head: number | "all"; query: number; key: number }[] {
  const pairs: { row: number; head: number | "all"; query: number; key: number }[] = [];
  const keys = keyCount(pass);
  for (const placed of edits) {
    const { edit, valueRowOf } = placed;
    if (edit.kind !== "blockAttention") continue;
    if (edit.phase !== undefined && edit.phase !== "both" && edit.phase !== pass.phase) continue;
    const queries = columnsOf(placed, pass);
    const everything = allColumns(pass);
    const hidden = resolveColumns(edit.to, valueRowOf, pass).map((row, b) =>
      row === "all" ? everything[b] : row,
    );
    for (let row = 0; row < pass.size; row++) {
      if (valueRowOf(row) === undefined) continue;
      for (const column of queries[row]) {
        for (const key of hidden[row]) {
          if (key >= keys) continue;
          for (const head of edit.heads ?? (["all"] as const)) {
            pairs.push({ row, head, query: column - pass.start, key });
          }
        }
      }
    }
  }
  return pairs;
}

function allColumns(pass: Pass): number[][] {
  const { size, keyMask } = pass;
  const keys = keyCount(pass);
  return Array.from({ length: size }, (_, b) =>
    Array.from({ length: keys }, (_, k) => k).filter((k) => keyMask[b * keys + k] === 1),
  );
}
