/** What in a `parameters` cell follows from the values that are given: defaults that are computed from others. */

/** A statement of a cell; a declaration of several names one by one. */
export interface CellStatement {
  /** Names that it declares; none where it is no declaration that may stand in a second cell. */
  declares: readonly string[];
  /** Names that it reads when it runs. */
  reads: ReadonlySet<string>;
  /** Its source, complete in itself. */
  code: string;
}

export interface Followers {
  /** Source of the declarations to be made again, after the given values, in order. */
  again: string[];
  /** Statements that have used a default of `reads` and are not repeated. */
  kept: { reads: string[]; code: string }[];
}

/**
 * Finds what a cell computes from parameters that are given: declarations are repeated; a statement of another
 * kind may not be, nor a declaration whose names such a statement uses, as it may have changed them.
 * @param given names that the caller gives values for
 */
export function followersOf(statements: readonly CellStatement[], given: readonly string[]): Followers {
  const changed = new Set(given);
  const usedElsewhere = new Set(
    statements.flatMap(({ declares, reads }) => (declares.length === 0 ? [...reads] : [])),
  );
  const again: string[] = [];
  const kept: Followers["kept"] = [];
  for (const { declares, reads, code } of statements) {
    const read = [...reads].filter((name) => changed.has(name));
    if (read.length === 0 || declares.some((name) => given.includes(name))) continue;
    if (declares.length === 0 || declares.some((name) => usedElsewhere.has(name))) {
      kept.push({ reads: read, code });
      continue;
    }
    again.push(code);
    for (const name of declares) changed.add(name);
  }
  return { again, kept };
}
