/**
 * `npm run bench:transcoders`: a training step of transcoders beside PyTorch's dense step, in turns, in one
 * run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { decoderName, weightName } from "../../lib/circuits/training/graph.js";
import { TranscoderTrainer } from "../../lib/circuits/training/trainer.js";
import { initialTranscoderWeights, varianceOf } from "../../lib/circuits/training/weights.js";
import { seeded, type Tensor, writeSafetensors } from "../../lib/index.js";
import { createAdamState, train } from "../../lib/model/training/index.js";
import { compare, Reference, type Spent } from "./beside.js";

interface Options {
  readonly python?: string;
  readonly rounds: number;
  readonly threads: number;
  readonly steps: number;
}

const WIDTH = 64;
const TOKENS = 1024;
const K = 8;

async function main({ python, rounds, threads, steps }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "modalscope-bench-"));
  for (const features of [512, 1024]) await bench(features, { python, rounds, threads, steps, folder });
  rmSync(folder, { recursive: true });
}

async function bench(
  features: number,
  { python, rounds, threads, steps, folder }: Options & { readonly folder: string },
): Promise<void> {
  const random = seeded(1);
  const normal = (rows: number): Tensor => ({
    data: Float32Array.from({ length: rows * WIDTH }, () => random.normal()),
    shape: [rows, WIDTH],
  });
  const [x, y] = [normal(TOKENS), normal(TOKENS)];
  const sample = { inputs: [x], outputs: [y] };
  const spec = { kind: "per-layer", layers: 1, width: WIDTH, features, k: K } as const;
  const weights = initialTranscoderWeights(spec, sample, 2);
  weights.set(decoderName(0, 0), normal(features));
  const file = join(folder, `${features}.safetensors`);
  const start = {
    W_enc: weightName(0, "W_enc"),
    b_enc: weightName(0, "b_enc"),
    b_dec: weightName(0, "b_dec"),
  };
  writeSafetensors(file, {
    x,
    y,
    W_dec: weights.get(decoderName(0, 0))!,
    ...Object.fromEntries(Object.entries(start).map(([name, own]) => [name, weights.get(own)!])),
  });
  const trainer = new TranscoderTrainer(spec, { threads, deadAfter: Number.POSITIVE_INFINITY });
  const state = createAdamState();
  const batch = { ...sample, variance: [varianceOf(y)] };
  const losses: number[] = [];
  const ours = async (): Promise<Spent> => {
    const [wall, cpu] = [performance.now(), process.cpuUsage()];
    await train(trainer, weights, () => batch, {
      steps: state.step + steps,
      learningRate: () => 1e-3,
      betas: [0.9, 0.999],
      state,
      onStep: (_, loss) => losses.push(loss),
    });
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: (performance.now() - wall) / 1000, cpu: (user + system) / 1e6 };
  };
  const reference = python
    ? await Reference.start(python, "transcoders.py", [file, ...[threads, K].map(String)])
    : undefined;
  const values: number[] = [];
  const theirs =
    reference &&
    (async (): Promise<Spent> => {
      const answer = await reference.ask({ steps });
      values.push(...answer.values);
      return answer;
    });
  await compare(`${steps} steps of ${features} features`, 1, rounds, ours, theirs);
  const apart = values.reduce((most, loss, i) => Math.max(most, Math.abs(loss - losses[i])), 0);
  if (reference)
    console.log(
      `  losses of all ${values.length} steps agree within ${apart.toExponential(1)} of ${losses[0].toFixed(2)}`,
    );
  reference?.stop();
  await trainer.close();
}

await new Command("transcoders")
  .option("--python <path>", "a Python with torch and safetensors, to measure beside")
  .option("--rounds <n>", "", Number, 5)
  .option("--threads <n>", "", Number, 1)
  .option("--steps <n>", "of a round", Number, 20)
  .action(main)
  .parseAsync();
