/** Values that features are given in a batch, by row and column, made one edit for each layer. */
import { type FeatureEdit, featureEdits, type TranscoderSet } from "../../circuits/index.js";
import type { Batch, Edits } from "../../model/index.js";
import { filled, type Tensor } from "../../tensor.js";
import type { Feature } from "./activity.js";
import { type BatchRun, featuresAt } from "./runs.js";
import type { Subject } from "./subject.js";

/** What is not entered stays as it is. */
export class FeatureValues {
  private readonly tables = new Map<number, Map<number, Tensor>>();
  private readonly columns: readonly Set<number>[];

  constructor(
    private readonly set: TranscoderSet,
    private readonly batch: Batch,
  ) {
    this.columns = Array.from({ length: batch.size }, () => new Set());
  }

  /** @param valueAt activation that the feature is given at a column */
  enter(
    row: number,
    { layer, feature }: Feature,
    columns: readonly number[],
    valueAt: (column: number) => number,
  ): void {
    const { size, seqLength } = this.batch;
    const tables = this.tables.get(layer) ?? new Map<number, Tensor>();
    this.tables.set(layer, tables);
    const table = tables.get(feature) ?? filled([size, seqLength], Number.NaN);
    tables.set(feature, table);
    for (const column of columns) {
      table.data[row * seqLength + column] = valueAt(column);
      this.columns[row].add(column);
    }
  }

  get edits(): Edits {
    const positions = this.columns.map((own) => [...own].sort((a, b) => a - b));
    const changes = [...this.tables].flatMap(([layer, tables]) =>
      [...tables].map(([feature, set]): FeatureEdit => ({ layer, feature, set, positions })),
    );
    return featureEdits(this.set, changes);
  }
}

/** Edits that suppress each row's features at its columns. */
export function suppression(
  set: TranscoderSet,
  batch: Batch,
  features: readonly (readonly Feature[])[],
  columns: readonly (readonly number[])[],
): Edits {
  const values = new FeatureValues(set, batch);
  features.forEach((own, row) => {
    for (const feature of own) values.enter(row, feature, columns[row], () => 0);
  });
  return values.edits;
}

/** By layer, each feature's table `(batch, columns)`: where a row takes another one's features, their values there. */
export type Donated = ReadonlyMap<number, readonly Tensor[]>;

export interface Donation {
  readonly layers: readonly number[];
  /** By row, the row that it takes values from. */
  readonly donors: readonly number[];
  /** By row, the columns that take the donor's values at the same columns; none in rows that only give. */
  readonly columns: readonly (readonly number[])[];
}

/** Values of all features of some layers, as they were in the donors of a run. */
export async function donated(
  subject: Pick<Subject, "set">,
  run: BatchRun,
  { layers, donors, columns }: Donation,
): Promise<Donated> {
  const { size, seqLength, tokenPositions } = run.batch;
  const tokens = tokenPositions.flatMap((own, row) => own.map((column) => row * seqLength + column));
  const tokenAt = new Map(tokens.map((place, t) => [place, t]));
  const empty = unchanged(run.batch);
  for (const [row, own] of columns.entries())
    for (const column of own) empty.data[row * seqLength + column] = 0;
  const tables = new Map<number, readonly Tensor[]>();
  for (const layer of layers) {
    const { features, offsets, ids, values } = await featuresAt(subject, run, layer, tokenPositions);
    const own = Array.from({ length: features }, () => ({
      data: empty.data.slice(),
      shape: [size, seqLength],
    }));
    for (const [row, places] of columns.entries()) {
      for (const column of places) {
        const t = tokenAt.get(donors[row] * seqLength + column);
        if (t === undefined) continue;
        for (let i = offsets[t]; i < offsets[t + 1]; i++)
          own[ids[i]].data[row * seqLength + column] = values[i];
      }
    }
    tables.set(layer, own);
  }
  return tables;
}

const unchanged = ({ size, seqLength }: Batch): Tensor => filled([size, seqLength], Number.NaN);

/**
 * Edits that give each row its donor's values of some features, or of all but those.
 * @param features by row
 */
export function donation(
  set: TranscoderSet,
  {
    batch,
    from,
    columns,
  }: { readonly batch: Batch; readonly from: Donated; readonly columns: Donation["columns"] },
  {
    features,
    side,
  }: { readonly features: readonly (readonly Feature[])[]; readonly side: "set" | "complement" },
): Edits {
  const { seqLength } = batch;
  const named = new Map([...from.keys()].map((layer) => [layer, new Map<number, Tensor>()]));
  for (const [row, own] of features.entries()) {
    for (const { layer, feature } of own) {
      const tables = named.get(layer)!;
      const source = from.get(layer)![feature];
      const table =
        tables.get(feature) ?? (side === "set" ? unchanged(batch) : { ...source, data: source.data.slice() });
      tables.set(feature, table);
      const [start, end] = [row * seqLength, (row + 1) * seqLength];
      if (side === "set") table.data.set(source.data.subarray(start, end), start);
      else table.data.fill(Number.NaN, start, end);
    }
  }
  const changes = [...from].flatMap(([layer, all]): FeatureEdit[] => {
    const own = named.get(layer)!;
    const tables =
      side === "set" ? own : all.map((table, feature) => [feature, own.get(feature) ?? table] as const);
    return [...tables].map(([feature, values]) => ({ layer, feature, set: values, positions: columns }));
  });
  return featureEdits(set, changes);
}
