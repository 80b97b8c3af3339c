/**
 * Checkpoints built by hand, not trained, whose Z is known: what a study of Z should find in them follows from how they
 * are made. They answer riddles ("find riddle p07 now please" → "answer 7", 请 猜 题07 是 几 → 答案 7).
 */
import type { Tensor } from "../../tensor.js";
import type { MathsProblem } from "../maths/maths.js";
import { PlantedWeights, range } from "./weights.js";
import { wordTokenizer } from "./word-tokenizer.js";

/**
 * Place of the content (which riddle), and whether the strong directions of the reading block's kernels, its Z, hold it.
 * - `shared`: both languages write it into Z, in one code. Patching Z carries content across.
 * - `separate`: English writes it into Z, Chinese outside. Patching Z from Chinese erases it: damage, no transfer.
 * - `outside`: both write it outside Z. Patching Z does nothing.
 */
export type PlantedMechanism = "shared" | "separate" | "outside";

/** A checkpoint whose weights are constructed, with its problems. */
export interface PlantedMaths {
  /** config.json of a Qwen2 layout. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Map<string, Tensor>;
  /** tokenizer.json and tokenizer_config.json. */
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
  readonly problems: MathsProblem[];
  /** The block that reads the content. */
  readonly layer: number;
  /** Z's dimensions there, all of them coordinate axes. */
  readonly axes: readonly number[];
}

const WIDTH = 128;
const LAYERS = 6;
const HEADS = 4;
const KEY_HEADS = 2;
const HEAD_SIZE = WIDTH / HEADS;
const INNER = 64;
/** The block whose attention moves the content to the last token. */
const READER = 3;
/** Dimensions of a content code; a riddle is one axis with one sign, so there are twice as many. */
const CODE = 13;
const RIDDLES = 2 * CODE;
const MAX_POSITIONS = 128;

/** Meanings of the coordinate axes. */
const axis = {
  constant: 0,
  prompt: 1,
  word: 2,
  number: 3,
  en: 4,
  zh: 5,
  first: range(6, CODE),
  second: range(6 + CODE, CODE),
  nuisance: range(6 + 2 * CODE, CODE),
} as const;

const questionWords = {
  en: ["find", "riddle", "now", "please"],
  zh: ["请", "猜", "是", "几"],
} as const;
const answerWord = { en: "answer", zh: "答案" } as const;

/** Builds a checkpoint with one of the mechanisms; equal seeds give equal weights. */
export function plantedMaths(mechanism: PlantedMechanism, seed = 0): PlantedMaths {
  const codes = {
    shared: { en: axis.first, zh: axis.first, z: axis.first },
    separate: { en: axis.first, zh: axis.second, z: axis.first },
    outside: { en: axis.second, zh: axis.second, z: axis.nuisance },
  }[mechanism];
  const numbers = range(0, RIDDLES + 1).map(String);
  const riddle = (n: number) => `${n}`.padStart(2, "0");
  const vocabulary = [
    "[UNK]",
    "[END]",
    ...questionWords.en,
    ...questionWords.zh,
    answerWord.en,
    answerWord.zh,
    ...range(1, RIDDLES).flatMap((n) => [`p${riddle(n)}`, `题${riddle(n)}`]),
    ...numbers,
  ];
  const id = new Map(vocabulary.map((token, i) => [token, i]));
  const config = configOf(vocabulary.length);
  const weights = quietWeights(vocabulary.length, seed);

  const embedding = weights.get("model.embed_tokens.weight")!;
  const mark = (token: string, at: number, value = 1): void => {
    embedding.data[id.get(token)! * WIDTH + at] += value;
  };
  for (const token of vocabulary) mark(token, axis.constant);
  for (const language of ["en", "zh"] as const) {
    for (const word of questionWords[language]) mark(word, axis.prompt);
    for (const word of [...questionWords[language], answerWord[language]]) mark(word, axis[language]);
    mark(answerWord[language], axis.word);
    for (let n = 1; n <= RIDDLES; n++) {
      const token = `${language === "en" ? "p" : "题"}${riddle(n)}`;
      mark(token, axis.prompt);
      mark(token, axis[language]);
      mark(token, codes[language][codeAxis(n)], codeSign(n));
    }
  }
  for (const number of numbers) mark(number, axis.number);

  plantReader(weights, codes.z);

  // What comes next is told by what the last token is: a question, the answer's word, or its number.
  const head = weights.get("lm_head.weight")!;
  const say = (token: string, at: number, value: number): void => {
    head.data[id.get(token)! * WIDTH + at] += value;
  };
  for (const language of ["en", "zh"] as const) {
    say(answerWord[language], axis.prompt, 10);
    say(answerWord[language], axis[language], 5);
  }
  for (const number of numbers) {
    say(number, axis.word, 10);
    const n = Number(number);
    if (n === 0) continue;
    say(number, axis.first[codeAxis(n)], 6 * codeSign(n));
    say(number, axis.second[codeAxis(n)], 3 * codeSign(n));
  }
  // Without content every number is as likely as the next one: then it is "0", which is no riddle's answer.
  say("0", axis.constant, 1.3);
  say("[END]", axis.number, 10);

  return {
    config,
    weights,
    ...wordTokenizer(vocabulary, {
      special: ["[UNK]", "[END]"],
      unknown: "[UNK]",
      end: "[END]",
      padding: "[END]",
      maxLength: MAX_POSITIONS,
    }),
    problems: range(1, RIDDLES).map((n) => ({
      id: `riddle-${riddle(n)}`,
      category: "riddle",
      expression: String(n),
      answer: n,
      en: `find riddle p${riddle(n)} now please`,
      zh: `请 猜 题${riddle(n)} 是 几`,
    })),
    layer: READER,
    axes: codes.z,
  };
}

const codeAxis = (n: number): number => (n - 1) % CODE;
const codeSign = (n: number): number => (n <= CODE ? 1 : -1);

function configOf(vocabulary: number): Record<string, unknown> {
  return {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    vocab_size: vocabulary,
    hidden_size: WIDTH,
    intermediate_size: INNER,
    num_hidden_layers: LAYERS,
    num_attention_heads: HEADS,
    num_key_value_heads: KEY_HEADS,
    hidden_act: "silu",
    max_position_embeddings: MAX_POSITIONS,
    rms_norm_eps: 1e-6,
    rope_parameters: { rope_type: "default", rope_theta: 10000 },
    tie_word_embeddings: false,
    use_sliding_window: false,
    bos_token_id: null,
    eos_token_id: 1,
    pad_token_id: 1,
    dtype: "float32",
  };
}

/** Blocks that look around at random and write next to nothing; embeddings with a little of every axis. */
function quietWeights(vocabulary: number, seed: number): Map<string, Tensor> {
  const w = new PlantedWeights(seed);
  w.normal("model.embed_tokens.weight", [vocabulary, WIDTH], 0.015);
  for (let l = 0; l < LAYERS; l++) {
    const at = `model.layers.${l}`;
    const kv = KEY_HEADS * HEAD_SIZE;
    w.ones(`${at}.input_layernorm.weight`, WIDTH);
    w.ones(`${at}.post_attention_layernorm.weight`, WIDTH);
    w.normal(`${at}.self_attn.q_proj.weight`, [WIDTH, WIDTH], 0.05);
    w.normal(`${at}.self_attn.k_proj.weight`, [kv, WIDTH], 0.05);
    w.normal(`${at}.self_attn.v_proj.weight`, [kv, WIDTH], 1e-3);
    w.normal(`${at}.self_attn.o_proj.weight`, [WIDTH, WIDTH], 1e-3);
    w.zeros(`${at}.self_attn.q_proj.bias`, [WIDTH]);
    w.zeros(`${at}.self_attn.k_proj.bias`, [kv]);
    w.zeros(`${at}.self_attn.v_proj.bias`, [kv]);
    w.normal(`${at}.mlp.gate_proj.weight`, [INNER, WIDTH], 0.02);
    w.normal(`${at}.mlp.up_proj.weight`, [INNER, WIDTH], 0.02);
    w.normal(`${at}.mlp.down_proj.weight`, [WIDTH, INNER], 1e-3);
  }
  w.ones("model.norm.weight", WIDTH);
  w.normal("lm_head.weight", [vocabulary, WIDTH], 1e-3);
  return w.tensors;
}

/**
 * The reading block. Every key head sees the axes of `z` twenty times as strongly as others (they are Z by construction),
 * yet so faintly that attention stays near uniform; the first head's values copy both content codes to where it looks from.
 */
function plantReader(weights: Map<string, Tensor>, z: readonly number[]): void {
  const at = `model.layers.${READER}.self_attn`;
  const key = weights.get(`${at}.k_proj.weight`)!;
  for (let i = 0; i < key.data.length; i++) key.data[i] *= 0.04;
  const value = weights.get(`${at}.v_proj.weight`)!;
  const out = weights.get(`${at}.o_proj.weight`)!;
  for (let g = 0; g < KEY_HEADS; g++) {
    z.forEach((a, m) => {
      key.data[(g * HEAD_SIZE + m) * WIDTH + a] += 0.2;
    });
  }
  [...axis.first, ...axis.second].forEach((a, m) => {
    value.data[m * WIDTH + a] += 1;
    out.data[a * WIDTH + m] += 1;
  });
}
