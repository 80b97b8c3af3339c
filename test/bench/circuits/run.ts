/**
 * Rows of attribution graphs per second of a core: `npm run bench:circuits`, and beside circuit-tracer on the same graph
 * `npm run bench:circuits -- PYTHON FOLDER`, with circuit_tracer and transformer_lens in FOLDER.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { attribute, readTranscoders } from "../../../lib/circuits/index.js";
import { loadModel, readSafetensors } from "../../../lib/index.js";
import { packageRoot } from "../../../lib/package-root.js";

const BATCHES = [16, 64, 256];
const ROUNDS = 12;

interface Timing {
  readonly batch: number;
  readonly rows: number;
  /** Processor time of the whole graph, the best of some rounds. */
  readonly seconds: number;
  /** Σ |edge|, which is the same where the graphs are. */
  readonly sum: number;
}

const folder = join(packageRoot(), "test/fixtures/circuits");
const ids = Array.from(readSafetensors(join(folder, "golden16.safetensors")).get("input_ids")!.data, Number);

async function ours(): Promise<Timing[]> {
  const model = await loadModel("tiny-gemma3", { threads: 1 });
  const set = readTranscoders(join(folder, "golden16"));
  const batch = model.batch([ids]);
  const found: Timing[] = [];
  for (const atOnce of BATCHES) {
    let [rows, seconds, sum] = [0, Number.POSITIVE_INFINITY, 0];
    for (let round = 0; round < ROUNDS; round++) {
      const before = process.cpuUsage();
      const graph = await attribute(model, batch, set, { firstPosition: "none", atOnce });
      const { user, system } = process.cpuUsage(before);
      rows = graph.targets.length;
      const count = graph.nodes.length;
      sum = graph.edges.reduce(
        (s, e, i) => (graph.nodes[i % count].kind === "bias" ? s : s + Math.abs(e)),
        0,
      );
      seconds = Math.min(seconds, (user + system) / 1e6);
    }
    found.push({ batch: atOnce, rows, seconds, sum });
  }
  set.close();
  await model.close();
  return found;
}

function circuitTracer(python: string, packages: string): Timing[] {
  const script = join(packageRoot(), "test/bench/circuits/reference.py");
  const model = join(packageRoot(), "data/models/tiny-gemma3");
  const given = [script, packages, model, join(folder, "golden16"), ...BATCHES.map(String)];
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const out = execFileSync(python, given, { env, input: JSON.stringify(ids), encoding: "utf8" });
  return out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

const [python, packages] = process.argv.slice(2);
const theirs = python && packages ? circuitTracer(python, packages) : [];
const rate = ({ rows, seconds }: Timing): number => rows / seconds;
for (const [i, own] of (await ours()).entries()) {
  const other = theirs[i];
  if (other && Math.abs(own.sum / other.sum - 1) > 1e-4)
    throw new Error(`These are two graphs: their edges add up to ${own.sum} and ${other.sum}.`);
  const beside = other
    ? `; circuit-tracer ${rate(other).toFixed(0)} (${(rate(own) / rate(other)).toFixed(2)} times)`
    : "";
  console.log(
    `${own.batch} at once, ${own.rows} rows: ${rate(own).toFixed(0)} rows per core-second${beside}`,
  );
}
