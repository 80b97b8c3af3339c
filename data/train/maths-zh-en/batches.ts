import { type Random, seeded } from "../../../lib/random.js";
import { drawProblem, type Reach } from "../../../lib/tasks/maths/synthetic.js";
import { type Language, MATHS_CATEGORIES } from "../../../lib/tasks/maths/wordings.js";
import { type Tensor, tensor } from "../../../lib/tensor.js";

/** One step's rows, filled up on the right. Attention needs no mask: nothing counted comes after a filler. */
export interface PaddedRows {
  /** `(rows, time)` token ids. */
  readonly tokens: Tensor<Int32Array>;
  /** `(rows, time)`: 1 where the token is to be predicted (from the position before it), else 0. */
  readonly mask: Tensor;
}

/** What batches are made of. */
export interface DataMix {
  readonly rows: number;
  /** Rows of natural wording come in lots of so many batches, sorted by length, so that little is filled up. */
  readonly lot: number;
  /** Bare facts in one drill row. */
  readonly factsPerRow: number;
  /** The share of problems asked through the chat template. */
  readonly chatShare: number;
  /** The share of drill rows, at a progress from 0 to 1 through the training. */
  readonly drillShare: (progress: number) => number;
}

/** A tokenizer's one function that is needed: special tokens in the text become themselves. */
export type Encode = (text: string) => number[];

/** A prompt, which is read, and what is to be said after it, which is learnt. */
export interface Exchange {
  readonly prompt: string;
  readonly reply: string;
}

/** A question and its answering sentence, plain or through the chat template. */
export function exchange(question: string, sentence: string, chat: boolean): Exchange {
  return chat
    ? {
        prompt: `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`,
        reply: `${sentence}<|im_end|>`,
      }
    : { prompt: `${question}\n`, reply: `${sentence}<|endoftext|>` };
}

/** `steps` batches of training problems, the same for the same seed. */
export function* trainingBatches(
  encode: Encode,
  filler: number,
  mix: DataMix,
  steps: number,
  seed: number,
): Generator<PaddedRows> {
  const random = seeded(seed);
  const remember = new Map<string, number[]>();
  const encodeOnce: Encode = (text) => {
    const known = remember.get(text) ?? encode(text);
    remember.set(text, known);
    return known;
  };
  let lot: Row[][] = [];
  for (let step = 0; step < steps; step++) {
    if (lot.length === 0)
      lot = random.shuffle(drawLot(random, encodeOnce, mix, mix.drillShare(step / steps)));
    yield fillUp(lot.pop()!, filler);
  }
}

/** One exchange per row, for measuring: a reply counts as right when each of its tokens is the likeliest. */
export function evaluationBatch(encode: Encode, filler: number, exchanges: readonly Exchange[]): PaddedRows {
  return fillUp(
    exchanges.map((one) => rowOf(encode, [one])),
    filler,
  );
}

interface Row {
  readonly tokens: readonly number[];
  readonly mask: readonly number[];
}

function drawLot(random: Random, encode: Encode, mix: DataMix, drillShare: number): Row[][] {
  const rows: Row[] = Array.from({ length: mix.rows * mix.lot }, () =>
    rowOf(
      encode,
      random.uniform() < drillShare
        ? Array.from({ length: mix.factsPerRow }, () => drill(random))
        : [drawExchange(random, mix.chatShare)],
    ),
  );
  rows.sort((a, b) => a.tokens.length - b.tokens.length);
  return Array.from({ length: mix.lot }, (_, i) => rows.slice(i * mix.rows, (i + 1) * mix.rows));
}

function drawExchange(random: Random, chatShare: number): Exchange {
  // Half of them as the model will be asked, half from further afield.
  const reach = random.pick<Reach>(["usual", "wide"]);
  const problem = drawProblem(random, random.pick(MATHS_CATEGORIES), "train", reach);
  const language = random.pick<Language>(["en", "zh"]);
  return exchange(problem.question[language], problem.sentence[language], random.uniform() < chatShare);
}

function drill(random: Random): Exchange {
  const { fact, answer } = drawProblem(random, random.pick(MATHS_CATEGORIES), "train", "wide");
  return { prompt: fact, reply: `${answer}\n` };
}

function rowOf(encode: Encode, exchanges: readonly Exchange[]): Row {
  const tokens: number[] = [];
  const mask: number[] = [];
  for (const { prompt, reply } of exchanges) {
    for (const [text, counted] of [
      [prompt, 0],
      [reply, 1],
    ] as const) {
      const ids = encode(text);
      tokens.push(...ids);
      mask.push(...ids.map(() => counted));
    }
  }
  return { tokens, mask };
}

function fillUp(rows: readonly Row[], filler: number): PaddedRows {
  const time = Math.max(...rows.map((row) => row.tokens.length));
  const tokens = new Int32Array(rows.length * time).fill(filler);
  const mask = new Float32Array(rows.length * time);
  rows.forEach((row, i) => {
    tokens.set(row.tokens, i * time);
    mask.set(row.mask, i * time);
  });
  return { tokens: tensor(tokens, [rows.length, time]), mask: tensor(mask, [rows.length, time]) };
}
