/** Vocabulary of the planted two-source models: words that state a value, in eighths. */
import type { PlantedWeights } from "../weights.js";
import { type WordTokenizer, wordTokenizer } from "../word-tokenizer.js";
import { axis, CODE, CONSTANT, DIMENSIONS, WIDTH } from "./axes.js";

const SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>"] as const;
const OTHER = ["USER:", "ASSISTANT:", "?"] as const;

/** Answers: whether the first dimension of the prediction is above 0; and the second one's, which never wins. */
export const ANSWERS: readonly (readonly [above: string, below: string])[] = [
  ["high", "low"],
  ["warm", "cold"],
];

/** Letters of the words that count and of those beside them, by dimension. */
const LETTERS = { marked: ["x", "y"], other: ["p", "q"] } as const;

/** Values of words: this many steps to a unit, and none beyond. */
const STEPS = 8;
const LARGEST = 5;

const LEVELS = Array.from({ length: 2 * LARGEST * STEPS + 1 }, (_, i) => i - LARGEST * STEPS);

const wordOf = (letter: string, level: number): string => `${letter}${level < 0 ? "" : "+"}${level}`;

/** The word for a value, such as "x+12" for 1.5. */
export function valueWord(kind: "marked" | "other", dimension: number, value: number): string {
  const level = Math.max(-LARGEST * STEPS, Math.min(LARGEST * STEPS, Math.round(value * STEPS)));
  return wordOf(LETTERS[kind][dimension], level === 0 ? 0 : level);
}

const VOCABULARY: readonly string[] = [
  ...SPECIAL,
  ...OTHER,
  ...ANSWERS.flat(),
  ...Object.values(LETTERS).flatMap((letters) =>
    letters.flatMap((letter) => LEVELS.map((level) => wordOf(letter, level))),
  ),
];

export const VOCABULARY_SIZE: number = VOCABULARY.length;

/** Id of a token of the vocabulary. */
export const idOf = (token: string): number => VOCABULARY.indexOf(token);

/** LLaVA's chat format in words between spaces. */
export const CHAT_TEMPLATE: string = [
  "{% for message in messages %}{{ message['role'].upper() + ': ' }}",
  "{% if message['content'] is string %}{{ message['content'] }}",
  "{% else %}{% for item in message['content'] %}",
  "{% if item['type'] == 'image' %}<image> {% else %}{{ item['text'] }}{% endif %}",
  "{% endfor %}{% endif %} {% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}",
].join("");

export function plantedTokenizer(maxLength: number): WordTokenizer {
  return wordTokenizer(VOCABULARY, {
    special: SPECIAL,
    unknown: "<unk>",
    end: "</s>",
    padding: "<pad>",
    maxLength,
    config: { image_token: "<image>", processor_class: "LlavaProcessor", padding_side: "left" },
  });
}

/** Embeddings that say what each word is and states, and a head that reads the answer's axes. */
export function plantWords(w: PlantedWeights): void {
  const embedding = "language_model.model.embed_tokens.weight";
  const head = "language_model.lm_head.weight";
  w.zeros(embedding, [VOCABULARY_SIZE, WIDTH]);
  w.normal(head, [VOCABULARY_SIZE, WIDTH], 0.0001);
  const mark = (token: string, at: number, value: number): void => w.add(embedding, [idOf(token), at], value);
  for (const token of VOCABULARY) mark(token, axis.constant, CONSTANT);
  mark("USER:", axis.first, 1);
  mark("ASSISTANT:", axis.last, 1);
  for (const kind of ["marked", "other"] as const)
    LETTERS[kind].forEach((letter, d) => {
      for (const level of LEVELS) {
        mark(wordOf(letter, level), axis[kind], 1);
        // A head takes the mean over the words of all dimensions, of which one states this one.
        mark(wordOf(letter, level), axis.word[d], (DIMENSIONS * CODE * level) / STEPS);
      }
    });
  ANSWERS.forEach((pair, d) => {
    pair.forEach((token, side) => {
      w.add(head, [idOf(token), axis.answer[d]], side === 0 ? 40 : -40);
      // The first dimension is what is asked for; the offsets are equal for all prompts.
      w.add(head, [idOf(token), axis.constant], d === 0 ? 10 : 0);
    });
  });
}
