export interface EncodeOptions {
  /** True unless given: the marks at the ends that the model was trained with. */
  readonly add_special_tokens?: boolean;
  /** A second text, where the tokenizer's post-processor joins two. */
  readonly text_pair?: string | null;
}

export interface DecodeOptions {
  readonly skip_special_tokens?: boolean;
  /** As the checkpoint's configuration says unless given. */
  readonly clean_up_tokenization_spaces?: boolean;
}

export interface ChatMessage {
  readonly role: string;
  readonly content: unknown;
}

/** Further names become names in the template. */
export interface ChatTemplateOptions extends Readonly<Record<string, unknown>> {
  /** A Jinja template, or the name of one of the tokenizer's. */
  readonly chat_template?: string | null;
  /** Token ids unless false, then the text. */
  readonly tokenize?: boolean;
  /** Whether the text ends where the model's turn begins. */
  readonly add_generation_prompt?: boolean;
}

/** A checkpoint's tokenizer, with the names of `PreTrainedTokenizer` of transformers. */
export interface Tokenizer {
  encode(text: string, options?: EncodeOptions): number[];
  /** Token ids of each text. The time limit is one for all of them, which makes it cheaper than as many calls. */
  encodeBatch(texts: readonly string[], options?: Omit<EncodeOptions, "text_pair">): number[][];
  decode(ids: Iterable<number | bigint>, options?: DecodeOptions): string;
  /** The text of each list of token ids, under one time limit. */
  decodeBatch(lists: readonly (readonly number[])[], options?: DecodeOptions): string[];
  /** The tokens of a text as the vocabulary spells them; no marks at the ends unless asked for. */
  tokenize(text: string, options?: EncodeOptions): string[];
  /** Undefined for what is no token. */
  convert_tokens_to_ids(tokens: readonly string[]): (number | undefined)[];
  /** Ids by token. */
  get_vocab(): Map<string, number>;
  /**
   * The text of a conversation with `tokenize: false`, else its token ids.
   * @throws ModalscopeError when there is no template, or it runs longer than a prompt needs
   */
  apply_chat_template(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions & { tokenize: false },
  ): string;
  apply_chat_template(messages: readonly ChatMessage[], options?: ChatTemplateOptions): number[];
  /** A Jinja template, several by name, or null when the model was not made for conversations. */
  readonly chat_template: string | Readonly<Record<string, string>> | null;
  readonly all_special_ids: number[];
  readonly all_special_tokens: string[];
  readonly bos_token: string | undefined;
  readonly bos_token_id: number | undefined;
  readonly eos_token: string | undefined;
  readonly eos_token_id: number | undefined;
  /** The end of a text where the configuration names none. */
  readonly pad_token: string | undefined;
  readonly pad_token_id: number | undefined;
  readonly unk_token: string | undefined;
  readonly unk_token_id: number | undefined;
}
