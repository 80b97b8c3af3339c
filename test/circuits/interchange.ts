/**
 * Writes what modalscope makes of transcoders, in float32 and in bfloat16, for circuit-tracer to open:
 * `node dist/test/circuits/interchange.js OUT [FOLDER…]`, then `python test/fixtures/transcoders/make.py WHEEL OUT`.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readTranscoders, reconstruct, toDense, writeTranscoders } from "../../lib/circuits/index.js";
import { seeded, type Tensor, writeSafetensors } from "../../lib/index.js";
import { packageRoot } from "../../lib/package-root.js";

const TOKENS = 40;

async function write(from: string, to: string, dtype: "float32" | "bfloat16"): Promise<void> {
  const given = readTranscoders(from);
  writeTranscoders(to, given, { dtype });
  given.close();
  const set = readTranscoders(to);
  const random = seeded(1);
  const shape = [TOKENS, set.layers[0].width];
  const inputs = set.layers.map(
    (): Tensor => ({
      data: Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal()),
      shape,
    }),
  );
  const features = await Promise.all(set.layers.map((layer) => layer.encode(inputs[layer.layer])));
  const output = set.layers.map(({ layer }) => reconstruct(set, layer, { features, inputs }));
  const joined = (parts: readonly Tensor[]): Tensor => ({
    data: Float32Array.from(parts.flatMap(({ data }) => [...data])),
    shape: [parts.length, ...parts[0].shape],
  });
  writeSafetensors(join(to, "golden.safetensors"), {
    x: joined(inputs),
    features: joined(features.map(toDense)),
    output: joined(output),
  });
  set.close();
}

const [out, ...folders] = process.argv.slice(2);
const fixtures = join(packageRoot(), "test/fixtures/transcoders");
const made = readdirSync(fixtures, { withFileTypes: true }).filter((entry) => entry.isDirectory());
for (const from of folders.length > 0 ? folders : made.map(({ name }) => join(fixtures, name)))
  for (const dtype of ["float32", "bfloat16"] as const)
    await write(from, join(out, `${from.split("/").slice(-1)[0]}-${dtype}`), dtype);
