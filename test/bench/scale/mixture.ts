/** `npm run bench:mixture`: a mixture of experts in 4 bits that stays in memory, beside the same numbers in float32, streamed. */
import { mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { formatBytes, parseBytes } from "../../../lib/bytes.js";
import { openCheckpoint } from "../../../lib/model/checkpoint/index.js";
import { planLoad } from "../../../lib/model/engine/load-plan.js";
import { anonymousBytes } from "../../../lib/model/engine/memory.js";
import { loadModel } from "../../../lib/model/load.js";
import type { Model } from "../../../lib/model/model.js";
import { seeded } from "../../../lib/random.js";
import type { Tensor } from "../../../lib/tensor.js";
import { type MixtureShape, writeRandomMixture } from "../../model/checkpoint/random-mixture.js";
import { deviation } from "../../model/goldens.js";
import { Ledger, MemoryWatch } from "./ledger.js";

/** Qwen3-30B-A3B's, as its config.json has it; it has 48 blocks. */
const SHAPE: Omit<MixtureShape, "num_hidden_layers"> = {
  hidden_size: 2048,
  num_attention_heads: 32,
  num_key_value_heads: 4,
  head_dim: 128,
  num_experts: 128,
  num_experts_per_tok: 8,
  moe_intermediate_size: 768,
  vocab_size: 151_936,
};
const WHOLE = 48;
/** Of the largest logit: rounding in another order, over a few blocks. */
const TOLERANCE = 2e-5;

interface Options {
  readonly layers: string;
  readonly memory: string;
  readonly tokens: string;
  readonly steps: string;
  readonly threads?: string;
  readonly folder: string;
}

/** One run's logits at the last position, its cost by block printed. */
async function run(model: Model, ids: readonly number[], watch: MemoryWatch): Promise<Tensor> {
  const ledger = new Ledger(watch);
  ledger.turn("embedding");
  const { logits } = await model.run(model.batch([ids]), {
    logits: "last",
    onProgress: (_, __, label = "") =>
      ledger.turn(label.startsWith("block ") ? "block" : "norm, language head"),
  });
  ledger.turn("");
  ledger.print();
  return logits!;
}

/** Anonymous memory that all blocks and the head take, once they are open. */
async function openedBytes(model: Model): Promise<number> {
  globalThis.gc?.();
  const before = anonymousBytes();
  await model.run(model.batch([[1]]), { logits: "last" });
  globalThis.gc?.();
  return anonymousBytes() - before;
}

/** Bytes of a part of the model as they are computed with, by the engine's own count. */
function counted(path: string, memory: number): { block: number; head: number } {
  const stored = openCheckpoint(path);
  const { bytes, config } = planLoad(stored, { float: "float32", memory, cache: false, quantised: true });
  stored.close();
  return { block: (bytes.blocks + bytes.experts) / config.num_hidden_layers, head: bytes.head };
}

async function main({ layers, memory, tokens, steps, threads, folder }: Options): Promise<void> {
  const shape = { ...SHAPE, num_hidden_layers: Number(layers) };
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `mixture-${layers}.gguf`);
  const random = seeded(5);
  const ids = Array.from({ length: Number(tokens) }, () => random.int(shape.vocab_size));
  const options = { ...(threads && { threads: Number(threads) }), memory };
  const watch = new MemoryWatch();
  try {
    writeRandomMixture(path, shape);
    console.log(`${layers} blocks of ${WHOLE} in Q4_0: ${formatBytes(statSync(path).size)}`);
    const quantised = await loadModel(path, { ...options, weights: "quantised" });
    console.log(`weights: "quantised", ${quantised.resident ? "resident" : "streamed"}; opening`);
    const cpu = process.cpuUsage();
    const all = await openedBytes(quantised);
    const { user, system } = process.cpuUsage(cpu);
    const { block, head } = counted(path, parseBytes(memory));
    // What is not the head's is taken for the blocks', so too much is estimated.
    const each = (all - head) / shape.num_hidden_layers;
    console.log(
      `  ${((user + system) / 1e6).toFixed(0)} s of processors; anonymous memory ${formatBytes(all)}: the head ${formatBytes(head)}, ` +
        `a block ${formatBytes(each)} (${formatBytes(block)} by count); estimated for ${WHOLE} blocks ` +
        `${formatBytes(WHOLE * each + head)} (${formatBytes(WHOLE * block + head)})`,
    );
    console.log("  one token");
    await run(quantised, ids.slice(0, 1), watch);
    console.log(`  ${tokens} tokens`);
    const found = await run(quantised, ids, watch);
    const text = { maxNewTokens: Number(steps), eosTokenIds: [] };
    const [written] = await quantised.generate(quantised.batch([ids]), text);
    await quantised.close();

    const float32 = await loadModel(path, { ...options, cache: false });
    console.log(`float32, ${float32.resident ? "resident" : "streamed"}\n  ${tokens} tokens`);
    const expected = await run(float32, ids, watch);
    const [asked] = await float32.generate(float32.batch([ids]), text);
    await float32.close();
    const drift = deviation(found, expected);
    const same = written.ids.join() === asked.ids.join();
    console.log(
      `logits differ by ${drift.toExponential(1)} of the largest (at most ${TOLERANCE}); the greedy text of ${steps} tokens is ` +
        `${same ? "the same" : "another"}`,
    );
    if (!(drift <= TOLERANCE) || !same) process.exitCode = 1;
  } finally {
    await watch.stop();
    rmSync(path, { force: true });
  }
}

await new Command("bench:mixture")
  .description("Writes a mixture of experts of a real shape in Q4_0 and runs it as it is, and in float32.")
  .option("--layers <n>", "blocks", "4")
  .option("--memory <size>", "the budget of each", "8GB")
  .option("--tokens <n>", "tokens of the prompt", "64")
  .option("--steps <n>", "tokens to generate after it", "4")
  .option("--threads <n>", "threads (default: all)")
  .option("--folder <path>", "where the checkpoint is written", join(process.cwd(), ".scale"))
  .action(main)
  .parseAsync();
