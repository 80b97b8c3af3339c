/** Files from which a tokenizer is made. */
export interface TokenizerFiles {
  /** tokenizer.json */
  readonly json: Record<string, unknown>;
  /** tokenizer_config.json, with the chat template */
  readonly config: Record<string, unknown>;
}

/** tokenizer.json's post-processor that puts `begin` before each text and `end` after it, where given. */
export function markTemplate(begin?: string, end?: string): Record<string, unknown> {
  const marked = (id: "A" | "B", type_id: number): object[] => [
    ...(begin === undefined ? [] : [{ SpecialToken: { id: begin, type_id } }]),
    { Sequence: { id, type_id } },
    ...(end === undefined ? [] : [{ SpecialToken: { id: end, type_id } }]),
  ];
  return {
    type: "TemplateProcessing",
    single: marked("A", 0),
    pair: [...marked("A", 0), ...marked("B", 1)],
  };
}
