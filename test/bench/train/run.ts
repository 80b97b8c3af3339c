/** `npm run bench:train -- --python PYTHON`: a training step beside PyTorch's, in turns, in one run. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { batchesOf } from "../../../data/train/common/buckets.js";
import { writeCheckpoint } from "../../../data/train/common/folder.js";
import { trainingBatch } from "../../../data/train/common/rows.js";
import { recipeNamed } from "../../../data/train/recipes.js";
import { writeSafetensors } from "../../../lib/model/checkpoint/index.js";
import { loadModel } from "../../../lib/model/load.js";
import {
  createAdamState,
  initialWeights,
  Trainer,
  type TrainingBatch,
  train,
  type Weights,
} from "../../../lib/model/training/index.js";
import type { Tensor } from "../../../lib/tensor.js";
import { compare, Reference, timed } from "../beside.js";

interface Options {
  readonly python: string;
  readonly rounds: number;
  readonly threads: number;
  readonly blocks?: number;
  readonly experts: string;
}

const AIM = 1.3;
/** Step of the recipe whose batch is taken: after its easy part. */
const STEP = 4000;
const RATE = 1e-4;
/** float32 in both: the loss, and the norm of the whole gradient. */
const TOLERANCE = 1e-4;

async function bench({ python, rounds, threads, blocks, experts }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "modalscope-bench-"));
  try {
    const recipe = recipeNamed("tiny-qwen3-vl-moe");
    const { seed } = recipe;
    const options = { seed, easyVqa: "" };
    const tokenizer = await recipe.tokenizer(options);
    const raw = shortened(recipe.config(tokenizer.vocabularySize, tokenizer.id), blocks);
    const weights = initialWeights(raw, seed);
    recipe.initialize(weights, tokenizer, seed);
    writeCheckpoint(folder, raw, weights, tokenizer, recipe.files);
    const model = await loadModel(folder, { threads: 1 });
    const stage = recipe.stages(options).find(({ part }) => part === "whole")!;
    const rows = await batchesOf(stage, seed, stage.steps)(STEP);
    const batch = await trainingBatch(model, rows);
    await model.close();
    const file = join(folder, "batch.safetensors");
    writeSafetensors(file, inputsOf(batch, Number(raw.image_token_id)));
    const { seqLength, size } = batch.batch;
    const { text_config: text } = raw as { text_config: Record<string, number> };
    console.log(
      `${recipe.name}: ${text.num_hidden_layers} blocks of ${text.num_experts} experts, ` +
        `${size} rows of ${seqLength} tokens; threads: ${threads}, experts of transformers: ${experts}`,
    );
    const reference = await Reference.start(python, "train/reference.py", [
      folder,
      file,
      String(threads),
      experts,
    ]);
    await steps({ raw, weights, batch, reference }, { rounds, threads });
    reference.stop();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Bench {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly weights: Weights;
  readonly batch: TrainingBatch;
  readonly reference: Reference;
}

async function steps(
  { raw, weights, batch, reference }: Bench,
  { rounds, threads }: Pick<Options, "rounds" | "threads">,
): Promise<void> {
  const trainer = await Trainer.open(raw, { threads });
  const first = await trainer.gradients(weights, batch);
  const norm = Math.hypot(...[...first.weights.values()].map((g) => Math.hypot(...chunks(g))));
  const state = createAdamState();
  const options = { betas: [0.9, 0.98], weightDecay: 0.05, maxGradNorm: 1, state } as const;
  let theirs: readonly number[] | undefined;
  await compare(
    "training step",
    AIM,
    rounds,
    () =>
      timed(() =>
        train(trainer, weights, () => batch, { ...options, steps: state.step + 1, learningRate: () => RATE }),
      ),
    async () => {
      const answer = await reference.ask({ rate: RATE });
      theirs ??= answer.values;
      return answer;
    },
  );
  [first.loss, norm].forEach((own, i) => {
    const other = theirs![i];
    assert.ok(Math.abs(own - other) <= TOLERANCE * other, `${["loss", "norm"][i]}: ${own}, PyTorch ${other}`);
  });
  console.log(`loss ${first.loss.toFixed(4)} and norm of the gradient ${norm.toFixed(4)} agree`);
  await trainer.close();
}

/** Norms of pieces: a function takes only so many arguments. */
function chunks(g: Float32Array): number[] {
  const size = 10_000;
  return Array.from({ length: Math.ceil(g.length / size) }, (_, i) =>
    Math.hypot(...g.subarray(i * size, (i + 1) * size)),
  );
}

/** In float32, as both compute, and with fewer blocks where asked for. */
function shortened(raw: Record<string, unknown>, blocks: number | undefined): Record<string, unknown> {
  const text = raw.text_config as Record<string, unknown>;
  const cut = blocks === undefined ? text : { ...text, num_hidden_layers: blocks };
  return { ...raw, dtype: "float32", text_config: { ...cut, dtype: "float32" } };
}

/** The batch as transformers takes it; whole numbers as safetensors of float32 are read back as such. */
function inputsOf(
  { batch, targets, lossWeights }: TrainingBatch,
  imageToken: number,
): Record<string, Tensor> {
  const shape = [batch.size, batch.seqLength];
  const pixels = batch.images!.map(({ image }) => image.pixels);
  const grids = batch.images!.flatMap(({ image }) => image.grid!);
  const whole = (numbers: ArrayLike<number>): Float32Array => Float32Array.from(numbers);
  return {
    input_ids: { data: whole(batch.inputIds), shape },
    attention_mask: { data: whole(batch.attentionMask), shape },
    mm_token_type_ids: { data: Float32Array.from(batch.inputIds, (id) => Number(id === imageToken)), shape },
    pixel_values: {
      data: Float32Array.from(pixels.flatMap(({ data }) => Array.from(data))),
      shape: [pixels.reduce((sum, { shape }) => sum + shape[0], 0), pixels[0].shape[1]],
    },
    image_grid_thw: { data: whole(grids), shape: [grids.length / 3, 3] },
    targets: { data: whole(targets), shape },
    loss_weights: { data: lossWeights, shape },
  };
}

await new Command("bench:train")
  .description(
    "A training step of tiny-qwen3-vl-moe's recipe beside PyTorch's: same model, batch and threads.",
  )
  .requiredOption("--python <path>", "a Python with torch, transformers and safetensors")
  .option("--rounds <n>", "steps of each, in turns", Number, 7)
  .option("--threads <n>", "threads of each", Number, 1)
  .option("--blocks <n>", "blocks of the language model (default: the recipe's)", Number)
  .option("--experts <name>", "transformers' experts_implementation", "default")
  .action(bench)
  .parseAsync();
