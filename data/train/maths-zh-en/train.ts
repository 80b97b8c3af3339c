/** Trains the embedded bilingual maths checkpoint: `node dist/data/train/maths-zh-en/train.js --help`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PreTrainedTokenizer } from "@huggingface/transformers";
import { Command } from "commander";
import { type Batch, padTokens } from "../../../lib/model/batch/batch.js";
import { openCheckpoint } from "../../../lib/model/checkpoint/index.js";
import {
  initialWeights,
  saveCheckpoint,
  Trainer,
  type TrainingBatch,
  train,
  type Weights,
} from "../../../lib/model/training/index.js";
import { seeded } from "../../../lib/random.js";
import { drawProblems } from "../../../lib/tasks/maths/synthetic.js";
import { type DataMix, type PaddedRows, trainingBatches } from "./batches.js";
import { fourierNumbers, residualScale } from "./initial.js";
import { type TokenizerFiles, trainTokenizer } from "./tokenizer.js";

interface Options {
  readonly out: string;
  readonly steps: number;
  readonly rate: number;
  readonly layers: number;
  readonly seed: number;
  readonly threads: number;
  readonly every: number;
  readonly from?: string;
  readonly drill?: number;
  readonly dataSeed?: number;
}

const WARM_UP = 60;

/** Qwen2's layout, deep and narrow. */
function configOf({ layers }: Options, { vocabularySize, ids }: TokenizerFiles): Record<string, unknown> {
  return {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    vocab_size: vocabularySize,
    hidden_size: 256,
    intermediate_size: 512,
    num_hidden_layers: layers,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    hidden_act: "silu",
    max_position_embeddings: 128,
    rms_norm_eps: 1e-6,
    rope_parameters: { rope_type: "default", rope_theta: 10000 },
    tie_word_embeddings: true,
    initializer_range: 0.05,
    use_sliding_window: false,
    bos_token_id: null,
    eos_token_id: [ids["<|endoftext|>"], ids["<|im_end|>"]],
    pad_token_id: ids["<|endoftext|>"],
    dtype: "float32",
  };
}

/** Facts first, then more and more problems in words: the words are learnt on arithmetic that is there already. */
const mixOf = ({ drill }: Options): DataMix => ({
  rows: 32,
  lot: 8,
  factsPerRow: 8,
  chatShare: 0.1,
  drillShare: (progress) => drill ?? Math.max(0.15, Math.min(1, 1.3 - 2.2 * progress)),
});

function rateAt(step: number, { steps, rate }: Options): number {
  if (step < WARM_UP) return (rate * (step + 1)) / WARM_UP;
  const done = (step - WARM_UP) / Math.max(1, steps - WARM_UP);
  return rate * Math.max(0.02, 0.5 * (1 + Math.cos(Math.PI * done)));
}

/** Every wording of both languages, of either split: the tokenizer learns words, not sums. */
function corpus(seed: number): string[] {
  const random = seeded(seed);
  const problems = [...drawProblems(random, 300, "train"), ...drawProblems(random, 60, "heldout")];
  const chat = "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n".replace(/<\|[a-z_]+\|>/g, "");
  return problems.flatMap(({ question, sentence, fact, answer }) => [
    ...[question.en, question.zh].map((q) => `${q}\n`),
    sentence.en,
    sentence.zh,
    `${fact}${answer}\n`,
    chat,
  ]);
}

function saveTokenizer(folder: string, files: TokenizerFiles): void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: unknown): void =>
    writeFileSync(join(folder, name), `${JSON.stringify(content, null, 1)}\n`);
  write("tokenizer.json", files.tokenizer);
  write("tokenizer_config.json", files.tokenizerConfig);
  write("generation_config.json", {
    eos_token_id: [files.ids["<|endoftext|>"], files.ids["<|im_end|>"]],
    pad_token_id: files.ids["<|endoftext|>"],
  });
}

/** What is to be predicted at each column: the token after it, where that one counts. */
function shifted({ tokens, mask }: PaddedRows): TrainingBatch {
  const [rows, time] = tokens.shape;
  const lists = Array.from({ length: rows }, (_, b) =>
    Array.from(tokens.data.subarray(b * time, (b + 1) * time)),
  );
  const batch: Batch = padTokens(lists);
  const targets = new Int32Array(rows * time);
  const lossWeights = new Float32Array(rows * time);
  for (let b = 0; b < rows; b++) {
    for (let t = 0; t + 1 < time; t++) {
      targets[b * time + t] = tokens.data[b * time + t + 1];
      lossWeights[b * time + t] = mask.data[b * time + t + 1];
    }
  }
  return { batch, targets, lossWeights };
}

function fresh(
  config: Record<string, unknown>,
  { seed, layers }: Options,
  encode: (text: string) => number[],
): Weights {
  const weights = initialWeights(config, seed);
  residualScale(weights, layers);
  fourierNumbers(weights.get("model.embed_tokens.weight")!, encode, seed);
  return weights;
}

function stored(folder: string): Weights {
  const checkpoint = openCheckpoint(folder);
  const weights: Weights = new Map(
    [...checkpoint.weights].map(([name, { shape }]) => [name, { data: checkpoint.read(name), shape }]),
  );
  checkpoint.close();
  return weights;
}

async function main(options: Options): Promise<void> {
  const files = trainTokenizer(corpus(options.seed));
  const tokenizer = new PreTrainedTokenizer(files.tokenizer, files.tokenizerConfig);
  const encode = (text: string): number[] => Array.from(tokenizer.encode(text), Number);
  const config = configOf(options, files);
  const weights = options.from === undefined ? fresh(config, options, encode) : stored(options.from);
  saveTokenizer(options.out, files);
  const trainer = await Trainer.open(config, { threads: options.threads });
  const parameters = [...weights.values()].reduce((n, w) => n + w.data.length, 0);
  console.log(`${parameters} parameters, ${files.vocabularySize} tokens of vocabulary`);
  const rows = trainingBatches(
    encode,
    files.ids["<|endoftext|>"],
    mixOf(options),
    options.steps,
    options.dataSeed ?? options.seed,
  );
  const started = performance.now();
  let seen = 0;
  let smooth = Number.NaN;
  const next = (): TrainingBatch => {
    const batch = shifted(rows.next().value as PaddedRows);
    seen += batch.batch.size * batch.batch.seqLength;
    return batch;
  };
  await train(trainer, weights, next, {
    steps: options.steps,
    learningRate: (step) => rateAt(step, options),
    betas: [0.9, 0.98],
    maxGradNorm: 1,
    onStep(step, loss) {
      smooth = Number.isNaN(smooth) ? loss : 0.95 * smooth + 0.05 * loss;
      const seconds = (performance.now() - started) / 1000;
      if ((step + 1) % 20 === 0) {
        console.log(
          `step ${step + 1} loss ${smooth.toFixed(4)} ${(seen / seconds).toFixed(0)} tokens/s ${seconds.toFixed(0)} s`,
        );
      }
      if ((step + 1) % options.every === 0 || step + 1 === options.steps)
        saveCheckpoint(options.out, config, weights);
    },
  });
  await trainer.close();
}

const program = new Command("train-maths-zh-en")
  .description("Trains the embedded bilingual maths checkpoint through the engine's own gradients.")
  .option("--out <folder>", "where the checkpoint goes", "data/models/maths-zh-en")
  .option("--steps <n>", "training steps", Number, 2200)
  .option("--rate <r>", "largest learning rate", Number, 2e-3)
  .option("--layers <n>", "decoder blocks", Number, 10)
  .option("--seed <n>", "of weights and data", Number, 1)
  .option("--threads <n>", "threads of one operation", Number, 2)
  .option("--from <folder>", "go on from a checkpoint instead of random weights")
  .option(
    "--drill <share>",
    "constant share of rows that drill bare facts (default: from 1 down to 0.15)",
    Number,
  )
  .option("--data-seed <n>", "of the data, where it differs from the weights'", Number)
  .option("--every <n>", "steps between two saves", Number, 200);
await main(program.parse().opts<Options>());
