/** The tiny language models of test/fixtures and what transformers computed with them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Batch, Positions } from "../../lib/model/batch/batch.js";
import { readSafetensors } from "../../lib/model/checkpoint/index.js";
import type { Edit, Edits } from "../../lib/model/edits/edit.js";
import { type LoadOptions, loadModel } from "../../lib/model/load.js";
import type { Model } from "../../lib/model/model.js";
import type { Tensor } from "../../lib/tensor.js";

const fixtures = join(import.meta.dirname, "../../../test/fixtures");

/** The language models among the tiny checkpoints, by the folder that they are in. */
const folders: ReadonlyMap<string, string> = new Map(
  [["families", /-/] as const, ["vision", /^qwen3(_moe)?-/] as const].flatMap(([folder, names]) =>
    readdirSync(join(fixtures, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && names.test(entry.name))
      .map((entry) => [entry.name, join(fixtures, folder, entry.name)] as const),
  ),
);

export const variants: string[] = [...folders.keys()];

export interface Case {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly position_ids: number[][];
}

export interface Step {
  readonly hook: string;
  readonly op: "set" | "add" | "scale" | "skip" | "cut" | "project_out";
  readonly value?: number | string;
  readonly rows?: number[];
  readonly positions?: number[];
  readonly heads?: number[];
  readonly queries?: number[];
  readonly keys?: number[];
  readonly phase?: "prompt" | "decoding";
}

export interface Golden {
  readonly cases: Record<string, Case>;
  readonly generate: Record<string, { ids: number[][]; smallest_margin: number }>;
  /** Folders beside the checkpoint with the same weights under other names or in other shapes. */
  readonly layouts?: string[];
  readonly edits?: Record<string, { case: string; steps: Step[] }>;
  readonly edited_generate?: Record<string, { case: string; steps: Step[]; ids: number[][] }>;
  readonly gradients?: {
    difference: { case: string; of: [number, number] };
    cross_entropy: { case: string };
  };
}

/** Folder of a tiny checkpoint. */
export const fixture = (variant: string): string => folders.get(variant)!;

export function golden(variant: string): Golden {
  return JSON.parse(readFileSync(join(fixture(variant), "golden.json"), "utf8"));
}

export function tensors(variant: string, file = "golden.safetensors"): Map<string, Tensor> {
  return readSafetensors(join(fixture(variant), file));
}

export function open(variant: string, options: LoadOptions = {}): Promise<Model> {
  return loadModel(fixture(variant), { threads: 1, ...options });
}

/** Opens a tiny model, and closes it whatever happens. */
export async function withModel(
  work: (model: Model) => Promise<void>,
  variant = "qwen2-tied",
): Promise<void> {
  const model = await open(variant);
  try {
    await work(model);
  } finally {
    await model.close();
  }
}

/** A golden's batch, padded as transformers had it. */
export function batchOf(model: Model, given: Case): Batch {
  const rows = given.input_ids.map((ids, b) => ids.filter((_, t) => given.attention_mask[b][t] === 1));
  const right = given.attention_mask.some((mask) => mask[mask.length - 1] === 0);
  return model.batch(rows, { paddingSide: right ? "right" : "left" });
}

/** A golden's edit in the engine's words, and the blocks that it skips. */
export function editsOf(
  steps: readonly Step[],
  values: (name: string) => Tensor,
): { edits: Edits; skip: number[] } {
  const edits: Record<string, Edit[]> = {};
  const skip: number[] = [];
  for (const step of steps) {
    if (step.op === "skip") skip.push(Number(/blocks\.(\d+)/.exec(step.hook)![1]));
    else edits[step.hook] = [...(edits[step.hook] ?? []), editOf(step, values)];
  }
  return { edits, skip };
}

function editOf(step: Step, values: (name: string) => Tensor): Edit {
  const where = {
    rows: step.rows,
    positions: (step.queries ?? step.positions) as Positions | undefined,
    heads: step.heads,
    phase: step.phase,
  };
  const value = typeof step.value === "string" ? values(step.value) : step.value!;
  switch (step.op) {
    case "set":
      return { kind: "fill", value, ...where };
    case "add":
      return { kind: "add", value, ...where };
    case "scale":
      return { kind: "scale", factor: value, ...where };
    case "cut":
      return { kind: "blockAttention", to: step.keys!, ...where };
    case "project_out": {
      const v = value as Tensor;
      const norm = Math.hypot(...v.data);
      return {
        kind: "ablate",
        basis: { data: v.data.map((x) => x / norm), shape: [1, v.data.length] },
        ...where,
      };
    }
    default:
      throw new Error(`No edit for "${step.op}".`);
  }
}

/**
 * max|a − b| / max|b| over the cells that `real` keeps.
 * @param real whether the cell at a flat index counts
 */
export function deviation(a: Tensor, b: Tensor, real: (index: number) => boolean = () => true): number {
  if (a.data.length !== b.data.length) throw new Error(`shapes differ: (${a.shape}) and (${b.shape})`);
  let worst = 0;
  let size = 0;
  for (let i = 0; i < b.data.length; i++) {
    if (!real(i)) continue;
    const difference = Math.abs(a.data[i] - b.data[i]);
    // A NaN must not pass for agreement.
    if (!(difference <= worst)) worst = difference;
    size = Math.max(size, Math.abs(b.data[i]));
  }
  return size === 0 ? worst : worst / size;
}

/** Weights of all experts (batch, time, experts) as transformers has them: of the chosen ones (batch, time, k). */
export function ofChosen(weights: Tensor, indices: Tensor): Tensor {
  const [count, k] = [weights.shape[2], indices.shape[2]];
  const data = indices.data.map((e, i) => weights.data[Math.floor(i / k) * count + e]);
  return { data: Float32Array.from(data), shape: indices.shape };
}
