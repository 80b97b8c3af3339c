/** The planted models' vocabulary: its tokenizer, embeddings and head. */
import type { PlantedWeights } from "../weights.js";
import { type WordTokenizer, wordTokenizer } from "../word-tokenizer.js";
import { axis, PLANTED_COLOUR_NAMES, PLANTED_COLOURS, WIDTH } from "./axes.js";

const SPECIAL = [
  "<|endoftext|>",
  "<|im_start|>",
  "<|im_end|>",
  "<|vision_start|>",
  "<|vision_end|>",
  "<|image_pad|>",
  "<|video_pad|>",
  "<unk>",
] as const;
const WORDS = ["user", "assistant", "the", "image", "is", "what", "it", "left", "right", ".", "?"] as const;

const VOCABULARY: readonly string[] = [...SPECIAL, ...WORDS, ...PLANTED_COLOUR_NAMES];

export const VOCABULARY_SIZE: number = VOCABULARY.length;
const IMAGE_TOKEN = "<|image_pad|>";
export const END = "<|im_end|>";

/** Ids that config.json names. */
export const tokenIds: Readonly<
  Record<"image" | "video" | "visionStart" | "visionEnd" | "end" | "padding", number>
> = {
  image: idOf(IMAGE_TOKEN),
  video: idOf("<|video_pad|>"),
  visionStart: idOf("<|vision_start|>"),
  visionEnd: idOf("<|vision_end|>"),
  end: idOf(END),
  padding: idOf("<|endoftext|>"),
};

/** The id of a token of the vocabulary. */
export function idOf(token: string): number {
  return VOCABULARY.indexOf(token);
}

/** Qwen's chat format in words between spaces. */
export const CHAT_TEMPLATE: string = [
  "{% for message in messages %}<|im_start|> {{ message['role'] }} ",
  "{% if message['content'] is string %}{{ message['content'] }}",
  "{% else %}{% for item in message['content'] %}",
  "{% if item['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %} {{ item['text'] }}{% endif %}",
  "{% endfor %}{% endif %} <|im_end|> {% endfor %}",
  "{% if add_generation_prompt %}<|im_start|> assistant{% endif %}",
].join("");

export function plantedTokenizer(maxLength: number): WordTokenizer {
  return wordTokenizer(VOCABULARY, {
    special: SPECIAL,
    unknown: "<unk>",
    end: END,
    padding: "<|endoftext|>",
    maxLength,
    config: {
      image_token: IMAGE_TOKEN,
      video_token: "<|video_pad|>",
      vision_start_token: "<|vision_start|>",
      vision_end_token: "<|vision_end|>",
      processor_class: "Qwen3VLProcessor",
      padding_side: "left",
    },
  });
}

/**
 * Embeddings that tell what each word is, and a head that names the colour on the answer's axes.
 * @param preference how much more likely than the others "red" is where nothing is known
 * @param afterColour token that follows a colour; the end of the answer when left out
 */
export function plantWords(w: PlantedWeights, preference: number, afterColour: string = END): void {
  const embedding = "model.embed_tokens.weight";
  w.normal(embedding, [VOCABULARY_SIZE, WIDTH], 0.01);
  w.normal("lm_head.weight", [VOCABULARY_SIZE, WIDTH], 0.001);
  const mark = (token: string, at: number, value: number): void => w.add(embedding, [idOf(token), at], value);
  const score = (token: string, at: number, value: number): void =>
    w.add("lm_head.weight", [idOf(token), at], value);
  for (const token of VOCABULARY) {
    mark(token, axis.constant, 4);
    mark(token, axis.text, 1);
  }
  mark("it", axis.oneHop, 3);
  mark("left", axis.twoHops, 3);
  mark("right", axis.twoHops, 3);
  mark("left", axis.side, 3);
  mark("right", axis.side, -3);
  for (const name of PLANTED_COLOUR_NAMES) {
    mark(name, axis.colourWord, 3);
    score(name, axis.constant, name === "red" ? 2 + preference : 2);
    PLANTED_COLOURS[name].forEach((sign, i) => {
      mark(name, axis.hint[i], sign);
      score(name, axis.answer[i], 6 * sign);
    });
  }
  score(afterColour, axis.colourWord, 100);
}
