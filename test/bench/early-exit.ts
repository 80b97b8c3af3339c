/** `npm run bench:early-exit`: early exit over a large vocabulary, read inside the graph and from logits in JavaScript, in turns. */
import { Command } from "commander";
import { type EarlyExit, earlyExit } from "../../lib/analysis/index.js";
import { machineText } from "../../lib/machine.js";
import { initialWeights, type Model } from "../../lib/model/index.js";
import { unembedding } from "../../lib/model/methods/index.js";
import { seeded } from "../../lib/random.js";
import { withCheckpoint } from "../../lib/studies/random-twin.js";
import { compare, timed } from "./beside.js";

interface Options {
  readonly layers: number;
  readonly positions: number;
  readonly width: number;
  readonly vocabulary: number;
  readonly rounds: number;
}

async function bench(model: Model, { layers, positions, width, vocabulary, rounds }: Options): Promise<void> {
  const random = seeded(7);
  const states = {
    data: Float32Array.from({ length: (layers + 1) * positions * width }, () => random.normal()),
    shape: [layers + 1, positions, width],
  };
  const tokens = Array.from({ length: positions }, () => random.int(vocabulary));
  const { forward, read } = unembedding(model);
  const found: Record<"inside" | "outside", EarlyExit[]> = { inside: [], outside: [] };
  const exit = (side: keyof typeof found, head: Parameters<typeof earlyExit>[1]) => () =>
    timed(async () => {
      found[side] = [await earlyExit(states, head, { tokens })];
    });
  await compare(
    `early exit, ${layers} layers, ${positions} positions, vocabulary ${vocabulary}`,
    3,
    rounds,
    exit("inside", { forward, read }),
    exit("outside", { forward }),
    { warm: false },
  );
  const [[inside], [outside]] = [found.inside, found.outside];
  for (const name of ["probability", "rank", "entropy", "change"] as const) {
    const all = outside[name].data;
    const off = inside[name].data.reduce((most, x, i) => Math.max(most, Math.abs(x - all[i])), 0);
    const largest = all.reduce((most, x) => Math.max(most, x), 0);
    console.log(`  ${name.padEnd(12)} differs by ${off.toExponential(1)}, largest ${largest.toPrecision(3)}`);
  }
}

const program = new Command("bench:early-exit")
  .description(
    "Times early exit on random weights: readings inside the graph beside all logits in JavaScript.",
  )
  .option("--layers <n>", "blocks; one state more is read", Number, 24)
  .option("--positions <n>", "positions that are read", Number, 64)
  .option("--width <n>", "width of the states", Number, 896)
  .option("--vocabulary <n>", "tokens of the head", Number, 150_000)
  .option("--rounds <n>", "timed rounds of each", Number, 2)
  .parse();
const options = program.opts<Options>();
const config = {
  model_type: "qwen2",
  hidden_size: options.width,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  num_key_value_heads: 1,
  vocab_size: options.vocabulary,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
};
console.log(machineText());
await withCheckpoint({ config, weights: initialWeights(config, 1) }, (model) => bench(model, options));
