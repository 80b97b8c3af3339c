import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Prompt } from "../../../lib/model/batch/prompts.js";
import { loadModel } from "../../../lib/model/load.js";
import type { Model } from "../../../lib/model/model.js";
import { says } from "../../refusals.js";
import { fixtures, golden, imagePath, open, variants } from "../vision/goldens.js";

const refused = async (work: () => Promise<unknown>, why: RegExp): Promise<void> => {
  await assert.rejects(work, says(why));
};

for (const variant of variants.filter((v) => /-(default|vicuna|window|tied|top2)$/.test(v))) {
  describe(`prompts that cannot be, ${variant}`, () => {
    let model: Model;
    before(async () => {
      model = await open(variant);
    });
    after(() => model?.close());
    const { cases } = golden(variant);
    const text = cases.image.prompts[0];
    const ask =
      (prompt: Prompt): (() => Promise<unknown>) =>
      () =>
        model.run(prompt);
    const talk = (...images: unknown[]): Prompt =>
      [
        {
          role: "user",
          content: [...images.map((image) => ({ type: "image", image })), { type: "text", text: "what" }],
        },
      ] as Prompt;

    it("a broken image, one that is not there, no bytes, no size", async () => {
      const whole = readFileSync(imagePath("wide"));
      const rgb = (width: number, height: number): object => ({ width, height, data: new Uint8Array(0) });
      for (const make of [(image: unknown) => ({ text, images: [image] }) as Prompt, talk]) {
        await refused(ask(make(whole.subarray(0, 200))), /cannot be read as an image/);
        await refused(ask(make(new TextEncoder().encode("no image"))), /cannot be read as an image/);
        await refused(ask(make(join(fixtures, "images/none.png"))), /cannot be opened/);
        await refused(ask(make(new Uint8Array(0))), /no bytes/);
        await refused(ask(make(rgb(0, 5))), /0×5 pixels/);
        await refused(ask(make(rgb(4, 4))), /has 0 values/);
        await refused(ask(make(rgb(100_000, 100_000))), /The (limit is|image of)/);
        await refused(ask(make(7)), /no image/);
      }
    });

    it("an image token without an image, and the reverse", async () => {
      await refused(ask(text), /1 place for images and 0 images/);
      await refused(
        ask({ text, images: [imagePath("wide"), imagePath("tall")] }),
        /1 place for images and 2 images/,
      );
      await refused(
        ask({ text: "no place", images: [imagePath("wide")] }),
        /0 places for images and 1 image/,
      );
      const id = model.config.vision_config!.image_token_id;
      assert.throws(() => model.batch([[1, id, 2]]), /part of an image/);
    });

    it("more images than the model has room for", async () => {
      const many = Array.from({ length: 400 }, () => imagePath("square"));
      const { max_position_embeddings } = model.config;
      await refused(ask(talk(...many)), new RegExp(`made for ${max_position_embeddings}`));
    });

    it("a processor that contradicts the model, or is none", async () => {
      const parent = mkdtempSync(join(tmpdir(), "modalscope-"));
      try {
        const folder = join(parent, variant);
        cpSync(join(fixtures, variant), folder, { recursive: true });
        const changed = async (fields: object | string): Promise<void> => {
          for (const name of ["preprocessor_config.json", "processor_config.json"]) {
            const own = JSON.parse(readFileSync(join(fixtures, variant, name), "utf8"));
            const inner = own.image_processor
              ? { ...own, image_processor: { ...own.image_processor, ...(fields as object) } }
              : { ...own, ...(fields as object) };
            writeFileSync(join(folder, name), typeof fields === "string" ? fields : JSON.stringify(inner));
          }
          const other = await loadModel(folder, { threads: 1 });
          try {
            await other.run({ text, images: [imagePath("wide")] });
          } finally {
            await other.close();
          }
        };
        const wrong = /^qwen/.test(variant)
          ? { patch_size: 7 }
          : { size: { height: 7, width: 7 }, crop_size: { height: 7, width: 7 } };
        await refused(() => changed(wrong), /contradict|processor|size/i);
        await refused(() => changed({ image_processor_type: "BlipImageProcessor" }), /BlipImageProcessor/);
        await refused(() => changed({ image_mean: "grey" }), /image_mean/);
        await refused(() => changed("{ not json"), /config\.json/);
      } finally {
        rmSync(parent, { recursive: true });
      }
    });
  });
}

it("an image for a text-only model", async () => {
  const model = await loadModel(join(fixtures, "../families/qwen2-tied"), { threads: 1 });
  await refused(
    () => model.run([{ role: "user", content: [{ type: "image", image: imagePath("wide") }] }]),
    /tokenizer|is text-only/,
  );
  await model.close();
});
