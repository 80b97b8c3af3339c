/**
 * Edits of hooks as data: what becomes of a value `x`, and where.
 *
 * Each function makes one edit; its last argument says where it holds (`{ positions: "last", heads: [3] }`).
 * A vector `x` is the last axis of a hook's tensor: one token's, or one head's of it.
 */
import { ModalscopeError } from "../../errors.js";
import {
  anything,
  callback,
  checkOptions,
  integer,
  integers,
  number,
  type OptionCheck,
  type OptionChecks,
  oneOf,
  positions,
  record,
  required,
  some,
  tensorLike,
} from "../../options.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import type { Positions } from "../batch/index.js";

/** Rows, positions, heads and phase of an edit: all of them unless it says otherwise. */
export interface Placement {
  readonly rows?: readonly number[];
  /** Columns of the batch, counted from the row's start; generated tokens go on from there. */
  readonly positions?: Positions;
  /** Heads (key-value heads at keys and values). */
  readonly heads?: readonly number[];
  /** While the prompt is read, while tokens are generated, or both (default). */
  readonly phase?: "prompt" | "decoding" | "both";
}

/**
 * A number, or a tensor that broadcasts to the hook's shape: (width), (time, width), (batch, time, width) …
 */
export type EditValue = number | Tensor;

/** One change of one hook's value, as data. */
export type Edit = Placement &
  (
    | { readonly kind: "fill"; readonly value: EditValue }
    | { readonly kind: "add"; readonly value: EditValue }
    | { readonly kind: "scale"; readonly factor: EditValue }
    | { readonly kind: "noise"; readonly std: number; readonly seed: number }
    | { readonly kind: "mean" }
    | { readonly kind: "resample"; readonly seed: number }
    | ({ readonly kind: "projectOnto" } & Projection)
    | ({ readonly kind: "ablate" } & Projection)
    | { readonly kind: "blockAttention"; readonly to: Positions }
    | ({ readonly kind: "features" } & Features)
    | { readonly kind: "apply"; readonly change: (x: Tensor) => Tensor }
  );

export type FeaturesEdit = Placement & { readonly kind: "features" } & Features;

/** Features that are changed. */
interface Features {
  readonly source: FeatureSource;
  readonly changes: readonly FeatureChange[];
}

/** A feature's activation z after the change: one of `set`, `scale` (scale · z) and `add` (z + add). */
export interface FeatureChange {
  readonly feature: number;
  /** A number, or one for each column of the batch, (time) or (batch, time): NaN leaves the activation there as it is. */
  readonly set?: EditValue;
  readonly scale?: number;
  readonly add?: number;
}

/** A layer of a transcoder set: it reads features from one hook of a block, and they write to another. */
export interface FeatureSource {
  readonly layer: number;
  readonly features: number;
  /** Hook that is read, such as `blocks.3.mlp.hook_in`. */
  readonly hookIn: string;
  /** Layers that features write to, their own among them. */
  readonly targets: readonly number[];
  /** Active features of (tokens, width), as compressed sparse rows. */
  encode(x: Tensor): Promise<{
    readonly offsets: Int32Array;
    readonly ids: Int32Array;
    readonly values: Float32Array;
  }>;
  /** Vector that one unit of each feature adds in `target`: (ids.length, width). */
  decoderRows(ids: readonly number[], target: number): Tensor;
}

/** The subspace of a projection, and what is added afterwards. */
interface Projection {
  /** (k, width), orthonormal rows. */
  readonly basis: Tensor;
  readonly plus?: EditValue;
}

/** Hook name or pattern → its edits, in order. */
export type Edits = Readonly<Record<string, Edit | readonly Edit[]>>;

/** x ← value */
export function fill(value: EditValue, placement: Placement = {}): Edit {
  return made("edit.fill", { kind: "fill", value, ...placement });
}

/** x ← 0 */
export function zero(placement: Placement = {}): Edit {
  return made("edit.zero", { kind: "fill", value: 0, ...placement });
}

/** x ← x + value */
export function add(value: EditValue, placement: Placement = {}): Edit {
  return made("edit.add", { kind: "add", value, ...placement });
}

/** x ← factor · x, element by element */
export function scale(factor: EditValue, placement: Placement = {}): Edit {
  return made("edit.scale", { kind: "scale", factor, ...placement });
}

/**
 * x ← its mean over the chosen tokens of the row, in this run. The tokens keep what they share: for the
 * mean over
 * other prompts, which takes that away too, fill with `meanOf`.
 */
export function mean(placement: Placement = {}): Edit {
  return made("edit.mean", { kind: "mean", ...placement });
}

/** x ← x + std · ε, ε standard normal */
export function noise(std: number, { seed = 0, ...placement }: Placement & Seed = {}): Edit {
  return made("edit.noise", { kind: "noise", std, seed, ...placement });
}

/** x ← the same position of another row of the batch; the rows are permuted without fixed points. */
export function resample({ seed = 0, ...placement }: Placement & Seed = {}): Edit {
  return made("edit.resample", { kind: "resample", seed, ...placement });
}

/** x ← P x (+ plus), P the projection onto the span of the orthonormal rows of `basis` (k, width). */
export function projectOnto(basis: Tensor, options: Placement & Plus = {}): Edit {
  return made("edit.projectOnto", { kind: "projectOnto", basis, ...options });
}

/** x ← (1 − P) x (+ plus): takes the span of the orthonormal rows of `basis` (k, width) out. */
export function ablate(basis: Tensor, options: Placement & Plus = {}): Edit {
  return made("edit.ablate", { kind: "ablate", basis, ...options });
}

/**
 * Attention knockout (Geva et al. 2023), at `attn.hook_attn_scores`: the queries at `from` (default: all)
 * no longer
 * attend to the keys at `to`.
 */
export function blockAttention({ from, to, ...placement }: Knockout): Edit {
  const edit: Edit = { kind: "blockAttention", to, ...placement };
  return made("edit.blockAttention", from === undefined ? edit : { ...edit, positions: from });
}

/**
 * x ← x + Σ Δz · d at a hook that a transcoder's features write to: Δz is the change of a feature's
 * activation, d its
 * decoder row. Activations are those of the pass itself, after the activation function (TopK too).
 * Derivatives take
 * Δz as a constant.
 */
export function features(
  source: FeatureSource,
  changes: readonly FeatureChange[],
  placement: Placement = {},
): Edit {
  return made("edit.features", { kind: "features", source, changes, ...placement });
}

/**
 * x ← change(x), the escape hatch: the block runs again with what comes back. `change` is given the hook's
 * whole
 * tensor of the batch, zero at padding, whatever rows, positions and heads the edit is limited to; while
 * tokens are
 * generated, that of the newest column. In a sweep it is called for each point with that point's own batch.
 */
export function apply(change: (x: Tensor) => Tensor, placement: Placement = {}): Edit {
  return made("edit.apply", { kind: "apply", change, ...placement });
}

/**
 * x ← what another run had at the same place: activation patching.
 * @param from a run's cache
 * @throws ModalscopeError when that run kept nothing of the hook
 */
export function patch(from: { get(hook: string): Tensor }, hook: string, placement: Placement = {}): Edit {
  return fill(from.get(hook), placement);
}

/** An edit at another place; what `placement` leaves out stays as it was. */
export function at(placement: Placement, edit: Edit): Edit {
  checkEdit("edit.at", edit);
  return made("edit.at", { ...edit, ...placement });
}

/** One line of text that says what an edit does, and where. */
export function describe(edit: Edit): string {
  const { rows, positions, heads, phase } = edit;
  const where = Object.entries({ rows, positions, heads, phase })
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${k} ${typeof v === "string" ? v : JSON.stringify(v)}`);
  return change(edit) + (where.length > 0 ? ` at ${where.join(", ")}` : "");
}

function change(edit: Edit): string {
  const plus = (v: EditValue | undefined): string => (v === undefined ? "" : ` + ${shown(v)}`);
  switch (edit.kind) {
    case "fill":
      return `x ← ${shown(edit.value)}`;
    case "add":
      return `x ← x + ${shown(edit.value)}`;
    case "scale":
      return `x ← ${shown(edit.factor)}·x`;
    case "noise":
      return `x ← x + ${edit.std}·ε (seed ${edit.seed})`;
    case "mean":
      return "x ← mean over the positions";
    case "resample":
      return `x ← another row (seed ${edit.seed})`;
    case "projectOnto":
      return `x ← Px${plus(edit.plus)}, P of rank ${edit.basis.shape[0]}`;
    case "ablate":
      return `x ← (1−P)x${plus(edit.plus)}, P of rank ${edit.basis.shape[0]}`;
    case "blockAttention":
      return `no attention to ${JSON.stringify(edit.to)}`;
    case "features":
      return `x ← x + Σ Δz·d, features ${edit.changes.map(shownChange).join(", ")} of layer ${edit.source.layer}`;
    case "apply":
      return "x ← f(x)";
  }
}

function shownChange({ feature, set, scale, add }: FeatureChange): string {
  if (set !== undefined) return `${feature} = ${shown(set)}`;
  return scale === undefined ? `${feature} + ${add}` : `${scale} · ${feature}`;
}

function shown(value: EditValue): string {
  return typeof value === "number" ? String(value) : `tensor(${value.shape.join(", ")})`;
}

interface Seed {
  readonly seed?: number;
}

interface Plus {
  /** Added after the projection. */
  readonly plus?: EditValue;
}

/** Queries and keys of an attention knockout. */
export interface Knockout extends Omit<Placement, "positions"> {
  /** Queries, as positions (default: all). */
  readonly from?: Positions;
  /** Keys, as positions. */
  readonly to: Positions;
}

const PLACEMENT: OptionChecks<Placement> = {
  rows: some(integers),
  positions,
  heads: some(integers),
  phase: oneOf("prompt", "decoding", "both"),
};

const value: OptionCheck = (given) =>
  (typeof given === "number" && !Number.isNaN(given)) || tensorLike(given) === undefined
    ? undefined
    : "a number or a tensor { data, shape }";
const changes: OptionCheck = (given) =>
  Array.isArray(given) && given.length > 0 && given.every(isFeatureChange)
    ? undefined
    : "a list of { feature, set }, { feature, scale } or { feature, add }; set may be a tensor (time) or (batch, time)";

function isFeatureChange(given: unknown): boolean {
  if (typeof given !== "object" || given === null) return false;
  const { feature, ...values } = given as Record<string, unknown>;
  const named = Object.entries(values).filter(([, v]) => v !== undefined);
  const [[kind, amount] = ["", 0]] = named;
  const fits = Number.isFinite(amount) || (kind === "set" && isActivations(amount));
  return Number.isInteger(feature) && named.length === 1 && ["set", "scale", "add"].includes(kind) && fits;
}

/** A tensor (time) or (batch, time). */
function isActivations(given: unknown): boolean {
  if (given === undefined || tensorLike(given) !== undefined) return false;
  const { data, shape } = given as Tensor;
  return [1, 2].includes(shape.length) && sizeOf(shape) === data.length;
}
const basis: OptionCheck = required(tensorLike, "a tensor (k, width)");

/** Fields of each kind of edit, beside where it holds. */
const FIELDS: Readonly<Record<Edit["kind"], Readonly<Record<string, OptionCheck>>>> = {
  fill: { value: required(value, "a number or a tensor") },
  add: { value: required(value, "a number or a tensor") },
  scale: { factor: required(value, "a number or a tensor") },
  noise: { std: required(number(0), "a number"), seed: integer() },
  mean: {},
  resample: { seed: integer() },
  projectOnto: { basis, plus: value },
  ablate: { basis, plus: value },
  blockAttention: { to: required(positions, "positions of keys") },
  features: {
    source: required(record, "a layer of a transcoder set"),
    changes: required(changes, "changes"),
  },
  apply: { change: required(callback, "a function from a tensor to a tensor of its shape") },
};

function made(where: string, edit: Edit): Edit {
  checkOptions(where, edit, { kind: anything, ...FIELDS[edit.kind], ...PLACEMENT } as OptionChecks<Edit>);
  return edit;
}

/**
 * Checks an edit that may come from JSON or plain JavaScript.
 * @param where the place that the edit is for, as an error names it
 * @throws ModalscopeError for what is no edit, or has other fields than its kind
 */
export function checkEdit(where: string, edit: unknown): asserts edit is Edit {
  if (typeof edit === "function") {
    throw new ModalscopeError(
      `${where} is given a function for an edit.`,
      "",
      "Write edit.apply((x) => …), or call the function that makes the edit: edit.zero().",
    );
  }
  const kind = typeof edit === "object" && edit !== null ? (edit as { kind?: unknown }).kind : undefined;
  if (typeof kind !== "string" || !Object.hasOwn(FIELDS, kind)) {
    throw new ModalscopeError(
      `${where} is given no edit.`,
      `Edits are of the kinds ${Object.keys(FIELDS).join(", ")}.`,
      "Make one with edit.zero(), edit.add(value) …",
    );
  }
  made(where, edit as Edit);
}
