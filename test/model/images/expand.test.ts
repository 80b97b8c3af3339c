import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { PreTrainedTokenizer } from "@huggingface/transformers";
import {
  expandPrompt,
  IMAGE_TOKENS,
  imageProcessor,
  type ProcessedImage,
} from "../../../lib/model/images/index.js";
import { says } from "../../refusals.js";
import { configs, fixture, golden, readImage, sha256 } from "./goldens.js";

const tokenizer = new PreTrainedTokenizer(JSON.parse(readFileSync(fixture("tokenizer.json"), "utf8")), {});

async function seen(name: string, images: readonly string[]): Promise<ProcessedImage[]> {
  const processor = imageProcessor(configs[name].modelType, configs[name]);
  return (await Promise.all(images.map(readImage))).map((image) => processor.process(image));
}

describe("prompts with images, as transformers' processors tokenize them", () => {
  for (const [name, prompts] of Object.entries(golden.prompts))
    for (const { text, images, count, visual, sha256: expected } of prompts)
      it(`${name}: ${JSON.stringify(text)}`, async () => {
        const { modelType } = configs[name];
        const processed = await seen(name, images);
        const ids = tokenizer.encode(expandPrompt(modelType, text, processed), { add_special_tokens: false });
        const id = tokenizer.encode(IMAGE_TOKENS[modelType].image, { add_special_tokens: false });
        assert.equal(id.length, 1);
        assert.equal(ids.filter((i) => i === id[0]).length, visual);
        assert.equal(processed.flatMap((image) => image.tokens).length, visual);
        assert.equal(ids.length, count);
        assert.equal(sha256(Int32Array.from(ids)), expected);
      });

  it("writes a small one out", async () => {
    const [image] = await seen("gemma3-small-crops", ["odd.png"]);
    const tile = `\n\n<start_of_image>${"<image_soft_token>".repeat(9)}<end_of_image>\n\n`;
    assert.equal(
      expandPrompt("gemma3", "a<start_of_image>b", [image]),
      `aHere is the original image ${tile} and here are some crops to help you see better ${tile} ${tile}b`,
    );
  });

  it("takes a checkpoint's own tokens", async () => {
    const [image] = await seen("llava-full", ["odd.png"]);
    const tokens = { placeholder: "[IMG]", image: "[PATCH]" };
    assert.equal(expandPrompt("llava", "x[IMG]y", [image], tokens), `x${"[PATCH]".repeat(5)}y`);
  });

  it("refuses a prompt whose places are not its images", async () => {
    const [image] = await seen("llava-full", ["odd.png"]);
    const refuses = (family: string, text: string, images: ProcessedImage[], message: RegExp): void => {
      assert.throws(() => expandPrompt(family, text, images), says(message));
    };
    refuses("llava", "No place.", [image], /0 places for images and 1 image\b/);
    refuses("llava", "<image><image>", [image], /2 places for images and 1 image\b.*Pass an image for each/);
    refuses("llava", "<image>", [image, image], /1 place for images and 2 images/);
    refuses("qwen3_vl_moe", "<|image_pad|>", [], /1 place for images and 0 images/);
    refuses("gemma3", "<image_soft_token>", [], /holds "<image_soft_token>"/);
    refuses("qwen2", "<image>", [image], /not known for "qwen2"/);
    assert.equal(expandPrompt("llava", "No place.", []), "No place.");
  });
});
