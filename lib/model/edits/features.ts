/**
 * Edits of a transcoder's features: what is added where they write, from their activations in the same pass.
 */
import { ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Pass } from "../batch/index.js";
import type { Hook } from "../hooks/index.js";
import { ADDED, MLP_OUT } from "../nn/index.js";
import { cellsOf } from "./apply.js";
import type { Edit, FeatureChange, FeaturesEdit } from "./edit.js";
import type { BoundEdit, Cell } from "./values.js";

/** A pass through a block: its hook that is edited, and how values of other hooks in it are found. */
interface FeatureSite {
  readonly hook: Hook;
  readonly shape: readonly number[];
  readonly pass: Pass;
  /** The value of a hook of the same block, by its name in it, with the edits so far. */
  read(local: string): Promise<Tensor>;
}

/** Hooks of a block whose values an edit in it needs, by their names in it. */
export function featuresRead(edit: Edit, layer: number): string[] {
  return edit.kind === "features" && edit.source.layer === layer ? [localName(edit.source.hookIn)] : [];
}

/** Edits with what features add, Δz · d, worked out from their activations; other edits stay as they are. */
export function withFeatureDeltas(edits: readonly BoundEdit[], site: FeatureSite): Promise<BoundEdit[]> {
  return Promise.all(
    edits.map(async (placed) =>
      placed.edit.kind === "features"
        ? { ...placed, delta: await deltaOf(placed, placed.edit, site) }
        : placed,
    ),
  );
}

async function deltaOf(placed: BoundEdit, edit: FeaturesEdit, site: FeatureSite): Promise<Float64Array> {
  const { hook, shape, pass } = site;
  const { source, changes } = edit;
  const width = shape[shape.length - 1];
  const delta = new Float64Array(shape.reduce((a, b) => a * b, 1));
  const cells = cellsOf(hook, shape, placed, pass);
  if (cells.length === 0) return delta;
  const target = hook.piece as number;
  const known = memoryOf(placed, changes);
  const key = ({ row, column }: Cell): string => `${placed.valueRowOf(row)} ${column}`;
  if (target === source.layer) {
    const found = await changesAt(placed, edit, cells, await site.read(localName(source.hookIn)));
    cells.forEach((cell, i) => {
      known.set(key(cell), found[i]);
    });
  }
  const rows = source.decoderRows(
    changes.map(({ feature }) => feature),
    target,
  ).data;
  for (const cell of cells) {
    const dz = known.get(key(cell));
    if (!dz) throw notRead(hook, edit);
    for (let c = 0; c < dz.length; c++) {
      const by = dz[c];
      if (by === 0) continue;
      for (let j = 0; j < width; j++) delta[cell.offset + j] += by * rows[c * width + j];
    }
  }
  return delta;
}

/**
 * Δz of each change at each cell: z is what the transcoder makes of `x`, its activation function included.
 */
async function changesAt(
  { valueRowOf }: BoundEdit,
  { source, changes }: FeaturesEdit,
  cells: readonly Cell[],
  x: Tensor,
): Promise<Float64Array[]> {
  const width = x.shape[x.shape.length - 1];
  const data = new Float32Array(cells.length * width);
  cells.forEach(({ offset }, i) => {
    data.set(x.data.subarray(offset, offset + width), i * width);
  });
  const { offsets, ids, values } = await source.encode({ data, shape: [cells.length, width] });
  const count = changes.length;
  const placeOf = new Map(changes.map(({ feature }, c) => [feature, c]));
  /** (cells, changes): first z, then Δz. */
  const found = new Float64Array(cells.length * count);
  for (let t = 0; t < cells.length; t++) {
    for (let i = offsets[t]; i < offsets[t + 1]; i++) {
      const c = placeOf.get(ids[i]);
      if (c !== undefined) found[t * count + c] = values[i];
    }
  }
  const places = cells.map(({ row, column }) => ({ row: valueRowOf(row) ?? 0, column }));
  for (const [c, change] of changes.entries()) {
    const changed = changeOf(change);
    for (let t = 0, i = c; t < cells.length; t++, i += count) {
      const z = found[i];
      const value = changed(z, places[t].row, places[t].column);
      found[i] = Number.isNaN(value) ? 0 : value - z;
    }
  }
  return cells.map((_, t) => found.subarray(t * count, (t + 1) * count));
}

/** A feature's activation after a change, by what it was, the row of the edit's values and the column; NaN as it was. */
function changeOf({ set, scale, add }: FeatureChange): (z: number, row: number, column: number) => number {
  if (typeof set === "number") return () => set;
  if (set === undefined) return scale === undefined ? (z) => z + (add ?? 0) : (z) => z * scale;
  const { data, shape } = set;
  const time = shape[shape.length - 1];
  const perRow = shape.length === 1 ? 0 : time;
  return (_, row, column) => {
    const at = row * perRow + column;
    if (column < time && at < data.length) return data[at];
    throw new ModalscopeError(
      `A feature's activations of shape (${shape.join(", ")}) say nothing of column ${column} in row ${row}.`,
      "",
      'Give the edit positions, or phase: "prompt", that its values cover.',
    );
  };
}

function memoryOf({ memory }: BoundEdit, changes: readonly FeatureChange[]): Map<string, Float64Array> {
  if (!memory) throw new TypeError("An edit of features needs the memory of its run.");
  const known = memory.get(changes) ?? new Map<string, Float64Array>();
  memory.set(changes, known);
  return known;
}

/** `mlp.hook_in` of `blocks.3.mlp.hook_in`. */
const localName = (hook: string): string => hook.replace(/^blocks\.\d+\./, "");

/**
 * @throws ModalscopeError for features that do not exist or write elsewhere, and for hooks that no block
 *   computes inside
 */
export function checkFeatures(hook: Hook, { source, changes }: FeaturesEdit): void {
  const { piece, inside, name, local } = hook;
  if (typeof piece !== "number" || !inside || ![MLP_OUT, ADDED].includes(local)) {
    throw new ModalscopeError(
      `Features cannot be edited at "${name}".`,
      `They write to ${MLP_OUT} or ${ADDED}, where a block computes them; a mixture of experts is added outside.`,
    );
  }
  if (!source.targets.includes(piece)) {
    throw new ModalscopeError(
      `Features of layer ${source.layer} do not write to "${name}".`,
      `They write to layers ${source.targets.join(", ")}.`,
      "featureEdits of modalscope/circuits puts each edit where its features write.",
    );
  }
  const missing = changes.find(
    ({ feature }) => !(Number.isInteger(feature) && feature >= 0 && feature < source.features),
  );
  if (missing) {
    throw new ModalscopeError(
      `Layer ${source.layer} has no feature ${missing.feature}.`,
      `Its features are 0 … ${source.features - 1}.`,
    );
  }
  const seen = new Set<number>();
  const twice = changes.find(({ feature }) => seen.size === seen.add(feature).size);
  if (twice)
    throw new ModalscopeError(
      `Feature ${twice.feature} of layer ${source.layer} is changed twice in one edit.`,
    );
}

function notRead({ name }: Hook, { source }: FeaturesEdit): ModalscopeError {
  return new ModalscopeError(
    `The edit at "${name}" needs its features' activations at ${source.hookIn},`,
    "which no edit of the same changes holds at.",
    "featureEdits of modalscope/circuits makes the edits of all blocks that features write to.",
  );
}
