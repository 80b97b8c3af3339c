/** The files of test/fixtures/images and what Pillow and transformers made of them (make.py there). */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeImage } from "../../../lib/model/images/decode.js";
import type { ProcessorFiles, RgbImage } from "../../../lib/model/images/index.js";

const folder = join(import.meta.dirname, "../../../../test/fixtures/images");

export const fixture = (...path: string[]): string => join(folder, ...path);
export const file = (name: string): string => fixture("files", name);

export interface PixelsGolden {
  readonly shape: readonly number[];
  /** Of the float32 bytes. */
  readonly sha256: string;
  readonly samples: readonly (readonly [index: number, value: number])[];
}

export interface ProcessedGolden {
  readonly pixels: PixelsGolden;
  readonly image_grid_thw?: readonly number[];
  readonly num_crops?: number;
  /** LLaVA-NeXT: order of the features, numbered tile by tile; −1 is a newline. */
  readonly features?: { readonly count: number; readonly sha256: string; readonly some: readonly number[] };
}

export interface PromptGolden {
  readonly text: string;
  readonly images: readonly string[];
  readonly count: number;
  readonly visual: number;
  /** Of the int32 bytes of the token ids. */
  readonly sha256: string;
}

export interface Golden {
  readonly decoded: Readonly<
    Record<string, { mode: string; size: [number, number]; drop: string; white: string; lossy?: boolean }>
  >;
  readonly resampled: readonly {
    from: [number, number];
    to: [number, number];
    filter: string;
    sha256: string;
  }[];
  readonly processed: Readonly<Record<string, Readonly<Record<string, ProcessedGolden>>>>;
  readonly prompts: Readonly<Record<string, readonly PromptGolden[]>>;
}

const read = (name: string): unknown => JSON.parse(readFileSync(fixture(name), "utf8"));

export const golden: Golden = read("golden.json") as Golden;
export const configs: Readonly<Record<string, ProcessorFiles & { modelType: string }>> = read(
  "configs.json",
) as Record<string, ProcessorFiles & { modelType: string }>;

export function sha256(data: Uint8Array | Float32Array | Int32Array): string {
  return createHash("sha256")
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest("hex");
}

/** The image that make.py's `drawn` draws. */
export function drawn(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  let i = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) data[i++] = x * 7 + y * 13 + c * 85 + ((x * y) >> 4);
  return { width, height, data };
}

/** A file by its name, or `drawn:WIDTHxHEIGHT`. */
export async function readImage(name: string): Promise<RgbImage> {
  if (!name.startsWith("drawn:")) return decodeImage(file(name));
  const [width, height] = name.slice(6).split("x").map(Number);
  return drawn(width, height);
}
