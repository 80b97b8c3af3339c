/** Chat templates and regular expressions of a checkpoint end, whatever they say. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadTokenizer, openCheckpoint, type Tokenizer } from "../../../lib/model/checkpoint/index.js";
import { EMBEDDED_MODELS, embeddedModels } from "../../../lib/model/load.js";
import { says } from "../../refusals.js";
import { temporaryFolder } from "./fixtures.js";

/** A tokenizer with another chat template, or another tokenizer.json. */
async function tokenizerWith(
  template: string | undefined,
  change: (json: Record<string, unknown>) => Record<string, unknown> = (json) => json,
): Promise<Tokenizer> {
  const folder = join(temporaryFolder(), "model");
  cpSync(join(EMBEDDED_MODELS, embeddedModels()[0]), folder, { recursive: true });
  if (template !== undefined) writeFileSync(join(folder, "chat_template.jinja"), template);
  const file = join(folder, "tokenizer.json");
  writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, "utf8")))));
  const checkpoint = openCheckpoint(folder);
  const tokenizer = await loadTokenizer(checkpoint);
  checkpoint.close();
  return tokenizer;
}

const ask = (tokenizer: Tokenizer): unknown =>
  tokenizer.apply_chat_template([{ role: "user", content: "hello" }], { tokenize: false });

describe("a chat template is stopped, with the file's name, that", () => {
  const nested = "{% for i in range(100000) %}";
  for (const [what, template] of [
    ["counts to a thousand million", "{% for i in range(1000000000) %}x{% endfor %}"],
    ["counts without end", "{% for i in range(0, 1, 0) %}x{% endfor %}"],
    ["nests empty loops", `${nested}${nested}${nested}{% endfor %}{% endfor %}{% endfor %}`],
    [
      "doubles a text",
      "{% set n = namespace(x='xx') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    ],
    [
      "doubles a list",
      "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    ],
    ["writes much in loops", `${nested}${nested}xxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}`],
  ])
    it(what, async () => {
      const tokenizer = await tokenizerWith(template);
      assert.throws(() => ask(tokenizer), says(/chat template of .*model was stopped/));
    });
});

it("a chat template that is no Jinja is refused with the file's name", async () => {
  for (const template of ["{% for %}", "{{ a", "{% if x %}"]) {
    const tokenizer = await tokenizerWith(template);
    assert.throws(() => ask(tokenizer), says(/The chat template of .*model is no valid Jinja: /), template);
  }
});

describe("a chat template that fails is named", () => {
  for (const [template, why] of [
    ["{{ nonsense() }}", /failed on these messages: .*not a function/],
    ["{{ messages | nonsense }}", /failed on these messages: .*nonsense/],
    ["{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", /failed on these messages|was stopped/],
    ["{{ messages.constructor.constructor('return process')() }}", /failed on these messages/],
    [
      "{{ raise_exception('Only user and assistant roles!') }}",
      /refuses these messages: Only user and assistant/,
    ],
  ] as const)
    it(template, async () => {
      const tokenizer = await tokenizerWith(template);
      assert.throws(() => ask(tokenizer), says(new RegExp(`The chat template of .*model ${why.source}`)));
    });
});

it("a chat template writes what stands before break and continue, as in Jinja2", async () => {
  for (const [template, text] of [
    ["{% for m in [1, 2] %}{{ m }}{% break %}{% endfor %}!", "1!"],
    ["{% for m in [1, 2, 3] %}{{ m }}{% if m == 2 %}b{% continue %}{% endif %}x{% endfor %}", "1x2b3x"],
    [
      "{% for a in [1, 2] %}{% for b in [1, 2] %}{{ a }}{{ b }}{% break %}{% endfor %},{% endfor %}",
      "11,21,",
    ],
    [
      "{% macro f(n) %}{% for m in [1, 2] %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% break %}{% endfor %}{% endmacro %}{{ f(2) }}",
      "210",
    ],
  ] as const)
    assert.equal(ask(await tokenizerWith(template)), text, template);
});

it("a chat template has the names that transformers.js gives it", async () => {
  const text =
    "{{ range(1, 7, 2) | join(',') }} {{ range(3, 0, -1) | join(',') }} {{ strftime_now('%Y') }} {{ None }}";
  const expected = `1,3,5 3,2,1 ${new Date().getFullYear()} `;
  assert.equal(
    String(ask(await tokenizerWith(text)))
      .replace("None", "")
      .replace("null", ""),
    expected,
  );
  const raises = await tokenizerWith("{{ raise_exception('no tools') }}");
  assert.throws(() => ask(raises), /no tools/);
});

it("a regular expression that backtracks without end is stopped, with the file's name", async () => {
  const tokenizer = await tokenizerWith(undefined, (json) => ({
    ...json,
    pre_tokenizer: { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated", invert: false },
  }));
  // The chat's text is encoded within the same limit as any other.
  const chat = [{ role: "user", content: `${"a".repeat(40)}!` }];
  assert.throws(
    () => tokenizer.apply_chat_template(chat),
    says(/tokenizer of .*model was stopped after 5\.0 s/),
  );
  assert.ok(tokenizer.encode("a!").length > 0);
});
