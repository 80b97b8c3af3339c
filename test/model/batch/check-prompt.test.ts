import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { Prompt } from "../../../lib/model/batch/index.js";
import { loadModel } from "../../../lib/model/load.js";
import { packageRoot } from "../../../lib/package-root.js";
import { says } from "../../refusals.js";
import { temporaryFolder } from "../checkpoint/fixtures.js";

const model = await loadModel("tiny-llava-1.5", { cache: false });
after(() => model.close());

const image = { width: 2, height: 2, data: new Uint8Array(12) };
const asked = (content: unknown): unknown => [{ role: "user", content }];

describe("what is no prompt is refused with what one is", () => {
  const cases: readonly [unknown, RegExp][] = [
    [null, /Prompt 0 cannot be read: it is null\. Give a string/],
    [undefined, /it is undefined/],
    [5, /it is a number/],
    [["text", 5], /Prompt 1 cannot be read: it is a number/],
    [{ txt: "text" }, /its text is undefined/],
    [{ text: 5, images: [] }, /its text is a number/],
    [{ text: "<image>" }, /its images are undefined, not a list/],
    [{ text: "<image>", images: "a.png" }, /its images are a string, not a list/],
    [{ text: "<image>", images: image }, /its images are an object, not a list/],
    [[asked("first"), [null]], /Prompt 1 cannot be read: message 0 is null/],
    [[{ role: 5, content: "text" }], /message 0 has as its role a number/],
    [asked(null), /message 0 has as its content null/],
    [asked({ type: "text", text: "text" }), /message 0 has as its content an object/],
    [asked([{ type: "text", text: 5 }]), /message 0 has a part 0 of the type "text" that is not known/],
    [
      asked([
        { type: "text", text: "text" },
        { type: "video", video: "a.mp4" },
      ]),
      /a part 1 of the type "video"/,
    ],
    [asked([{ type: "image", url: "a.png" }]), /a part 0 of the type "image"/],
    [asked(["text"]), /a part 0 a string/],
    [asked([{ type: "image_url", image_url: { url: "a.png" } }]), /a part 0 of the type "image_url"/],
  ];
  for (const [prompt, message] of cases)
    it(String(message), () => assert.rejects(model.prepare(prompt as Prompt), says(message)));
});

it("prompts of every kind are read", async () => {
  const prompts: Prompt[] = [
    "text",
    { text: "<image> text", images: [image] },
    [{ role: "user", content: "text" }],
    asked([
      { type: "image", image },
      { type: "text", text: "text" },
    ]) as Prompt,
  ];
  const { visual } = await model.prepare(prompts);
  assert.deepEqual(
    visual.map(({ length }) => length),
    [0, 36, 0, 36],
  );
});

it("config.json's image token that is not the tokenizer's is named", async () => {
  const folder = join(temporaryFolder(), "model");
  cpSync(join(packageRoot(), "data/models/tiny-llava-1.5"), folder, { recursive: true });
  const file = join(folder, "config.json");
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace(/("image_token_index": )\d+/, (_, name) => `${name}7`),
  );
  const other = await loadModel(folder, { cache: false });
  await assert.rejects(
    other.prepare({ text: "<image> text", images: [image] }),
    says(/config\.json gives them the id 7; the tokenizer gives another.*correct "image_token_id"/),
  );
  await other.close();
});
