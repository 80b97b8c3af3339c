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
  const dz =
    target === source.layer
      ? await changesAt(placed, edit, cells, await site.read(localName(source.hookIn)))
      : recall(placed, edit, cells, hook);
  if (target === source.layer && source.targets.length > 1) remember(placed, edit, cells, dz);
  const rows = source.decoderRows(
    changes.map(({ feature }) => feature),
    target,
  ).data;
  const offsets = Int32Array.from(cells, ({ offset }) => offset);
  for (let c = 0, i = 0; c < changes.length; c++) {
    for (let t = 0; t < offsets.length; t++) {
      const by = dz[i++];
      if (by === 0) continue;
      for (let j = c * width, to = offsets[t]; j < (c + 1) * width; j++, to++) delta[to] += by * rows[j];
    }
  }
  return delta;
}

/**
 * Δz of each change at each cell, (changes, cells): z is what the transcoder makes of `x`, its activation function
 * included.
 */
async function changesAt(
  { valueRowOf }: BoundEdit,
  { source, changes }: FeaturesEdit,
  cells: readonly Cell[],
  x: Tensor,
): Promise<Float64Array> {
  const width = x.shape[x.shape.length - 1];
  const count = cells.length;
  const data = new Float32Array(count * width);
  cells.forEach(({ offset }, i) => {
    data.set(x.data.subarray(offset, offset + width), i * width);
  });
  const { offsets, ids, values } = await source.encode({ data, shape: [count, width] });
  const placeOf = new Int32Array(source.features).fill(-1);
  changes.forEach(({ feature }, c) => {
    placeOf[feature] = c;
  });
  /** First z, then Δz. */
  const found = new Float64Array(changes.length * count);
  for (let t = 0; t < count; t++) {
    for (let i = offsets[t]; i < offsets[t + 1]; i++) {
      const c = placeOf[ids[i]];
      if (c >= 0) found[c * count + t] = values[i];
    }
  }
  const placesIn = placesOf(cells, valueRowOf);
  for (const [c, change] of changes.entries())
    changeActivations(found.subarray(c * count, (c + 1) * count), change, placesIn);
  return found;
}

/** Replaces a feature's activation at each cell by how much a change moves it; NaN in a table leaves it as it was. */
function changeActivations(
  z: Float64Array,
  { set, scale, add = 0 }: FeatureChange,
  placesIn: (table: Tensor) => Int32Array,
): void {
  if (typeof set === "object") {
    const { data } = set;
    const places = placesIn(set);
    for (let t = 0; t < z.length; t++) {
      const value = data[places[t]];
      z[t] = Number.isNaN(value) ? 0 : value - z[t];
    }
  } else if (set !== undefined) for (let t = 0; t < z.length; t++) z[t] = set - z[t];
  else if (scale !== undefined) for (let t = 0; t < z.length; t++) z[t] = z[t] * scale - z[t];
  else for (let t = 0; t < z.length; t++) z[t] = z[t] + add - z[t];
}

/**
 * Where the cells' values lie in a table (time) or (rows of the edit, time) of activations.
 * @throws ModalscopeError for a table that does not reach to a cell
 */
function placesOf(
  cells: readonly Cell[],
  valueRowOf: BoundEdit["valueRowOf"],
): (table: Tensor) => Int32Array {
  const known = new Map<string, Int32Array>();
  return ({ data, shape }) => {
    const key = shape.join();
    const before = known.get(key);
    if (before) return before;
    const time = shape[shape.length - 1];
    const perRow = shape.length === 1 ? 0 : time;
    const places = Int32Array.from(cells, ({ row, column }) => {
      const own = valueRowOf(row) ?? 0;
      const at = own * perRow + column;
      if (column < time && at < data.length) return at;
      throw new ModalscopeError(
        `A feature's activations of shape (${shape.join(", ")}) say nothing of column ${column} in row ${own}.`,
        "",
        'Give the edit positions, or phase: "prompt", that its values cover.',
      );
    });
    known.set(key, places);
    return places;
  };
}

/** Keeps Δz (changes, cells) for the blocks above that the features write to. */
function remember(
  placed: BoundEdit,
  { changes }: FeaturesEdit,
  cells: readonly Cell[],
  dz: Float64Array,
): void {
  const known = memoryOf(placed, changes);
  cells.forEach((cell, t) => {
    known.set(
      placeKey(placed, cell),
      Float64Array.from(changes, (_, c) => dz[c * cells.length + t]),
    );
  });
}

/** Δz (changes, cells) as the features' own block found it. */
function recall(placed: BoundEdit, edit: FeaturesEdit, cells: readonly Cell[], hook: Hook): Float64Array {
  const known = memoryOf(placed, edit.changes);
  const dz = new Float64Array(edit.changes.length * cells.length);
  cells.forEach((cell, t) => {
    const own = known.get(placeKey(placed, cell));
    if (!own) throw notRead(hook, edit);
    own.forEach((value, c) => {
      dz[c * cells.length + t] = value;
    });
  });
  return dz;
}

const placeKey = ({ valueRowOf }: BoundEdit, { row, column }: Cell): string => `${valueRowOf(row)} ${column}`;

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
