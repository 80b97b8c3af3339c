/** Reading preprocessor_config.json and processor_config.json: fields with transformers' defaults, checked. */

import { didYouMean, ModalscopeError } from "../../errors.js";
import { FILTERS, type Filter } from "./resample.js";

/** The parsed files of a checkpoint that say how it sees. */
export interface ProcessorFiles {
  /** config.json */
  readonly config: object;
  /** preprocessor_config.json; newer checkpoints keep it in processor_config.json, under `image_processor`. */
  readonly preprocessor?: object;
  /** processor_config.json */
  readonly processor?: object;
  /** The image processor's fields that a caller wants otherwise, such as `do_pan_and_scan`: a call's keywords in transformers. */
  readonly overrides?: object;
}

/** A parsed file, or a part of one, with the name that errors call it by. */
export interface Fields {
  readonly file: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Conversion of 8-bit levels to numbers. */
export interface Levels {
  /** Left out: levels stay 0 to 255. */
  readonly factor?: number;
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

export type Size = { readonly shortest: number } | { readonly height: number; readonly width: number };

export const CLIP_LEVELS: { mean: number[]; std: number[] } = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
export const HALF_LEVELS: { mean: number[]; std: number[] } = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

export function fieldsOf(file: string, value: unknown): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return { file, values: value as Record<string, unknown> };
  throw new ModalscopeError(`${file} holds ${JSON.stringify(value)}.`, "It must hold an object.");
}

/** Fields under `name`, none when it is left out. */
export function part(fields: Fields, name: string): Fields {
  return fieldsOf(`${fields.file}'s ${name}`, fields.values[name] ?? {});
}

/** The image processor's own fields, wherever the checkpoint keeps them (as transformers looks: processor_config.json first). */
export function preprocessorFields(files: ProcessorFiles): Fields {
  const { file, values } = storedFields(files);
  return { file, values: { ...values, ...files.overrides } };
}

function storedFields(files: ProcessorFiles): Fields {
  const processor = processorFields(files);
  if (processor.values.image_processor) return part(processor, "image_processor");
  if (files.preprocessor) return fieldsOf("preprocessor_config.json", files.preprocessor);
  throw new ModalscopeError(
    "The checkpoint does not say how images are prepared.",
    "It has neither a preprocessor_config.json nor an image_processor in its processor_config.json.",
  );
}

export function processorFields(files: ProcessorFiles): Fields {
  return fieldsOf("processor_config.json", files.processor ?? {});
}

export function flag({ file, values }: Fields, name: string, fallback: boolean): boolean {
  const value = values[name] ?? fallback;
  if (typeof value === "boolean") return value;
  throw new ModalscopeError(`${file} has "${name}": ${JSON.stringify(value)}.`, "It must be true or false.");
}

/** A positive number, whole unless said otherwise. */
export function positive({ file, values }: Fields, name: string, fallback?: number, whole = true): number {
  const value = values[name] ?? fallback;
  if (typeof value === "number" && value > 0 && (whole ? Number.isInteger(value) : Number.isFinite(value)))
    return value;
  throw new ModalscopeError(
    `${file} has "${name}": ${JSON.stringify(value)}.`,
    `It must be a positive ${whole ? "integer" : "number"}.`,
  );
}

export function oneOf<T extends string>({ file, values }: Fields, name: string, known: readonly T[]): T {
  const value = values[name] ?? known[0];
  if (known.includes(value as T)) return value as T;
  throw new ModalscopeError(
    `${file} has "${name}": ${JSON.stringify(value)}.`,
    `Known are ${known.map((k) => `"${k}"`).join(", ")}.`,
    typeof value === "string" ? didYouMean(value, known) : "",
  );
}

/** The field `name`, where it is given at all, must agree with the model. */
export function agree({ file, values }: Fields, name: string, expected: number | string): void {
  const value = values[name];
  if (value !== undefined && value !== null && value !== expected)
    contradict(
      `${file} has "${name}": ${JSON.stringify(value)}.`,
      `config.json says ${JSON.stringify(expected)}.`,
    );
}

export function contradict(what: string, why: string): never {
  throw new ModalscopeError(
    what,
    why,
    "The processor and the model contradict each other: take both from one checkpoint.",
  );
}

/** The processor's class without "Fast" or "Pil"; one of `known`, the first when none is named. */
export function kindOf<T extends string>(fields: Fields, known: readonly T[]): T {
  const { image_processor_type, feature_extractor_type } = fields.values;
  const given = image_processor_type ?? feature_extractor_type;
  if (given === undefined || given === null) return known[0];
  const kind = String(given)
    .replace(/(Fast|Pil)$/, "")
    .replace(/FeatureExtractor$/, "ImageProcessor");
  if (known.includes(kind as T)) return kind as T;
  return contradict(`${fields.file} is for a ${given}.`, `This model takes a ${known.join(" or a ")}.`);
}

export function filterOf(fields: Fields, fallback: Filter): Filter {
  const value = fields.values.resample ?? FILTERS.indexOf(fallback);
  const filter = typeof value === "number" ? FILTERS[value] : undefined;
  if (filter) return filter;
  throw new ModalscopeError(
    `${fields.file} has "resample": ${JSON.stringify(value)}.`,
    `It must be the number of a Pillow filter, 0 to ${FILTERS.length - 1}.`,
  );
}

export function levelsOf(fields: Fields, fallback: { mean: number[]; std: number[] }): Levels {
  const rescales = flag(fields, "do_rescale", true);
  const normalizes = flag(fields, "do_normalize", true);
  return {
    factor: rescales ? positive(fields, "rescale_factor", 1 / 255, false) : undefined,
    normalize: normalizes
      ? {
          mean: channels(fields, "image_mean", fallback.mean),
          std: channels(fields, "image_std", fallback.std),
        }
      : undefined,
  };
}

function channels({ file, values }: Fields, name: string, fallback: number[]): number[] {
  const given = values[name] ?? fallback;
  const list = typeof given === "number" ? [given, given, given] : given;
  const fine = (x: unknown): boolean =>
    typeof x === "number" && Number.isFinite(x) && (name !== "image_std" || x > 0);
  if (Array.isArray(list) && list.length === 3 && list.every(fine)) return list;
  throw new ModalscopeError(
    `${file} has "${name}": ${JSON.stringify(given)}.`,
    `It must be three numbers${name === "image_std" ? " above zero" : ""}.`,
  );
}

/** `size` or `crop_size`: {shortest_edge}, {height, width}, or a number, which stands for what `bare` says. */
export function sizeOfField(fields: Fields, name: string, fallback: Size, bare: "shortest" | "square"): Size {
  const value = fields.values[name];
  if (value === undefined || value === null) return fallback;
  if (typeof value === "number") {
    const side = positive(fields, name);
    return bare === "shortest" ? { shortest: side } : { height: side, width: side };
  }
  const given = fieldsOf(`${fields.file}'s ${name}`, value);
  const keys = Object.keys(given.values).filter((key) => given.values[key] !== null);
  if (keys.length === 1 && keys[0] === "shortest_edge") return { shortest: positive(given, "shortest_edge") };
  if (keys.length === 2 && "height" in given.values && "width" in given.values)
    return { height: positive(given, "height"), width: positive(given, "width") };
  throw new ModalscopeError(
    `${fields.file} has "${name}": ${JSON.stringify(value)}.`,
    "It must be {shortest_edge} or {height, width}.",
  );
}
