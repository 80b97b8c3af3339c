/** `npm run bench:vision -- --python PYTHON`: prompts with images beside transformers with hooks, in turns, in one run. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import type { Batch } from "../../../lib/model/batch/batch.js";
import { writeSafetensors } from "../../../lib/model/checkpoint/index.js";
import type { Edits } from "../../../lib/model/edits/edit.js";
import * as edit from "../../../lib/model/edits/edit.js";
import { EncodedImages } from "../../../lib/model/engine/index.js";
import { loadModel } from "../../../lib/model/load.js";
import { logProb } from "../../../lib/model/methods/metrics.js";
import { sweep } from "../../../lib/model/methods/sweep.js";
import type { Model } from "../../../lib/model/model.js";
import { compare, Reference, timed } from "../beside.js";
import { imageBatch } from "../image-batch.js";
import { shapes } from "./shapes.js";

interface Options {
  readonly python: string;
  readonly rounds: number;
  readonly threads: number;
  readonly only?: string;
}

/** Speeds to be reached, as multiples of transformers': of a forward pass with the residual cache, of a sweep over the layers. */
const AIMS = { forward: 1.5, sweep: 5 };

async function bench(name: string, { python, rounds, threads, only }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "modalscope-bench-"));
  try {
    const shape = shapes[name];
    writeFileSync(join(folder, "shape.json"), JSON.stringify(shape.config));
    const checkpoint = join(folder, name);
    mkdirSync(checkpoint);
    const script = join(import.meta.dirname, "../../../../test/bench/vision/reference.py");
    execFileSync(python, [script, "make", join(folder, "shape.json"), checkpoint], { stdio: "inherit" });
    const model = await loadModel(checkpoint, { threads });
    // The reference encodes its images in every run.
    Object.assign(model.engine, { encodedImages: new EncodedImages(0) });
    const batch = imageBatch(model, { ...shape, rows: 1, textTokens: 64 });
    const reference = await Reference.start(python, "vision/reference.py", [
      "serve",
      checkpoint,
      String(threads),
    ]);
    const command = commandOf(model, batch, join(folder, "pixels.safetensors"));
    const [width, height] = shape.imageSize;
    console.log(
      `${name}: ${model.layers.length} blocks, tower of ${model.config.vision_config!.num_hidden_layers}, ` +
        `an image of ${width}×${height} pixels, ${batch.visual[0].length} of ${batch.seqLength} tokens; ${threads} threads`,
    );
    if (only !== "sweep") await forward(model, batch, reference, command, rounds);
    if (only !== "forward") await layers(model, batch, reference, command, rounds);
    reference.stop();
    await model.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The prompt as the reference takes it; the images go through a file. */
function commandOf(model: Model, batch: Batch, pixels: string): object {
  const images = batch.images!.map(({ image }) => image);
  writeSafetensors(pixels, { pixels: images[0].pixels });
  return {
    ids: [Array.from(batch.inputIds)],
    image_token: model.config.vision_config!.image_token_id,
    pixels,
    grid: images[0].pixels.shape.length === 2 ? images.map(({ grid }) => grid) : null,
    visual: batch.visual[0],
  };
}

/** Outputs that transformers computes at the end: by default the logits of every token, of which the metric needs the last. */
const ENDS = [
  { keep: 0, label: "its defaults" },
  { keep: 1, label: "told to keep the last logits" },
];

async function forward(
  model: Model,
  batch: Batch,
  reference: Reference,
  command: object,
  rounds: number,
): Promise<void> {
  const run = { capture: ["blocks.*.hook_resid_pre"], logits: "last" as const };
  for (const { keep, label } of ENDS) {
    let found: ArrayLike<number> = [];
    let expected: readonly number[] = [];
    await compare(
      `forward, residual cache (${label})`,
      AIMS.forward,
      rounds,
      () =>
        timed(async () => {
          found = (await model.run(batch, run)).logits!.data;
        }),
      async () => {
        const answer = await reference.ask({ ...command, keep, op: "forward" });
        expected = answer.logits;
        return answer;
      },
    );
    agree(expected, found);
  }
}

async function layers(
  model: Model,
  batch: Batch,
  reference: Reference,
  command: object,
  rounds: number,
): Promise<void> {
  const editAt = (l: number): Edits => ({
    [`blocks.${l}.hook_resid_pre`]: edit.fill(0, { positions: batch.visual }),
  });
  let found: ArrayLike<number> = [];
  let expected: readonly number[] = [];
  await compare(
    `sweep of ${model.layers.length} blocks over visual tokens (${ENDS[1].label})`,
    AIMS.sweep,
    Math.min(2, rounds),
    () =>
      timed(async () => {
        found = (await sweep(model, batch, { over: model.layers, edit: editAt, metric: logProb(0) })).values
          .data;
      }),
    async () => {
      const answer = await reference.ask({ ...command, keep: 1, op: "sweep" });
      expected = answer.values;
      return answer;
    },
    { warm: false },
  );
  agree(expected, found);
}

/** Both must compute the same: to 1e-3 of the largest value, at float32. */
function agree(expected: readonly number[], found: ArrayLike<number>): void {
  const largest = Math.max(...expected.map(Math.abs));
  const drift = Math.max(...expected.map((v, i) => Math.abs(v - found[i]))) / largest;
  if (!(drift < 1e-3)) throw new Error(`The two compute different things: ${drift} of the largest value.`);
}

await new Command("bench:vision")
  .description("Times prompts with images on mid-size random models, beside transformers with hooks.")
  .argument("[model]", `${Object.keys(shapes).join(" or ")} (default: all)`)
  .requiredOption("--python <path>", "a Python with torch and transformers 5", process.env.MODALSCOPE_PYTHON)
  .option("--rounds <n>", "timed rounds of each", Number, 3)
  .option("--threads <n>", "threads of both", Number, 2)
  .addOption(new Option("--only <part>", "time this alone").choices(["forward", "sweep"]))
  .action(async (name: string | undefined, options: Options) => {
    for (const one of name === undefined ? Object.keys(shapes) : [name]) await bench(one, options);
  })
  .parseAsync();
