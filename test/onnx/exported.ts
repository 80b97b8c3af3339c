import { readdirSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { type OnnxArray, openOnnx } from "../../lib/onnx/index.js";
import { sizeOf } from "../../lib/tensor.js";
import { using } from "./fixtures.js";

interface Samples {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly max: number;
  readonly at: readonly number[];
  readonly values: readonly number[];
}

interface Input {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly scale?: number;
  readonly below?: number;
  readonly values?: readonly number[];
}

/** Facts that exported.py writes about a model. */
interface Golden {
  readonly model: string;
  readonly inputs: readonly Input[];
  readonly tensors: Readonly<Record<string, Samples>>;
  readonly edits: readonly {
    readonly tensor: string;
    readonly scale: number;
    readonly add: number;
    readonly outputs: Readonly<Record<string, Samples>>;
  }[];
}

export interface Comparison {
  readonly model: string;
  readonly tensors: number;
  readonly edits: number;
  /** Greatest max|a − b| / max|b| over the sampled values, and where. */
  readonly worst: number;
  readonly where: string;
}

/** The goldens of exported.py in a folder. */
export function goldensIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => join(folder, name));
}

/** Captures every tensor of a golden's model and repeats its edits. */
export async function compare(path: string): Promise<Comparison> {
  const golden: Golden = JSON.parse(readFileSync(path, "utf8"));
  const model = isAbsolute(golden.model) ? golden.model : join(path, "..", golden.model);
  return using(openOnnx(model, { threads: 1 }), async (open) => {
    const feeds = Object.fromEntries(golden.inputs.map((input) => [input.name, ramp(input)]));
    const found: [string, Samples, OnnxArray | undefined][] = [];
    const { captures } = await open.run(feeds, { capture: "**" });
    for (const [name, samples] of Object.entries(golden.tensors)) found.push([name, samples, captures[name]]);
    for (const { tensor, scale, add, outputs } of golden.edits) {
      const edited = await open.run(feeds, { edits: { [tensor]: { scale, add } } });
      for (const [name, samples] of Object.entries(outputs)) {
        found.push([`${name} with ${tensor} edited`, samples, edited.outputs[name]]);
      }
    }
    const drifts = found.map(([name, samples, array]) => ({ where: name, worst: drift(samples, array) }));
    const worst = drifts.reduce((a, b) => (b.worst > a.worst ? b : a));
    return { model, tensors: Object.keys(golden.tensors).length, edits: golden.edits.length, ...worst };
  });
}

/** exported.py's formula for inputs. */
function ramp({ dtype, shape, scale = 1, below = 2, values }: Input): OnnxArray {
  const step = (i: number): number => (i * 7919 + 13) % 1009;
  const n = sizeOf(shape);
  if (dtype === "float32") {
    return {
      shape,
      data: Float32Array.from({ length: n }, (_, i) => values?.[i] ?? (step(i) / 504.5 - 1) * scale),
    };
  }
  const whole = Array.from({ length: n }, (_, i) => values?.[i] ?? step(i) % below);
  if (dtype === "int64") return { shape, data: BigInt64Array.from(whole, BigInt) };
  if (dtype === "int32") return { shape, data: Int32Array.from(whole) };
  throw new Error(`No input is made for ${dtype}.`);
}

function drift(samples: Samples, array: OnnxArray | undefined): number {
  if (array === undefined || array.shape.join() !== samples.shape.join()) return Infinity;
  const differences = samples.at.map((at, i) => Math.abs(Number(array.data[at]) - samples.values[i]));
  const worst = Math.max(0, ...differences);
  if (Number.isNaN(worst)) return Infinity;
  return worst === 0 ? 0 : worst / samples.max;
}
