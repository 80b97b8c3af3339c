/** Odd tokenizer.json files beside `tokenizers`, Hugging Face's library in Rust (test/fixtures/tokenizers/make.py). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { PreTrainedTokenizer } from "../../../lib/model/checkpoint/pretrained-tokenizer.js";

type Json = Record<string, unknown>;

interface Variant {
  readonly base: string;
  readonly name: string;
  readonly fields: Json;
  /** By text. */
  readonly ids?: readonly (readonly number[])[];
  /** Error with which `tokenizers` declines the file. */
  readonly refused?: string;
}

const { texts, bases, variants } = JSON.parse(
  readFileSync(
    fileURLToPath(new URL("../../../../test/fixtures/tokenizers/odd.json", import.meta.url)),
    "utf8",
  ),
) as { texts: string[]; bases: Record<string, Json>; variants: Variant[] };

const open = (json: Json): PreTrainedTokenizer => new PreTrainedTokenizer({ json, config: {} }, "model");

for (const [base, whole] of Object.entries(bases))
  describe(`a tokenizer of ${base} has the ids of Hugging Face's`, () => {
    for (const { name, fields, ids, refused } of variants.filter((variant) => variant.base === base))
      it(`${name}${refused === undefined ? "" : ": refused"}`, () => {
        if (ids === undefined) {
          assert.throws(() => open({ ...whole, ...fields }));
          return;
        }
        const tokenizer = open({ ...whole, ...fields });
        for (const [i, text] of texts.entries())
          assert.deepEqual(tokenizer.encode(text), ids[i], JSON.stringify(text));
      });
  });

describe("a tokenizer.json that cannot be read says why", () => {
  const bytes = bases.bytes;
  const model = bytes.model as { vocab: Record<string, number>; merges: [string, string][] };
  const withModel = (fields: Json): Json => ({ ...bytes, model: { ...model, ...fields } });
  const cut = Object.fromEntries(Object.entries(model.vocab).filter(([, id]) => id < 290));
  const template = (ids: readonly number[]): Json => ({
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<|im_start|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [],
    special_tokens: { "<|im_start|>": { id: "<|im_start|>", ids, tokens: ["<|im_start|>"] } },
  });
  const word = { id: 330, content: "new", single_word: true, special: false };
  const cases: Readonly<Record<string, readonly [json: Json, why: RegExp]>> = {
    "no model": [{ ...bytes, model: null }, /no model/],
    "another model": [withModel({ type: "Nope" }), /type "Nope", which is unknown/],
    "no vocabulary": [withModel({ vocab: undefined }), /no vocabulary/],
    "an empty vocabulary": [withModel({ vocab: {} }), /vocabulary is empty/],
    "an empty list of tokens": [{ ...bases.unigram, model: { type: "Unigram", vocab: [] } }, /is empty/],
    "a negative id": [withModel({ vocab: { ...model.vocab, a: -3 } }), /gives "a" the id -3/],
    "no merges": [withModel({ merges: undefined }), /merges are missing/],
    "half a merge": [withModel({ merges: [...model.merges, ["a"]] }), /\["a"\] among its merges/],
    "a vocabulary that was cut": [withModel({ vocab: cut }), /which the vocabulary lacks/],
    "another's merges": [withModel({ merges: [["qq", "zz"]] }), /need the token "qq"/],
    "a list of nothing for added tokens": [{ ...bytes, added_tokens: 5 }, /added_tokens are 5/],
    "a token for whole words": [{ ...bytes, added_tokens: [word] }, /"new" stands for whole words/],
    "marks with other ids": [{ ...bytes, post_processor: template([5, 6]) }, /\[5,6\].*has it as 1/],
    "marks of another": [
      { ...bytes, post_processor: { type: "BertProcessing", cls: ["[CLS]", 2], sep: ["[SEP]", 3] } },
      /"\[CLS\]" as \[2\], and the vocabulary has no such token/,
    ],
    "a split that is not known": [
      { ...bytes, pre_tokenizer: { type: "Split", pattern: { String: "a" }, behavior: "Halved" } },
      /behaviour "Halved"/,
    ],
  };
  for (const [what, [json, why]] of Object.entries(cases))
    it(what, () => assert.throws(() => open(json), why));

  it("letters that no token stands for", () => {
    const pieces = bases.pieces.model as Json;
    const tokenizer = open({ ...bases.pieces, model: { ...pieces, unk_token: "[GONE]" } });
    assert.ok(tokenizer.encode("hello").length > 0);
    assert.throws(() => tokenizer.encode("hello 袋"), /model has no token for a part of "hello 袋"/);
  });

  it("missing fields that have defaults do not matter", () => {
    const { added_tokens, normalizer, post_processor, ...rest } = bytes;
    assert.deepEqual(open(rest).encode("hello world"), open(bytes).encode("hello world"));
  });
});
