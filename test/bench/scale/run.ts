/** `npm run bench:scale -- MODEL`: a checkpoint of a real shape with random weights, streamed within a memory budget. */
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Command } from "commander";
import { type Batch, padTokens } from "../../../lib/model/batch.js";
import { imageProcessor } from "../../../lib/model/images/index.js";
import { loadModel } from "../../../lib/model/load.js";
import { showBytes } from "../../../lib/model/memory.js";
import type { Model } from "../../../lib/model/model.js";
import { mropePositions } from "../../../lib/model/mrope.js";
import { seeded } from "../../../lib/random.js";
import { writeRandomCheckpoint } from "./random-checkpoint.js";
import { shapes } from "./shapes.js";

interface Options {
  readonly layers?: string;
  readonly memory: string;
  readonly rows: string;
  readonly tokens: string;
  readonly picture: string;
  readonly folder: string;
  readonly keep: boolean;
}

const TEXT_TOKENS = 40;

/** Rows of one photograph-sized picture and a question each, of random pixels and tokens. */
function pictureBatch(model: Model, name: string, raw: object, { rows, picture }: Options): Batch {
  const files = JSON.parse(
    readFileSync(join(import.meta.dirname, "../../../../test/fixtures/images/configs.json"), "utf8"),
  )[name] as { preprocessor: object; processor: object };
  const processor = imageProcessor(String((raw as { model_type: string }).model_type), {
    ...files,
    config: raw,
  });
  const random = seeded(2);
  const [width, height] = picture.split("x").map(Number);
  const data = Uint8Array.from({ length: 3 * width * height }, () => 255 * random.uniform());
  const image = processor.process({ width, height, data });
  const token = model.config.vision_config!.image_token_id;
  const text = (): number[] =>
    Array.from({ length: TEXT_TOKENS / 2 }, () => 5 + Math.floor(1000 * random.uniform()));
  const ids = Array.from({ length: Number(rows) }, () => [
    ...text(),
    ...image.tokens.map(() => token),
    ...text(),
  ]);
  const batch = padTokens(ids);
  const columns = image.tokens.map((_, i) => TEXT_TOKENS / 2 + i);
  const images = ids.map((_, row) => ({ row, image, columns }));
  return { ...batch, images, ...mropePositions(model.config, batch, images) };
}

/** Watches this process's anonymous memory from another thread: the main one is inside native code most of the time. */
class MemoryWatch {
  private readonly peak = new Float64Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;

  constructor() {
    const source = `
      const { readFileSync } = require("node:fs");
      const { workerData } = require("node:worker_threads");
      const peak = new Float64Array(workerData);
      setInterval(() => {
        const text = readFileSync("/proc/self/smaps_rollup", "utf8");
        peak[0] = Math.max(peak[0], Number(/^Anonymous:\\s+(\\d+) kB/m.exec(text)[1]) * 1024);
      }, 50);`;
    this.worker = new Worker(source, { eval: true, workerData: this.peak.buffer });
  }

  /** The most since the last call. */
  take(): number {
    const most = this.peak[0];
    this.peak[0] = 0;
    return most;
  }

  async stop(): Promise<void> {
    await this.worker.terminate();
  }
}

/** Bytes that this process has asked files for. */
function bytesRead(): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))![1]);
}

/** Does some work and prints what it took. */
async function measured<T>(
  label: string,
  watch: MemoryWatch,
  per: { n: number; of: string },
  work: () => Promise<T>,
): Promise<T> {
  watch.take();
  const before = bytesRead();
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1000;
  await wait(120);
  console.log(
    `${label.padEnd(34)} ${seconds.toFixed(1).padStart(7)} s  ${(seconds / per.n).toFixed(2).padStart(6)} s per ${per.of}` +
      `  read ${showBytes(bytesRead() - before).padStart(7)}  peak anonymous ${showBytes(watch.take())}`,
  );
  return result;
}

async function main(name: string, options: Options): Promise<void> {
  const shape = shapes[name];
  const text = shape.text_config as object;
  const raw = options.layers
    ? { ...shape, text_config: { ...text, num_hidden_layers: Number(options.layers) } }
    : shape;
  const folder = join(options.folder, `${name}-${options.layers ?? "all"}`);
  if (!existsSync(join(folder, "model.safetensors"))) writeRandomCheckpoint(folder, raw);
  const size = statSync(join(folder, "model.safetensors")).size;
  const watch = new MemoryWatch();
  try {
    const model = await measured(`load ${showBytes(size)} in bfloat16`, watch, { n: 1, of: "load" }, () =>
      loadModel(folder, { memory: options.memory, cache: false }),
    );
    const layers = model.config.num_hidden_layers;
    const batch = pictureBatch(model, name, raw, options);
    const tower = model.config.vision_config!.num_hidden_layers;
    console.log(
      `${name}: ${layers} blocks, tower of ${tower}; ${batch.size} prompts of ${batch.time} tokens; budget ${options.memory}`,
    );
    const capture = [{ hook: "blocks.*.hook_resid_post", reduce: "mean" as const }];
    await measured("pictures and prompt, captures", watch, { n: layers + tower, of: "block" }, () =>
      model.run(batch, { logits: "last", capture }),
    );
    const tokens = Number(options.tokens);
    await measured(`the same and ${tokens} tokens`, watch, { n: layers + tower, of: "block" }, () =>
      model.generate(batch, { maxTokens: tokens, stopTokens: [] }),
    );
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
  .option("--memory <size>", "the budget", "8GB")
  .option("--rows <n>", "prompts, with a picture each", "4")
  .option("--picture <size>", "each picture's width and height in pixels", "640x480")
  .option("--tokens <n>", "tokens to generate", "4")
  .option("--folder <path>", "where the checkpoint is written", join(process.cwd(), ".scale"))
  .option("--keep", "leave the checkpoint there", false)
  .action(main)
  .parseAsync();
