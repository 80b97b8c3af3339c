/** README.md of a checkpoint's transcoders, from the training.json of each set. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { LayerQuality, TranscoderSpec } from "../../../lib/circuits/index.js";
import { writeWhole } from "../../../lib/write-file.js";
import { transcoderRecipes } from "./sets.js";

interface Record {
  readonly checkpoint: string;
  readonly spec: TranscoderSpec;
  readonly steps: number;
  readonly tokens: number;
  readonly curve: { readonly seconds: number };
  readonly quality: readonly LayerQuality[];
}

/** Writes `README.md` into the folder of a checkpoint's sets, about those that are there. */
export function writeTranscoderCard(folder: string, name: string): void {
  const sets = transcoderRecipes(undefined).flatMap((set) => {
    const path = join(folder, set.name, "training.json");
    return existsSync(path) ? [{ set, record: JSON.parse(readFileSync(path, "utf8")) as Record }] : [];
  });
  const kinds = [...new Set(sets.flatMap(({ record }) => Object.keys(record.quality[0].fvu)))];
  const overview = sets.map(({ set, record: { spec, tokens, curve, quality } }) => [
    `\`${set.name}\``,
    set.about,
    String(spec.features),
    String(spec.k),
    tokens.toLocaleString("en"),
    (curve.seconds / 60).toFixed(0),
    ...kinds.map((kind) => meanOf(quality.map(({ fvu }) => fvu[kind])).toFixed(3)),
    `${(100 * meanOf(quality.map(({ dead }) => dead))).toFixed(1)} %`,
  ]);
  const heads = [
    "set",
    "",
    "features a layer",
    "k",
    "tokens",
    "minutes",
    ...kinds.map((kind) => `FVU, ${kind}`),
    "dead",
  ];
  const layers = sets[0].record.quality.map(({ layer }) => [
    String(layer),
    ...sets.flatMap(({ record }) =>
      ["text", "image"].map((kind) => record.quality[layer].fvu[kind].toFixed(3)),
    ),
  ]);
  const layerHeads = [
    "layer",
    ...sets.flatMap(({ set }) => ["text", "image"].map((kind) => `${set.name}: ${kind}`)),
  ];
  writeWhole(
    join(folder, "README.md"),
    `# Transcoders of ${name}

For the checkpoint ${sets[0].record.checkpoint.slice(0, 12)}…, and for no other: a set names the hash of its checkpoint and is refused
for another. Made by

    npm run train:transcoders -- ${name}

in circuit-tracer's layout (config.yaml beside the layers' files), learned in float32, saved in bfloat16 and measured as saved;
\`readTranscoders("${name}/${sets[0].set.name}")\` opens one.
They read \`mlp.hook_in\` and write \`mlp.hook_out\`. FVU is the share of the MLP outputs' variance that they leave unexplained, on
fresh conversations with and without images; the mean alone has 1. Below, the mean over the layers.

${tableOf(heads, overview)}

## By layer

${tableOf(layerHeads, layers)}
`,
  );
}

const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

const tableOf = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, heads.map(() => "-"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
