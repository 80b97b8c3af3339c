/** Checkpoints of real shapes with random weights: what they say means nothing, what they cost is real. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSafetensors } from "../../../lib/model/checkpoint/safetensors/write.js";
import { expertShapes, placeOf } from "../../../lib/model/engine/expert-layout.js";
import { familyOf } from "../../../lib/model/families/index.js";
import { buildPiece, pieces, weightsOf } from "../../../lib/model/families/pieces.js";
import { seeded } from "../../../lib/random.js";

const NOISE = 2 ** 20;

/** Writes config.json and model.safetensors in bfloat16; equal configs give equal files. */
export function writeRandomCheckpoint(folder: string, raw: Readonly<Record<string, unknown>>): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), `${JSON.stringify(raw, null, 2)}\n`);
  const shapes = shapesOf(raw);
  const listed = [...shapes].map(([name, shape]) => ({ name, shape, dtype: "BF16" as const }));
  const writer = createSafetensors(join(folder, "model.safetensors"), listed, { format: "pt" });
  const noise = normalBf16(0.02);
  const ones = new Uint8Array(Uint16Array.from({ length: NOISE }, () => 0x3f80).buffer);
  try {
    for (const [name, shape] of shapes) {
      const bytes = 2 * shape.reduce((a, b) => a * b, 1);
      const source = /norm.*\.weight$/.test(name) ? ones : noise;
      for (let at = 0; at < bytes; at += source.length)
        writer.write(name, source.subarray(0, Math.min(source.length, bytes - at)), at);
    }
    writer.finish();
  } finally {
    writer.abort();
  }
}

/** Every weight that the architecture reads, by name. */
function shapesOf(raw: Readonly<Record<string, unknown>>): Map<string, readonly number[]> {
  const family = familyOf(raw);
  const config = family.parse(raw);
  const shapes = new Map<string, readonly number[]>();
  shapes.set(family.names.embedding, [config.vocab_size, config.hidden_size]);
  if (family.vision?.newline) shapes.set(family.vision.newline, [config.hidden_size]);
  for (const id of pieces(config)) {
    const { out, hookPoints } = buildPiece(family, config, id);
    for (const [name, shape] of weightsOf([out, ...hookPoints.values()])) shapes.set(name, shape);
    if (typeof id === "number" && family.experts?.(config, id)) {
      const place = placeOf({ family, config }, id);
      for (const [name, shape] of expertShapes("transposed", place)) shapes.set(name, shape);
    }
  }
  return shapes;
}

function normalBf16(std: number): Uint8Array {
  const random = seeded(1);
  const wide = new Uint32Array(Float32Array.from({ length: NOISE }, () => std * random.normal()).buffer);
  return new Uint8Array(Uint16Array.from(wide, (bits) => bits >>> 16).buffer);
}
