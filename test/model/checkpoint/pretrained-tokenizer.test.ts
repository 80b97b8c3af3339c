/** Our tokenizers beside Hugging Face's: ids of the library in Rust, and all around them of transformers.js. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { PreTrainedTokenizer as Reference } from "@huggingface/transformers";
import { PreTrainedTokenizer } from "../../../lib/model/checkpoint/pretrained-tokenizer.js";
import { EMBEDDED_MODELS, embeddedModels } from "../../../lib/model/load.js";
import { says } from "../../refusals.js";

/** Ids of Hugging Face's library in Rust (test/fixtures/tokenizers/make.py). */
const { texts, ids: golden } = JSON.parse(
  readFileSync(
    fileURLToPath(new URL("../../../../test/fixtures/tokenizers/embedded.json", import.meta.url)),
    "utf8",
  ),
) as { texts: string[]; ids: Record<string, number[][][]> };
const conversation = [
  { role: "user", content: "What is 3 times 4?" },
  { role: "assistant", content: "12" },
  { role: "user", content: "<b>and</b> 4 times 3?" },
];

const readJson = (file: string): Record<string, unknown> => JSON.parse(readFileSync(file, "utf8"));

for (const name of embeddedModels()) {
  const folder = join(EMBEDDED_MODELS, name);
  const template = join(folder, "chat_template.jinja");
  const files = {
    json: readJson(join(folder, "tokenizer.json")),
    config: {
      ...readJson(join(folder, "tokenizer_config.json")),
      ...(existsSync(template) && { chat_template: readFileSync(template, "utf8") }),
    },
  };
  const ours = new PreTrainedTokenizer(files, name);
  const theirs = new Reference(files.json, files.config);

  describe(`the tokenizer of ${name} is Hugging Face's`, () => {
    for (const [i, text] of texts.entries())
      it(JSON.stringify(text), () => {
        for (const add_special_tokens of [true, false])
          assert.deepEqual(
            ours.encode(text, { add_special_tokens }),
            golden[name][i][add_special_tokens ? 0 : 1],
          );
        const ids = ours.encode(text);
        for (const skip_special_tokens of ids.length === 0 ? [] : [true, false])
          assert.equal(
            ours.decode(ids, { skip_special_tokens }),
            theirs.decode(ids, { skip_special_tokens }),
          );
      });

    it("in its special tokens", () => {
      const special = ["bos_token", "eos_token", "pad_token", "unk_token"] as const;
      for (const key of special) {
        assert.equal(ours[key] ?? null, theirs[key], key);
        assert.equal(ours[`${key}_id`], theirs[`${key}_id`], key);
      }
      assert.deepEqual(ours.all_special_ids, theirs.all_special_ids);
      assert.deepEqual(ours.all_special_tokens, theirs.all_special_tokens);
      assert.deepEqual(ours.convert_tokens_to_ids(["a", "no such token"]), [
        theirs.convert_tokens_to_ids("a"),
        theirs.convert_tokens_to_ids("no such token"),
      ]);
    });

    it("in conversations", () => {
      if (ours.chat_template === null) {
        assert.throws(() => ours.apply_chat_template(conversation), says(/has no chat template/));
        return;
      }
      for (const add_generation_prompt of [true, false]) {
        const options = { add_generation_prompt, return_tensor: false, return_dict: false };
        assert.deepEqual(
          ours.apply_chat_template(conversation, { add_generation_prompt }),
          theirs.apply_chat_template(conversation, options),
        );
        assert.equal(
          ours.apply_chat_template(conversation, { add_generation_prompt, tokenize: false }),
          theirs.apply_chat_template(conversation, { ...options, tokenize: false }),
        );
      }
    });
  });
}

describe("several chat templates", () => {
  const [name] = embeddedModels();
  const json = readJson(join(EMBEDDED_MODELS, name, "tokenizer.json"));
  const named = (templates: Record<string, string>): PreTrainedTokenizer => {
    const chat_template = Object.entries(templates).map(([key, template]) => ({ name: key, template }));
    return new PreTrainedTokenizer({ json, config: { chat_template } }, "model");
  };
  const ask = (tokenizer: PreTrainedTokenizer, options: Record<string, unknown>): string =>
    tokenizer.apply_chat_template(conversation, { ...options, tokenize: false });

  it("are chosen by name, by tools, or by default", () => {
    const tokenizer = named({ default: "plain", tool_use: "tools", rag: "documents" });
    assert.equal(ask(tokenizer, {}), "plain");
    assert.equal(ask(tokenizer, { tools: [{ name: "clock" }] }), "tools");
    assert.equal(ask(tokenizer, { chat_template: "rag" }), "documents");
    assert.equal(ask(tokenizer, { chat_template: "{{ messages[1].content }}!" }), "12!");
  });

  it("without a default ask for a name", () => {
    assert.throws(() => ask(named({ rag: "a", tool_use: "b" }), {}), says(/no default: rag, tool_use/));
  });

  it("of another form are refused", () => {
    const config = { chat_template: [{ name: "default" }] };
    assert.throws(() => new PreTrainedTokenizer({ json, config }, "model"), /without name and template/);
  });
});
