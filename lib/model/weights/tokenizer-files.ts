/** What a tokenizer of @huggingface/transformers is made from. */
export interface TokenizerFiles {
  /** tokenizer.json */
  readonly json: Record<string, unknown>;
  /** tokenizer_config.json, with the chat template */
  readonly config: Record<string, unknown>;
}
