/** Interventions on features as edits of a run, of a sweep or of a generation. */
import { ModalscopeError } from "../errors.js";
import { type Edit, type Edits, edit, type FeatureChange, type Placement } from "../model/index.js";
import { activationAt, type FeatureRun, type TokenPlace } from "./encode-run.js";
import type { TranscoderSet } from "./transcoders/types.js";

/** A change of one feature: `set` clamps it (0 suppresses it), `scale` boosts it, `add` shifts it. */
export type FeatureEdit = FeatureChange & Placement & { readonly layer: number };

/**
 * Edits that change features: Δz · d is added wherever the features write, in each block that they write to.
 *
 *     const edits = featureEdits(set, [{ layer: 7, feature: 31, set: 0, positions: batch.visual }]);
 *     await model.generate(batch, { edits });
 *
 * Δz is taken from the activation in the run itself, after TopK. All changes of a layer at the same place
 * are one edit.
 * @throws ModalscopeError for a layer or feature that does not exist
 */
export function featureEdits(set: TranscoderSet, changes: readonly FeatureEdit[]): Edits {
  const groups = new Map<string, FeatureEdit[]>();
  // Many changes may share one long list of positions: it is read once and goes by a number.
  const read = new Map<FeatureEdit["positions"], number>();
  const numbers = new Map<string, number>();
  const numberOf = (positions: FeatureEdit["positions"]): number => {
    const before = read.get(positions);
    if (before !== undefined) return before;
    const text = JSON.stringify(positions) ?? "";
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    read.set(positions, number);
    return number;
  };
  for (const change of changes) {
    const { layer, rows, positions, phase } = change;
    if (!set.layers[layer]) {
      throw new ModalscopeError(
        `There is no layer ${layer} of transcoders.`,
        `They are of layers 0 … ${set.layers.length - 1}.`,
      );
    }
    const key = JSON.stringify([layer, rows, numberOf(positions), phase]);
    const group = groups.get(key);
    if (group) group.push(change);
    else groups.set(key, [change]);
  }
  const edits: Record<string, Edit[]> = {};
  // A lower layer's edits come first: where features write on, their change is known by then.
  for (const group of [...groups.values()].sort(([a], [b]) => a.layer - b.layer)) {
    const [{ layer, rows, positions, phase }] = group;
    const source = set.layers[layer];
    const placed = { ...(rows && { rows }), ...(positions && { positions }), ...(phase && { phase }) };
    const own = group.map(({ feature, set, scale, add }) => ({ feature, set, scale, add }));
    for (const target of source.targets) {
      const hook = `blocks.${target}.${set.hookOut}`;
      edits[hook] = [...(edits[hook] ?? []), edit.features(source, own, placed)];
    }
  }
  return edits;
}

/** Which recorded activations go where. */
export interface FeaturePatch {
  readonly layer: number;
  readonly features: readonly number[];
  /** Tokens of the recorded run. */
  readonly from: readonly TokenPlace[];
  /** Columns that take them, one for each. */
  readonly to: readonly number[];
  readonly row?: number;
}

/**
 * Changes that give features the activations they had in another run, such as on another image.
 * @throws ModalscopeError when there are not as many places to take from as to give to
 */
export function patchedFeatures(
  recorded: FeatureRun,
  { layer, features, from, to, row }: FeaturePatch,
): FeatureEdit[] {
  if (from.length !== to.length) {
    throw new ModalscopeError(
      `Features of ${from.length} tokens cannot be put at ${to.length}.`,
      "Each token takes those of one.",
    );
  }
  return from.flatMap((place, i) =>
    features.map((feature) => ({
      ...{ layer, feature, positions: [to[i]] },
      set: activationAt(recorded, layer, feature, place),
      ...(row !== undefined && { rows: [row] }),
    })),
  );
}
