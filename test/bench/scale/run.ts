/** `npm run bench:scale -- MODEL`: a checkpoint of a real shape with random weights, streamed within a memory budget. */
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { formatBytes } from "../../../lib/bytes.js";
import type { Batch } from "../../../lib/model/batch/batch.js";
import { loadCost, loadModel } from "../../../lib/model/load.js";
import { attentionFlow, estimateCost, logProb, truncation } from "../../../lib/model/methods/index.js";
import type { Model } from "../../../lib/model/model.js";
import { imageBatch } from "../image-batch.js";
import { bytesReadSoFar, Ledger, MemoryWatch } from "./ledger.js";
import { writeRandomCheckpoint } from "./random-checkpoint.js";
import { shapes } from "./shapes.js";

interface Options {
  readonly layers?: string;
  readonly tower?: string;
  readonly memory: string;
  readonly rows: string;
  readonly tokens: string;
  readonly image: string;
  readonly folder: string;
  readonly keep: boolean;
  readonly study: boolean;
}

/** The prompt once more, and the steps after it. */
async function decode(model: Model, batch: Batch, maxNewTokens: number, watch: MemoryWatch): Promise<void> {
  const ledger = new Ledger(watch);
  ledger.turn("prompt again, first token");
  await model.generate(batch, {
    maxNewTokens,
    eosTokenIds: [],
    onProgress: () => ledger.turn("step of decoding"),
  });
  ledger.print();
}

/** A study's parts, beside what is said of them before they start. */
async function study(model: Model, batch: Batch, watch: MemoryWatch): Promise<void> {
  const options = { corruption: { kind: "zero" }, metric: logProb(0) } as const;
  const work = [
    { name: "attention flow", runs: 1 },
    { name: "truncation", layers: model.layers },
  ];
  const estimate = await estimateCost(model, { batch, work });
  console.log(`  one block was timed: ${(estimate.speed / 1e9).toFixed(0)} GFLOP/s`);
  for (const { name, seconds, bytesRead, operations } of estimate.work) {
    watch.take();
    const [from, read] = [performance.now(), bytesReadSoFar()];
    await (name === "truncation" ? truncation(model, batch, options) : attentionFlow(model, batch));
    console.log(
      `  ${name.padEnd(16)} ${((performance.now() - from) / 1000).toFixed(0)} s, said ${seconds.toFixed(0)} s; ` +
        `read ${formatBytes(bytesReadSoFar() - read)}, said ${formatBytes(bytesRead)}; ` +
        `${(operations / 1e12).toFixed(2)} TFLOP; peak anonymous ${formatBytes(watch.take())}`,
    );
  }
}

/** The shape with fewer blocks; a tower's readouts follow its last ones. */
function cutShape(
  shape: Readonly<Record<string, unknown>>,
  { layers, tower }: Options,
): Record<string, unknown> {
  const { text_config: text, vision_config: vision } = shape as Record<string, object>;
  const blocks = Number(tower);
  // DeepStack adds one of them after each of the first blocks.
  const readouts = [2, 1, 0].slice(0, Number(layers ?? 3)).map((n) => Math.max(0, blocks - 2 - n));
  const fewer = tower && { depth: blocks, num_hidden_layers: blocks, deepstack_visual_indexes: readouts };
  return {
    ...shape,
    text_config: { ...text, ...(layers && { num_hidden_layers: Number(layers) }) },
    vision_config: { ...vision, ...(fewer || {}) },
  };
}

async function main(name: string, options: Options): Promise<void> {
  const shape = shapes[name];
  const raw = cutShape(shape, options);
  const folder = join(options.folder, `${name}-${options.layers ?? "all"}-${options.tower ?? "all"}`);
  if (!existsSync(join(folder, "model.safetensors"))) writeRandomCheckpoint(folder, raw);
  const size = statSync(join(folder, "model.safetensors")).size;
  const watch = new MemoryWatch();
  try {
    const loading = performance.now();
    const { stored, disk, resident } = loadCost(folder, { memory: options.memory });
    console.log(
      `said before: ${formatBytes(stored)} of weights, ${resident ? "resident" : "streamed"}; ` +
        `a float32 copy would take ${formatBytes(disk)}`,
    );
    const model = await loadModel(folder, { memory: options.memory, cache: false });
    console.log(
      `${name}: ${formatBytes(size)} in bfloat16, opened in ${((performance.now() - loading) / 1000).toFixed(1)} s`,
    );
    const layers = model.config.num_hidden_layers;
    const [width, height] = options.image.split("x").map(Number);
    const batch = imageBatch(model, {
      config: raw,
      processor: name,
      rows: Number(options.rows),
      imageSize: [width, height],
      textTokens: 40,
    });
    const tower = model.config.vision_config!.num_hidden_layers;
    console.log(
      `  ${layers} blocks, tower of ${tower}; ${batch.size} prompts of ${batch.seqLength} tokens with an image of ` +
        `${options.image}; budget ${options.memory}; ${model.resident ? "resident" : "streamed"}`,
    );
    const capture = [{ hook: "blocks.*.hook_resid_post", reduce: "mean" as const }];
    const prompt = new Ledger(watch);
    prompt.turn("embedding of patches");
    await model.run(batch, {
      logits: "last",
      capture,
      onProgress: (_, __, label = "") => {
        if (label === "blocks") prompt.turn("norm, language head");
        else if (label === "block 0") prompt.turn("projector, block 0");
        else prompt.turn(label.startsWith("vision") ? "block of the tower" : "block");
      },
    });
    prompt.turn("");
    prompt.print();
    const maxNewTokens = Number(options.tokens);
    if (maxNewTokens > 0) await decode(model, batch, maxNewTokens, watch);
    if (options.study) await study(model, batch, watch);
    await model.close();
  } finally {
    await watch.stop();
    if (!options.keep) rmSync(folder, { recursive: true });
  }
}

await new Command("bench:scale")
  .description(
    "Writes a checkpoint of a real shape with random weights and runs it streamed within a memory budget.",
  )
  .argument("<model>", Object.keys(shapes).join(", "))
  .option("--layers <n>", "blocks of the language model (default: all)")
  .option("--tower <n>", "blocks of the vision tower (default: all)")
  .option("--memory <size>", "the budget", "8GB")
  .option("--rows <n>", "prompts, with an image each", "4")
  .option("--image <size>", "each image's width and height in pixels", "640x480")
  .option("--tokens <n>", "tokens to generate; 0: the prompt alone", "4")
  .option("--folder <path>", "where the checkpoint is written", join(process.cwd(), ".scale"))
  .option("--study", "attention flow and a truncation curve, beside what is said of them before", false)
  .option("--keep", "leave the checkpoint there", false)
  .action(main)
  .parseAsync();
