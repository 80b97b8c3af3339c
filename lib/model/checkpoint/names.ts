/** Checkpoints of one model came out under several names of weights; the architectures read one. */
const renamings: readonly (readonly [RegExp, string])[] = [
  // Saved from inside a wrapper: data parallelism, torch.compile, PEFT.
  [/^(?:(?:module|_orig_mod|base_model\.model)\.)+/, ""],
  [/^model\.(?=language_model\.|vision_tower\.|visual\.|multi_modal_projector\.|image_newline$)/, ""],
  [/^language_model\.(?=model\.|lm_head\.)/, ""],
  [/^language_model\./, "model."],
  [/^vision_tower\.vision_model\./, "vision_tower."],
  // Models saved without their language head, such as Qwen3-Embedding.
  [/^(?=layers\.\d+\.|embed_tokens\.|norm\.)/, "model."],
  // GPT-2 on the Hub
  [/^(?=h\.\d+\.|w[tp]e\.|ln_f\.)/, "transformer."],
];

/**
 * The name under which the architectures read a weight: the language model's as a text model has it (`model.layers.0…`,
 * `lm_head.weight`), beside `vision_tower.…`, `visual.…` and `multi_modal_projector.…`.
 * Older releases of transformers wrote `language_model.model.layers.0…` and `vision_tower.vision_model.…`,
 * newer ones `model.language_model.layers.0…` and `model.vision_tower.…`.
 */
export function canonicalName(name: string): string {
  return renamings.reduce((n, [from, to]) => n.replace(from, to), name);
}

/** Names in vision-language checkpoints of a language model's `model.…` and `lm_head.…`, and of the tower. */
const saved: Readonly<Record<string, readonly (readonly [RegExp, string])[]>> = {
  qwen: [
    [/^model\./, "model.language_model."],
    [/^visual\./, "model.visual."],
  ],
  others: [[/^(?=model\.|lm_head\.)/, "language_model."]],
};

/** The name under which transformers saves a weight of a vision-language model, given under any of its names. */
export function savedName(modelType: string, name: string): string {
  const table = modelType.startsWith("qwen") ? saved.qwen : saved.others;
  return table.reduce((n, [from, to]) => n.replace(from, to), canonicalName(name));
}
