/** `npm run bench -- CHECKPOINT`: the engine beside TransformerLens, in turns, in one run. */
import { Command } from "commander";
import { formatBytes } from "../../lib/bytes.js";
import { machineText } from "../../lib/machine.js";
import * as edit from "../../lib/model/edits/edit.js";
import { anonymousBytes } from "../../lib/model/engine/memory.js";
import { loadModel } from "../../lib/model/load.js";
import { logProb } from "../../lib/model/methods/metrics.js";
import { sweep } from "../../lib/model/methods/sweep.js";
import { tokenLogProbs } from "../../lib/model/methods/token-log-probs.js";
import type { Model } from "../../lib/model/model.js";
import { compare, Reference, timed } from "./beside.js";
import { matmulLimit } from "./limit.js";

interface Options {
  readonly python?: string;
  readonly rounds: number;
  readonly threads: number;
}

const shapes = [
  { size: 1, time: 64, all: 1.4, one: 2 },
  { size: 8, time: 64, all: 1.4, one: 1.5 },
  { size: 1, time: 512, all: 1.15, one: 1.2 },
];

function tokensOf(size: number, time: number, vocabulary: number): number[][] {
  return Array.from({ length: size }, (_, b) =>
    Array.from({ length: time }, (_, t) => (b * 7919 + t * 104_729 + 11) % (vocabulary - 1000)),
  );
}

async function main(path: string, { python, rounds, threads }: Options): Promise<void> {
  const limit = await matmulLimit(threads);
  console.log(machineText());
  console.log(`matrix products here: ${(limit / 1e9).toFixed(0)} GFLOP/s on ${threads} threads`);
  const { seconds: cold } = await timed(async () => (await loadModel(path, { threads })).close());
  let model!: Model;
  const { seconds: load } = await timed(async () => {
    model = await loadModel(path, { threads });
  });
  const reference = python
    ? await Reference.start(python, "reference.py", [path, String(threads)])
    : undefined;
  console.log(
    `load: first ${cold.toFixed(2)} s, again ${load.toFixed(2)} s, ${formatBytes(anonymousBytes())} anonymous`,
  );
  if (reference)
    console.log(
      `reference load: ${reference.loaded.seconds.toFixed(2)} s, ${formatBytes(reference.loaded.bytes)} anonymous`,
    );
  await model.run(model.batch(tokensOf(1, 8, model.config.vocab_size)));
  console.log(`after a first run: ${formatBytes(anonymousBytes())} anonymous`);
  for (const { size, time, all, one } of shapes)
    await benchForward(model, reference, { size, time, all, one, rounds, limit });
  await benchSweep(model, reference, { rounds, limit });
  console.log(
    `at the end: ${formatBytes(anonymousBytes())} anonymous${reference ? `, reference ${formatBytes((await reference.ask({ op: "forward", tokens: [[1, 2]] })).bytes)}` : ""}`,
  );
  await model.close();
  await benchStreaming(path, threads);
  reference?.stop();
}

async function benchForward(
  model: Model,
  reference: Reference | undefined,
  {
    size,
    time,
    all,
    one,
    rounds,
    limit,
  }: { size: number; time: number; all: number; one: number; rounds: number; limit: number },
): Promise<void> {
  const tokens = tokensOf(size, time, model.config.vocab_size);
  const batch = model.batch(tokens);
  const capture = ["blocks.*.hook_resid_pre"];
  const theirs = reference && (() => reference.ask({ op: "forward", tokens }));
  if (reference) {
    const expected = (await reference.ask({ op: "forward", tokens })).logits;
    const { logits } = await model.run(model.batch([tokens[0]]), { logits: "last" });
    const drift = Math.max(...expected.map((v, i) => Math.abs(v - logits!.data[i])));
    if (!(drift < 1e-2)) throw new Error(`The two compute different things: logits differ by ${drift}.`);
  }
  for (const [logits, target] of [
    ["all", all],
    ["last", one],
  ] as const) {
    const name = `${size}×${time}, residual cache, logits ${logits === "all" ? "everywhere" : "at one position"}`;
    const flops = flopsOf(model, size * time, logits === "all" ? size * time : size);
    await compare(name, target, rounds, () => timed(() => model.run(batch, { capture, logits })), theirs, {
      flops,
      limit,
    });
  }
  // The reference computes its losses from all logits, which are most of their time.
  const losses = `${size}×${time}, log-probability of each token`;
  const flops = flopsOf(model, size * time, size * (time - 1));
  await compare(losses, all, rounds, () => timed(() => tokenLogProbs(model, batch)), theirs, {
    flops,
    limit,
  });
}

/** Two operations for each weight and token; attention's own products are left out. */
function flopsOf(model: Model, tokens: number, heads: number): number {
  return operations(model, { columns: tokens * model.layers.length, heads });
}

/** @param columns tokens that go through a block, over all blocks */
function operations({ config: c }: Model, { columns, heads }: { columns: number; heads: number }): number {
  const attention = c.hidden_size * c.head_dim * (2 * c.num_attention_heads + 2 * c.num_key_value_heads);
  const block = attention + 3 * c.hidden_size * c.intermediate_size;
  return 2 * (columns * block + heads * c.hidden_size * c.vocab_size);
}

/** What a sweep over all blocks must compute: the clean run, and of each point what lies behind its edit. */
function sweepOperations(model: Model, time: number, first: number): number {
  const count = model.layers.length;
  const behind = (count * (count + 1)) / 2;
  return operations(model, { columns: time * count + (time - first) * behind, heads: count + 1 });
}

async function benchSweep(
  model: Model,
  reference: Reference | undefined,
  { rounds, limit }: { rounds: number; limit: number },
): Promise<void> {
  const time = 64;
  const tokens = tokensOf(1, time, model.config.vocab_size);
  const batch = model.batch(tokens);
  for (const positions of [
    [32, 33, 34, 35],
    [0, 1, 2, 3],
  ]) {
    const own = { values: [] as number[] };
    const ours = () =>
      timed(async () => {
        const editAt = (l: unknown) => ({ [`blocks.${l}.hook_resid_pre`]: edit.fill(0, { positions }) });
        own.values = [
          ...(await sweep(model, batch, { over: model.layers, edit: editAt, metric: logProb(0) })).values
            .data,
        ];
      });
    const theirs = reference && (() => reference.ask({ op: "sweep", tokens, positions }));
    await compare(
      `sweep of ${model.layers.length} blocks, 64 tokens, at ${positions[0]}–${positions[3]}`,
      5,
      Math.min(3, rounds),
      ours,
      theirs,
      { flops: sweepOperations(model, time, positions[0]), limit },
    );
    if (reference) {
      const { values } = await reference.ask({ op: "sweep", tokens, positions });
      const drift = Math.max(...values.map((v, i) => Math.abs(v - own.values[i]) / Math.max(1, Math.abs(v))));
      console.log(`${" ".repeat(44)} largest difference of the metric ${drift.toExponential(1)}`);
    }
  }
}

/** A budget of half the weights' size: the blocks are streamed. */
async function benchStreaming(path: string, threads: number): Promise<void> {
  const probe = await loadModel(path, { threads });
  const bytes = [...probe.checkpoint.weights.values()].reduce((n, w) => n + w.byteLength, 0);
  await probe.close();
  const model = await loadModel(path, { threads, memory: bytes / 2 });
  const batch = model.batch(tokensOf(1, 64, model.config.vocab_size));
  let peak = 0;
  const watch = (): void => {
    peak = Math.max(peak, anonymousBytes());
  };
  const { seconds } = await timed(() => model.run(batch, { logits: "last", onProgress: watch }));
  const mode = model.resident ? "resident" : "streamed";
  console.log(
    `budget ${formatBytes(bytes / 2)} for ${formatBytes(bytes)}: ${mode}, 1×64 in ${seconds.toFixed(2)} s, ` +
      `${((seconds / model.layers.length) * 1000).toFixed(0)} ms per block, peak ${formatBytes(peak)} anonymous (whole process)`,
  );
  await model.close();
}

const program = new Command("bench")
  .description("Times the engine on a checkpoint, beside TransformerLens where a Python with it is given.")
  .argument("<checkpoint>")
  .option("--python <path>", "a Python with transformer_lens 4", process.env.MODALSCOPE_PYTHON)
  .option("--rounds <n>", "timed rounds of each", Number, 5)
  .option("--threads <n>", "threads of both", Number, 2)
  .parse();
await main(program.args[0], program.opts<Options>());
