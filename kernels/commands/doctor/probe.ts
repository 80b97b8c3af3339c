/**
 * Loads one back end and reports on it as a line of JSON. It is a process of its own, because a faulty driver may
 * end the process that loads it: `node probe.js cpu | webgpu | cuda | tfjs`.
 */
import { describeBackend, learningBackend } from "../../../lib/analysis/learn/tfjs.js";
import { emitOnnx, input, neg } from "../../../lib/model/graph/index.js";
import { createSession, type Device } from "../../../lib/runtime/index.js";
import { type ProbeAnswer, probeMark } from "./back-ends.js";

const what = process.argv[2];
try {
  tell({ detail: what === "tfjs" ? await probeTfjs() : await probeDevice(what as Device) }, 0);
} catch (error) {
  tell({ error: error instanceof Error ? error.message : String(error) }, 1);
}

/** Exits at once: a runtime's threads may keep the process alive. */
function tell(answer: ProbeAnswer, exitCode: number): void {
  process.stdout.write(`${probeMark}${JSON.stringify(answer)}\n`, () => process.exit(exitCode));
}

async function probeDevice(device: Device): Promise<string> {
  const graph = emitOnnx({ y: neg(input("x", [2])) }, { float: "float32", bind: () => ({ kind: "input" }) });
  const session = await createSession(graph, { device });
  const { y } = await session.run({ x: { type: "float32", data: new Float32Array([1, -2]), dims: [2] } }, [
    "y",
  ]);
  const values = Array.from(y.data as Float32Array);
  if (values[0] !== -1 || values[1] !== 2) throw new Error(`-[1, -2] came out as [${values}]`);
  return "computes";
}

async function probeTfjs(): Promise<string> {
  const backend = await learningBackend();
  const sum = backend.tf.tidy(() => backend.tf.sum([1, 2]).arraySync());
  if (sum !== 3) throw new Error(`1 + 2 came out as ${sum}`);
  return describeBackend(backend);
}
