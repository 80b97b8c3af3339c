/** Arms of the patching experiment, as edits of one batch: a row is one problem under one arm. */
import {
  type Alignment,
  ablate,
  alignSource,
  asFloat32,
  type KernelSide,
  type Matrix,
  projectOnto,
  sameNormPatch,
} from "../../analysis/index.js";
import { type Batch, type Edit, type Edits, edit } from "../../model/index.js";
import type { Language } from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";
import { residPre, type Subject, tokensFrom } from "./subject.js";

/**
 * What is replaced. `R` and `R⊥` are a random subspace of Z's size and its complement, patched as Z and Z⊥ are: any small
 * subspace changes less than its complement, so only Z against R and Z⊥ against R⊥ say something of Z. `push` adds a change of
 * the length of the Z-patch's within a random subspace.
 */
export type Part = "Z" | "Z⊥" | "R" | "R⊥" | "full" | "push" | "none";

export interface Arm {
  readonly layer: number;
  readonly k: number;
  readonly part: Part;
  /** `token`: each token from its own place of a prompt with equally many tokens. */
  readonly align: Alignment | "token";
  /** Language of the source. Default Chinese. */
  readonly from?: Language;
  /** By problem its source's, undefined where it has none; the same problem when left out. */
  readonly donors?: readonly (number | undefined)[];
  /** Leave the first token alone: neither read into the mean nor patched. */
  readonly spareFirst?: boolean;
  /** Generated tokens are patched too. */
  readonly decoding?: boolean;
  readonly side?: KernelSide;
  /** Number of the random subspace. Default 0. */
  readonly draw?: number;
}

/** The problem that `i` is patched from. */
export const donorOf = ({ donors }: Arm, i: number): number | undefined => (donors ? donors[i] : i);

/** A problem and the one that it is patched from. */
export interface Case {
  readonly problem: number;
  readonly donor: number;
}

/** Rows of a batch that one arm patches, the columns of each row's prompt, and what its tokens receive. */
export interface ArmRows {
  readonly rows: ReadonlyMap<number, Case>;
  readonly prompt: readonly (readonly number[])[];
  readonly source: Source;
}

/** The vectors that an arm's tokens receive: `(1, d)` for all, or one row for each. */
export type Source = (arm: Arm, one: Case) => Promise<Matrix>;

/** Sources of some cases. Arms differ in what they take of one: it is aligned once for all of them. */
export function sourcesOf(subject: Subject): Source {
  const known = new Map<string, Promise<Matrix>>();
  return (arm, { problem, donor }) => {
    const key = [arm.layer, arm.align, arm.from, arm.spareFirst, problem, donor].join(" ");
    const found = known.get(key) ?? sourceOf(subject, arm, problem, donor);
    known.set(key, found);
    return found;
  };
}

async function sourceOf(subject: Subject, arm: Arm, i: number, j: number): Promise<Matrix> {
  const { streams } = subject;
  const start = arm.spareFirst ? 1 : 0;
  const from = tokensFrom(streamOf(streams[arm.from ?? "zh"], arm.layer)[j], start);
  if (arm.align === "token") return from;
  return alignSource(from, tokensFrom(streamOf(streams.en, arm.layer)[i], start), arm.align);
}

function streamOf(streams: Subject["streams"]["en"], layer: number): readonly Matrix[] {
  const found = streams.get(layer);
  if (!found) throw new Error(`The streams before block ${layer} were not kept.`);
  return found;
}

/** The edit of one arm at `blocks.ℓ.hook_resid_pre`, in some rows of a batch. */
export async function armEdit(
  subject: Subject,
  arm: Arm,
  batch: Batch,
  { rows, prompt, source }: ArmRows,
): Promise<Edit> {
  const width = subject.model.config.hidden_size;
  const basis = basisOf(subject, arm);
  const perToken = arm.align !== "mean" || arm.part === "push";
  const time = perToken ? batch.seqLength : 1;
  const plus = { data: new Float32Array(batch.size * time * width), shape: [batch.size, time, width] };
  const start = arm.spareFirst ? 1 : 0;
  for (const [row, one] of rows) {
    const part = partOf(subject, arm, await source(arm, one), one.problem);
    const columns = perToken ? prompt[row].slice(start) : [0];
    columns.forEach((column, t) => {
      plus.data.set(part.data.subarray(t * width, (t + 1) * width), (row * time + column) * width);
    });
  }
  const placed = arm.decoding
    ? {}
    : { positions: prompt.map((columns) => columns.slice(start)), phase: "prompt" as const };
  return edit.at({ rows: [...rows.keys()], ...placed }, changeOf(arm.part, basis, plus));
}

function basisOf(subject: Subject, { part, layer, k, side, draw = 0 }: Arm): Matrix {
  return part === "R" || part === "R⊥" || part === "push"
    ? subject.random(k, draw)
    : subject.z(layer, k, side);
}

/** The source's share of what is replaced. */
function partOf(subject: Subject, arm: Arm, source: Matrix, i: number): Matrix {
  const basis = basisOf(subject, arm);
  switch (arm.part) {
    case "Z":
    case "R":
      return projectOnto(source, basis);
    case "Z⊥":
    case "R⊥":
      return ablate(source, basis);
    case "push": {
      const own = tokensFrom(streamOf(subject.streams.en, arm.layer)[i], arm.spareFirst ? 1 : 0);
      return sameNormPatch(own, source, subject.z(arm.layer, arm.k), basis);
    }
    default:
      return source;
  }
}

function changeOf(part: Part, basis: Matrix, plus: Tensor): Edit {
  const v = asFloat32(basis);
  switch (part) {
    case "Z":
    case "R":
      return edit.ablate(v, { plus });
    case "Z⊥":
    case "R⊥":
      return edit.projectOnto(v, { plus });
    case "full":
      return edit.fill(plus);
    case "push":
      return edit.add(plus);
    case "none":
      return edit.add(0);
  }
}

/**
 * The edits of several arms on one batch whose rows are laid out arm by arm: row r is problem `problems[r mod n]` of arm ⌊r / n⌋.
 * @param problems all of the subject's when left out
 */
export async function armEdits(
  subject: Subject,
  arms: readonly Arm[],
  batch: Batch,
  problems: readonly number[] = [...subject.answers.keys()],
): Promise<Edits> {
  const prompt = batch.tokenPositions;
  const source = sourcesOf(subject);
  const edits: Record<string, Edit[]> = {};
  for (const [a, arm] of arms.entries()) {
    if (arm.part === "none") continue;
    const rows = new Map(
      problems.flatMap((problem, i) => {
        const donor = donorOf(arm, problem);
        return donor === undefined ? [] : [[a * problems.length + i, { problem, donor }] as const];
      }),
    );
    if (rows.size === 0) continue;
    edits[residPre(arm.layer)] ??= [];
    edits[residPre(arm.layer)].push(await armEdit(subject, arm, batch, { rows, prompt, source }));
  }
  return edits;
}
