/** Special tokens of a vocabulary of whole words. */
export interface WordTokenizerOptions {
  /** Tokens that are cut out of the text wherever they stand, and left out when ids are decoded. */
  readonly special: readonly string[];
  readonly unknown: string;
  readonly end: string;
  readonly padding: string;
  readonly maxLength: number;
  /** More fields of tokenizer_config.json. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** tokenizer.json and tokenizer_config.json of a tokenizer whose tokens are words between spaces. */
export interface WordTokenizer {
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
}

/** A tokenizer for words between spaces: a word's id is its place in the vocabulary. */
export function wordTokenizer(vocabulary: readonly string[], options: WordTokenizerOptions): WordTokenizer {
  const added = options.special.map((content) => ({
    id: vocabulary.indexOf(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: { type: "WhitespaceSplit" },
      post_processor: null,
      decoder: { type: "WordPiece", prefix: "##", cleanup: false },
      model: {
        type: "WordPiece",
        unk_token: options.unknown,
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(vocabulary.map((token, i) => [token, i])),
      },
    },
    tokenizerConfig: {
      tokenizer_class: "PreTrainedTokenizerFast",
      unk_token: options.unknown,
      eos_token: options.end,
      pad_token: options.padding,
      clean_up_tokenization_spaces: false,
      model_max_length: options.maxLength,
      ...options.config,
    },
  };
}
