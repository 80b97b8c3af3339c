/** Features and streams of one run put into another: rows of a batch take those of its other rows. */
import type { FeatureRun } from "../../circuits/index.js";
import { type Batch, type Edits, edit } from "../../model/index.js";
import type { Tensor } from "../../tensor.js";
import type { Feature, MatchedFeatures } from "./activity.js";
import { type Arms, matchedArms, type Pick, type Side } from "./arms.js";
import type { Patch } from "./measurements.js";
import { runForFeatures, runsFrom, streamBefore } from "./runs.js";
import type { Subject } from "./subject.js";
import { donated, donation } from "./values.js";

export interface PatchRequest {
  readonly batch: Batch;
  readonly layers: readonly number[];
  /** By row, the row that it takes values from. */
  readonly donors: readonly number[];
  /** By row, the columns that take the donor's values at the same columns. */
  readonly columns: readonly (readonly number[])[];
  /** By row, the concepts whose features are patched together; of rows that only give there are none. */
  readonly concepts: readonly (readonly MatchedFeatures[])[];
  readonly turned: (row: number, logits: Float32Array) => boolean;
}

export interface PatchedArms extends Patch {
  readonly turned: Arms<boolean>;
  readonly stream: readonly boolean[];
  readonly allFeatures: readonly boolean[];
}

/** Which answers turn, with the chosen features patched, with random ones, with all, and with the stream itself. */
export async function patchArms(subject: Subject, request: PatchRequest): Promise<PatchedArms> {
  const { set, settings } = subject;
  const { batch, layers, donors, concepts } = request;
  const columns = request.columns.map((own, row) => (concepts[row].length > 0 ? own : []));
  const capture = [streamBefore(layers[0])];
  const clean = await runForFeatures(subject, batch, { capture, layers });
  const stream = clean.cache.get(capture[0]);
  const runUnder = runsFrom(subject, batch, layers[0], stream);
  const from = await donated(subject, clean, { layers, donors, columns });
  const turned = (logits: readonly Float32Array[]): boolean[] =>
    logits.flatMap((own, row) => (concepts[row].length > 0 ? [request.turned(row, own)] : []));
  const run = async (featuresOf: (row: number) => readonly Feature[], side: Side): Promise<boolean[]> => {
    const features = concepts.map((_, row) => featuresOf(row));
    return turned(await runUnder(donation(set, { batch, from, columns }, { features, side })));
  };
  const named = (row: number, pick: Pick): readonly Feature[] => concepts[row].flatMap((of) => pick(of).set);
  return {
    turned: await matchedArms(settings.randomSets, (pick, side) => run((row) => named(row, pick), side)),
    allFeatures: await run(() => [], "complement"),
    stream: turned(await runUnder(streamEdits(request, stream))),
  };
}

/** The residual stream of the donors before the first layer. */
function streamEdits({ batch, layers, donors, columns }: PatchRequest, { data, shape }: Tensor): Edits {
  const perRow = data.length / batch.size;
  const moved = new Float32Array(data.length);
  for (const [row, donor] of donors.entries())
    moved.set(data.subarray(donor * perRow, (donor + 1) * perRow), row * perRow);
  return { [streamBefore(layers[0])]: edit.fill({ data: moved, shape }, { positions: columns }) };
}

/** Activation by row, column and feature; 0 where it is not active. */
export function lookup({
  batch,
  tokens,
  layers,
}: FeatureRun): (row: number, column: number, feature: Feature) => number {
  const tokenAt = new Map(tokens.map(({ row, column }, t) => [row * batch.seqLength + column, t]));
  const active = layers.map(({ offsets, ids, values }) =>
    tokens.map((_, t) => {
      const own = new Map<number, number>();
      for (let i = offsets[t]; i < offsets[t + 1]; i++) own.set(ids[i], values[i]);
      return own;
    }),
  );
  return (row, column, { layer, feature }) =>
    active[layer][tokenAt.get(row * batch.seqLength + column)!]?.get(feature) ?? 0;
}
