/** The tiny vision-language checkpoints of test/fixtures/vision: files as transformers saves, prompts, images. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadTokenizer, openCheckpoint, readSafetensors } from "../../../lib/model/checkpoint/index.js";
import {
  decodeImage,
  expandPrompt,
  IMAGE_FAMILIES,
  imageProcessor,
  type ProcessedImage,
  type ProcessorFiles,
} from "../../../lib/model/images/index.js";

const folder = join(import.meta.dirname, "../../../../test/fixtures/vision");

interface Case {
  readonly prompts: readonly string[];
  readonly images: readonly (readonly string[])[];
  readonly input_ids: readonly (readonly number[])[];
  readonly attention_mask: readonly (readonly number[])[];
  /** Visual tokens of each image; for Gemma 3, of each of its tiles. */
  readonly image_tokens: readonly number[];
  readonly image_grid_thw?: readonly (readonly number[])[];
}

/** Options of the call that made a golden, beyond its files. */
const OVERRIDES: Readonly<Record<string, object>> = {
  "gemma3-crops": {
    do_pan_and_scan: true,
    pan_and_scan_min_crop_size: 8,
    pan_and_scan_max_num_crops: 3,
    pan_and_scan_min_ratio_to_activate: 1.5,
  },
};

const read = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

function filesOf(checkpoint: string): ProcessorFiles {
  const optional = (name: string): object | undefined => {
    const path = join(checkpoint, name);
    return existsSync(path) ? (read(path) as object) : undefined;
  };
  return {
    config: read(join(checkpoint, "config.json")) as object,
    preprocessor: optional("preprocessor_config.json"),
    processor: optional("processor_config.json"),
  };
}

/** The rows' images, each row's list processed. */
async function process(
  modelType: string,
  files: ProcessorFiles,
  rows: Case["images"],
): Promise<ProcessedImage[][]> {
  const processor = imageProcessor(modelType, files);
  const open = async (name: string): Promise<ProcessedImage> =>
    processor.process(await decodeImage(join(folder, "images", `${name}.png`)));
  return Promise.all(rows.map((row) => Promise.all(row.map(open))));
}

/** All images' pixels as the golden has them; LLaVA-NeXT's are padded there to the largest number of tiles. */
function pixelsOf(images: readonly ProcessedImage[], shape: readonly number[]): Float32Array {
  const rows = shape.length === 5 ? shape.slice(1).reduce((a, b) => a * b) : 0;
  const pixels = new Float32Array(shape.reduce((a, b) => a * b));
  let at = 0;
  for (const { pixels: own } of images) {
    pixels.set(own.data, at);
    at += rows || own.data.length;
  }
  assert.equal(at, pixels.length);
  return pixels;
}

for (const variant of readdirSync(folder)) {
  const checkpoint = join(folder, variant);
  if (!existsSync(join(checkpoint, "golden.json"))) continue;
  const { model_type: modelType } = read(join(checkpoint, "config.json")) as { model_type: string };
  if (!IMAGE_FAMILIES.includes(modelType)) continue;
  const { cases } = read(join(checkpoint, "golden.json")) as { cases: Record<string, Case> };

  describe(variant, () => {
    for (const [name, expected] of Object.entries(cases)) {
      it(`${name}: token ids, visual tokens, pixel values`, async () => {
        const files = { ...filesOf(checkpoint), overrides: OVERRIDES[variant] };
        const rows = await process(modelType, files, expected.images);
        const stored = openCheckpoint(checkpoint);
        const tokenizer = await loadTokenizer(stored);
        stored.close();
        expected.prompts.forEach((prompt, row) => {
          const text = expandPrompt(modelType, prompt, rows[row]);
          const ids = expected.input_ids[row].filter((_, i) => expected.attention_mask[row][i] === 1);
          // As apply_chat_template: the template may have written the first token already.
          const bos = tokenizer.bos_token;
          const add_special_tokens = !(bos && prompt.startsWith(bos));
          assert.deepEqual(tokenizer.encode(text, { add_special_tokens }), ids);
        });
        const images = rows.flat();
        const counts = images.flatMap(({ tokens, tiles }) =>
          modelType === "gemma3" ? tiles.map(() => tokens.length / tiles.length) : [tokens.length],
        );
        assert.deepEqual(counts, expected.image_tokens);
        if (expected.image_grid_thw)
          assert.deepEqual(
            images.map((image) => image.grid),
            expected.image_grid_thw,
          );
        const pixels = readSafetensors(join(checkpoint, "golden.safetensors")).get(`${name}/pixel_values`);
        assert.equal(pixels === undefined, images.length === 0);
        if (pixels) assert.deepEqual(pixelsOf(images, pixels.shape), pixels.data);
      });
    }

    it("the files of older releases of transformers mean the same", async () => {
      for (const layout of ["hub", "nested"]) {
        const older = join(checkpoint, layout);
        if (!existsSync(join(older, "config.json"))) continue;
        const images = [["wide", "tiny"]];
        const files = { ...filesOf(older), overrides: OVERRIDES[variant] };
        const now = { ...filesOf(checkpoint), overrides: OVERRIDES[variant] };
        assert.deepEqual(await process(modelType, files, images), await process(modelType, now, images));
      }
      const hub = join(checkpoint, "config.hub.json");
      const files = filesOf(checkpoint);
      assert.ok(imageProcessor(modelType, { ...files, config: read(hub) as object }));
    });
  });
}
