/** Provenance of a run's outputs. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { basename, dirname } from "node:path";
import { embeddedFolder, packageVersion } from "./package-root.js";

/** Facts that only the run itself knows. */
export interface RunFacts {
  /** Checkpoints by the part they played, each with what identifies its content. */
  readonly checkpoints: Readonly<Record<string, { readonly path: string; readonly hash: string }>>;
  readonly seed: number;
  /** Device of the models, such as "cpu". */
  readonly device: string;
  /** `performance.now()` when the run began. */
  readonly started: number;
  /** Anything else, such as the learning back end. */
  readonly more?: Readonly<Record<string, string | number>>;
}

/** One line of a run's provenance, ready for a table. */
export type ProvenanceRow = { readonly item: string; readonly value: string };

const require = createRequire(import.meta.url);

/** Checkpoints, seed, device, versions, machine, time and memory of a run. */
export function provenance(run: RunFacts): ProvenanceRow[] {
  const rows: [string, string][] = [
    ...Object.entries(run.checkpoints).map(([part, { path, hash }]): [string, string] => [
      `checkpoint, ${part}`,
      `${checkpointName(path)}, ${hash}`,
    ]),
    ["seed", String(run.seed)],
    ["device", run.device],
    ...Object.entries(run.more ?? {}).map(([item, value]): [string, string] => [item, String(value)]),
    ["modalscope", packageVersion()],
    ...["onnxruntime-node", "@tensorflow/tfjs-core", "@huggingface/tokenizers"].map(
      (name): [string, string] => [name, versionOf(name)],
    ),
    ["Node.js", `${process.version}, ${process.platform} ${process.arch}`],
    ["processor", `${cpus()[0]?.model.trim() ?? "unknown"}, ${cpus().length} threads`],
    ["finished", new Date().toISOString()],
    ["time", `${((performance.now() - run.started) / 1000).toFixed(1)} s`],
    ["peak memory", `${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)} GiB resident`],
  ];
  return rows.map(([item, value]) => ({ item, value }));
}

/** An embedded checkpoint by its name: where the package lies says nothing of a run. */
function checkpointName(path: string): string {
  return dirname(path) === embeddedFolder() ? basename(path) : path;
}

/** The version in the package.json nearest above what the package's name resolves to. */
function versionOf(name: string): string {
  const entry = require.resolve(name);
  const folder = entry.slice(0, entry.lastIndexOf(`node_modules/${name}`));
  return jsonVersion(`${folder}node_modules/${name}/package.json`);
}

function jsonVersion(path: string): string {
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}
