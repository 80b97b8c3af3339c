/** The tiny vision-language models of test/fixtures/vision, and their prompts with images. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Batch, PadOptions } from "../../../lib/model/batch/batch.js";
import { readSafetensors } from "../../../lib/model/checkpoint/index.js";
import { type LoadOptions, loadModel } from "../../../lib/model/load.js";
import type { Model } from "../../../lib/model/model.js";
import type { Tensor } from "../../../lib/tensor.js";
import type { Step } from "../goldens.js";

export const fixtures: string = join(import.meta.dirname, "../../../../test/fixtures/vision");

/** Names of the checkpoints that see; `ONLY` in the environment keeps those that begin so. */
export const variants: readonly string[] = readdirSync(fixtures).filter(
  (name) =>
    /^(llava|llava_next|gemma3|qwen3_vl|qwen3_vl_moe)-/.test(name) && name.startsWith(process.env.ONLY ?? ""),
);

/** The wishes with which the goldens with crops were made: the checkpoint's own files leave pan and scan off. */
const CROPS = {
  do_pan_and_scan: true,
  pan_and_scan_min_crop_size: 8,
  pan_and_scan_max_num_crops: 3,
  pan_and_scan_min_ratio_to_activate: 1.5,
};

export interface PictureCase {
  readonly prompts: string[];
  readonly images: string[][];
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly position_ids: number[][] | number[][][];
}

export interface PictureGolden {
  readonly cases: Readonly<Record<string, PictureCase>>;
  readonly generate?: Readonly<Record<string, { ids: number[][] }>>;
  readonly layouts?: readonly string[];
  readonly edits?: Readonly<Record<string, { case: string; steps: Step[] }>>;
  readonly edited_generate?: Readonly<Record<string, { case: string; steps: Step[]; ids: number[][] }>>;
  readonly gradients?: { readonly difference: { case: string; of: [number, number] } };
}

export function golden(variant: string): PictureGolden {
  return JSON.parse(readFileSync(join(fixtures, variant, "golden.json"), "utf8"));
}

export function tensors(variant: string, file = "golden.safetensors"): Map<string, Tensor> {
  return readSafetensors(join(fixtures, variant, file));
}

export function open(variant: string, options: LoadOptions = {}): Promise<Model> {
  return loadModel(join(fixtures, variant), { threads: 1, ...options });
}

export const imagePath = (name: string): string => join(fixtures, "images", `${name}.png`);

/** A golden's prompts with their images. */
export function prepared(
  model: Model,
  given: Pick<PictureCase, "prompts" | "images">,
  options: PadOptions = {},
): Promise<Batch> {
  const prompts = given.prompts.map((text, i) => ({ text, images: given.images[i].map(imagePath) }));
  return model.prepare(prompts, { imageProcessor: /-crops$/.test(model.path) ? CROPS : {}, ...options });
}

/** max|a − b| / max|b| */
export function drift(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values and ${b.length}`);
  let worst = 0;
  let size = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    // A NaN must not pass for agreement.
    if (!(difference <= worst)) worst = difference;
    size = Math.max(size, Math.abs(b[i]));
  }
  return size === 0 ? worst : worst / size;
}
