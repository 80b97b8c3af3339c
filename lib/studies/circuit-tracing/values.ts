/** Values that features are given in a batch, entered row by row and made one edit for each layer. */
import { type FeatureEdit, featureEdits, type TranscoderSet } from "../../circuits/index.js";
import type { Batch, Edits } from "../../model/index.js";
import { filled, type Tensor } from "../../tensor.js";
import type { Feature } from "./activity.js";

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
