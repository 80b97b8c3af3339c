/** What the study measures of a checkpoint: parts, from which evidence and figures are made. */
import type { ArdFit, Matrix } from "../../analysis/index.js";
import type { Grading, Language } from "../../tasks/index.js";
import type { Untestable } from "../evidence.js";
import type { PatchOutcome } from "./patch.js";
import type { Sizes } from "./rules.js";

/** The same reading of Z and of random subspaces of its size, by sample. */
export interface BesideRandom {
  readonly values: readonly number[];
  readonly nulls: readonly (readonly number[])[];
}

/** What the weights alone say, layer by layer. */
export interface WeightsPart {
  /** The patched layers: the one before the sharpest drop, and the next. */
  readonly primary: number;
  readonly secondary: number;
  readonly sizes: Sizes;
  readonly width: number;
  /** Effective rank of each head's kernel as a share of the head size, `(layers)(heads)`. */
  readonly ranks: readonly (readonly number[])[];
  /** Squared cosine of each direction of a layer's Z with the next layer's Z, `(layers − 1)(k)`. */
  readonly similarity: readonly (readonly number[])[];
  /** Mean squared cosine of every two layers' Z, `(layers, layers)`. */
  readonly overlaps: Matrix;
  /** Energy of each of the chosen layers' FFN write directions, times chance. */
  readonly energy: BesideRandom;
  /** Mean of it by layer. */
  readonly energies: readonly number[];
}

/** The ratio of distances in Z less that outside Z, with what random subspaces and resampled problems give. */
export interface ContrastRow {
  readonly layer: number;
  readonly k: number;
  readonly pooling: "mean" | "last";
  /** Problems. */
  readonly n: number;
  readonly ratioZ: number;
  readonly ratioRest: number;
  /** On resampled problems, the same resamples in every row. */
  readonly drawn: readonly number[];
  readonly nulls: readonly number[];
}

export interface SeparationPart {
  /** The headline first. */
  readonly rows: readonly ContrastRow[];
  /** Energy of what differs between the languages in Z, times chance. */
  readonly language: { readonly main: BesideRandom; readonly vanishing: BesideRandom };
}

export interface BehaviourPart {
  readonly solved: Readonly<Record<Language, readonly boolean[]>>;
  readonly problems: readonly string[];
}

/** Readings of the Z-patch and the Z⊥-patch, and of random subspaces and their complements. */
export interface PatchedSides<T> {
  readonly chosen: { readonly set: readonly T[]; readonly complement: readonly T[] };
  readonly random: readonly { readonly set: readonly T[]; readonly complement: readonly T[] }[];
  readonly full: readonly T[];
  /** Problem of each reading. */
  readonly problems: readonly string[];
}

/** Directed shifts towards the donor's answer, nats: all donors of each problem. */
export interface ShiftsPart {
  readonly z: readonly number[];
  /** Of Z⊥, where it is drawn: no claim rests on it. */
  readonly complement?: readonly number[];
  readonly full: readonly number[];
  readonly random: readonly (readonly number[])[];
  readonly problems: readonly string[];
}

/** Outcomes of generation under each patch, from the same problem in Chinese. */
export interface PatchesPart extends PatchedSides<PatchOutcome> {
  readonly clean: readonly Grading[];
  readonly patched: {
    readonly set: readonly Grading[];
    readonly complement: readonly Grading[];
    readonly full: readonly Grading[];
  };
}

/** R(k) of every prompt: the update's length in the subspace over that outside it, `(transitions)(prompts)`. */
export interface UpdatesPart {
  readonly z: readonly (readonly number[])[];
  readonly random: readonly (readonly (readonly number[])[])[];
  /** In the Z of each other layer. */
  readonly others: readonly (readonly (readonly number[])[])[];
  readonly chance: number;
  readonly problems: readonly string[];
  readonly languages: readonly Language[];
}

/** Lengthscales fitted on half of the problems. */
export interface LengthscalesPart {
  /** Bandwidth held, the document's middle λ: what the claims rest on. */
  readonly fit: ArdFit;
  /** As the document writes the objective, cold and warm, by λ. */
  readonly asWritten: readonly { readonly start: "cold" | "warm"; readonly fit: ArdFit }[];
  /** Surviving dimensions of fits with the bandwidth held, at the document's layers. */
  readonly sizes: readonly { readonly layer: number; readonly size: number }[];
  /** MMD² of each held-out problem, with the fitted lengthscales and with equal ones of the same bandwidth. */
  readonly heldOut: { readonly fitted: readonly number[]; readonly equal: readonly number[] };
  /** Share of Z in each of the k dimensions with the shortest lengthscales, times chance. */
  readonly overlap: BesideRandom;
  readonly dimensions: number;
  readonly k: number;
}

/** Mean states in the coordinates of Z, one row for each problem, `(problems, k)`. */
export interface BridgePart {
  readonly english: Matrix;
  readonly chinese: Matrix;
}

export interface Parts {
  readonly behaviour: BehaviourPart;
  readonly weights: WeightsPart;
  readonly separation: SeparationPart;
  readonly shifts: ShiftsPart;
  readonly patches: PatchesPart;
  readonly updates: UpdatesPart;
  readonly lengthscales: LengthscalesPart;
  readonly bridge: BridgePart;
}

export type PartName = keyof Parts;

export const PART_NAMES: readonly PartName[] = [
  "behaviour",
  "weights",
  "separation",
  "shifts",
  "patches",
  "updates",
  "lengthscales",
  "bridge",
];

/** Each part, or why it was not measured. */
export type Measurements = { readonly [P in PartName]: Parts[P] | Untestable };
