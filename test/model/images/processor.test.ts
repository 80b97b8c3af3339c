import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  imageProcessor,
  type ProcessedImage,
  type ProcessorFiles,
  type VisualToken,
} from "../../../lib/model/images/index.js";
import { says } from "../../refusals.js";
import { configs, drawn, golden, readImage, sha256 } from "./goldens.js";

describe("pixel values as transformers' processors make them", () => {
  for (const [name, images] of Object.entries(golden.processed)) {
    const { modelType, ...files } = configs[name];
    for (const [image, expected] of Object.entries(images))
      it(`${name}: ${image}, exact`, async () => {
        const result = imageProcessor(modelType, files).process(await readImage(image));
        assert.deepEqual(result.pixels.shape, expected.pixels.shape);
        for (const [i, value] of expected.pixels.samples) assert.equal(result.pixels.data[i], value);
        assert.equal(sha256(result.pixels.data), expected.pixels.sha256);
        if (expected.image_grid_thw) assert.deepEqual(result.grid, expected.image_grid_thw);
        else assert.equal(result.tiles.length, result.pixels.shape[0]);
        if (expected.num_crops !== undefined) assert.equal(result.tiles.length, 1 + expected.num_crops);
        if (expected.features) checkOrder(result, expected.features);
      });
  }

  /** Against the model's own packing of numbered features. */
  function checkOrder(
    result: ProcessedImage,
    expected: { count: number; sha256: string; some: readonly number[] },
  ): void {
    const [, rows, columns] = result.grid;
    const feature = ({ kind, tile, row, column }: VisualToken): number =>
      kind === "newline" ? -1 : (tile * rows + row) * columns + column;
    const order = Int32Array.from(result.tokens, feature);
    assert.equal(order.length, expected.count);
    const step = Math.max(1, Math.floor(order.length / 24));
    assert.deepEqual(
      [...order].filter((_, i) => i % step === 0),
      expected.some,
    );
    assert.equal(sha256(order), expected.sha256);
    const { unpad } = result;
    assert.ok(unpad);
    const kept = (unpad.rows[1] - unpad.rows[0]) * (unpad.columns[1] - unpad.columns[0] + 1);
    assert.equal(rows * columns + kept, expected.count);
    assert.equal(result.tiles.length, 1 + unpad.tiles[0] * unpad.tiles[1]);
  }

  it("takes the image processor from processor_config.json, where newer checkpoints keep it", () => {
    const { modelType, config, preprocessor, processor } = configs["llava-full"];
    const nested = { config, processor: { ...processor, image_processor: preprocessor } };
    const image = drawn(40, 30);
    const expected = imageProcessor(modelType, { config, preprocessor, processor }).process(image);
    assert.deepEqual(imageProcessor(modelType, nested).process(image), expected);
    const both = { ...nested, preprocessor: { image_processor_type: "Unread" } };
    assert.deepEqual(imageProcessor(modelType, both).process(image), expected);
  });

  it("fills in transformers' defaults for fields that a file leaves out", () => {
    const bare = { config: { vision_config: { image_size: 224, patch_size: 16 } }, preprocessor: {} };
    const { pixels, grid } = imageProcessor("gemma3", {
      ...bare,
      config: { ...bare.config, mm_tokens_per_image: 49 },
    }).process(drawn(10, 10));
    assert.deepEqual(
      [pixels.shape, grid],
      [
        [1, 3, 224, 224],
        [1, 14, 14],
      ],
    );
    assert.equal(imageProcessor("llava", bare).process(drawn(9, 9)).tokens.length, 196);
    const qwen = { config: { vision_config: { patch_size: 14 } }, preprocessor: {} };
    assert.deepEqual(imageProcessor("qwen3_vl", qwen).process(drawn(1, 1)).grid, [1, 4, 4]);
  });
});

describe("processors that cannot be", () => {
  const change = (name: string, changes: Partial<Record<keyof ProcessorFiles, object>>): ProcessorFiles => {
    const files: ProcessorFiles = configs[name];
    return {
      config: { ...files.config, ...changes.config },
      preprocessor: { ...files.preprocessor, ...changes.preprocessor },
      processor: { ...files.processor, ...changes.processor },
    };
  };
  const refuses = (name: string, changes: Parameters<typeof change>[1], message: RegExp): void => {
    assert.throws(() => imageProcessor(configs[name].modelType, change(name, changes)), says(message));
  };

  it("contradict the model", () => {
    const vision_config = { model_type: "clip_vision_model", image_size: 224, patch_size: 14 };
    refuses(
      "llava-1.5-7b-hf",
      { config: { vision_config } },
      /336×336 pixels. The vision tower .* takes 224×224/,
    );
    refuses("llava-1.5-7b-hf", { processor: { patch_size: 16 } }, /"patch_size": 16. config.json says 14/);
    refuses("llava-1.5-7b-hf", { processor: { vision_feature_select_strategy: "full" } }, /says "default"/);
    refuses("llava-1.5-7b-hf", { processor: { num_additional_image_tokens: 0 } }, /config.json says 1/);
    refuses("llava-1.5-7b-hf", { preprocessor: { do_center_crop: false } }, /any shape/);
    refuses(
      "llava-1.5-7b-hf",
      { preprocessor: { image_processor_type: "ViTImageProcessor" } },
      /ViTImageProcessor/,
    );
    refuses("llava-v1.6-vicuna-7b-hf", { preprocessor: { image_grid_pinpoints: [[336, 336]] } }, /pinpoints/);
    refuses(
      "llava-v1.6-vicuna-7b-hf",
      {
        config: { vision_feature_select_strategy: "full" },
        processor: { vision_feature_select_strategy: "full" },
      },
      /cannot be joined/,
    );
    refuses(
      "llava-next-siglip",
      {
        config: { vision_feature_select_strategy: "default" },
        processor: { vision_feature_select_strategy: "default" },
      },
      /no class token/,
    );
    refuses(
      "llava-next-tiny",
      { config: { image_grid_pinpoints: [[28, 50]] }, preprocessor: { image_grid_pinpoints: [[28, 50]] } },
      /50 .* multiple/,
    );
    refuses(
      "gemma-3-4b-it",
      { config: { mm_tokens_per_image: 64 } },
      /"image_seq_length": 256. config.json says 64/,
    );
    refuses("gemma-3-4b-it", { config: { mm_tokens_per_image: 255 } }, /cannot be pooled/);
    refuses("gemma-3-4b-it", { preprocessor: { size: { height: 448, width: 448 } } }, /448×448/);
    refuses("gemma-3-4b-it", { preprocessor: { do_resize: false } }, /any shape/);
    refuses("qwen3-vl-small", { preprocessor: { patch_size: 14 } }, /"patch_size": 14. config.json says 16/);
    refuses("qwen3-vl-small", { preprocessor: { merge_size: 1 } }, /merge_size/);
    refuses("qwen3-vl-small", { preprocessor: { patch_size: undefined } }, /14. config.json says 16/);
  });

  it("or are wrong in themselves", () => {
    refuses("llava-1.5-7b-hf", { preprocessor: { image_mean: [1, 2] } }, /three numbers/);
    refuses("llava-1.5-7b-hf", { preprocessor: { image_std: [1, 0, 1] } }, /image_std/);
    refuses("llava-1.5-7b-hf", { preprocessor: { resample: 9 } }, /"resample": 9/);
    refuses("llava-1.5-7b-hf", { preprocessor: { size: { longest_edge: 3 } } }, /shortest_edge/);
    refuses("llava-1.5-7b-hf", { preprocessor: { size: -1 } }, /positive integer/);
    refuses("llava-1.5-7b-hf", { preprocessor: { do_resize: "yes" } }, /true or false/);
    refuses("llava-1.5-7b-hf", { preprocessor: { crop_size: { shortest_edge: 336 } } }, /crop/);
    refuses(
      "llava-1.5-7b-hf",
      { config: { vision_config: { model_type: "clip_vision_modle" } } },
      /Did you mean "clip_vision_model"/,
    );
    refuses("llava-1.5-7b-hf", { config: { vision_config: 3 } }, /must hold an object/);
    refuses("llava-v1.6-vicuna-7b-hf", { config: { image_grid_pinpoints: [] } }, /list of \[height, width\]/);
    refuses(
      "qwen3-vl-small",
      { preprocessor: { size: { shortest_edge: 9, longest_edge: 8 } } },
      /above the largest/,
    );
  });

  it("or are missing or unknown", () => {
    assert.throws(() => imageProcessor("llava", { config: {} }), /neither a preprocessor_config.json/);
    assert.throws(() => imageProcessor("llava_nex", { config: {} }), /Did you mean "llava_next"/);
    assert.throws(() => imageProcessor("constructor", { config: {} }), /text-only/);
  });

  it("refuse images that their model cannot take", () => {
    const process = (name: string, width: number, height: number, changes = {}): ProcessedImage =>
      imageProcessor(configs[name].modelType, change(name, changes)).process(drawn(width, height));
    assert.throws(() => process("Qwen3-VL-30B-A3B-Thinking", 201, 1), /200 times/);
    assert.equal(process("Qwen3-VL-30B-A3B-Thinking", 200, 1).grid[1], 2);
    assert.throws(
      () => process("qwen3-vl-small", 40, 64, { preprocessor: { do_resize: false } }),
      /multiple of 32/,
    );
    assert.throws(() => process("llava-next-tiny", 200, 1), /too thin/);
    const greedy = { pan_and_scan_min_crop_size: 1, pan_and_scan_max_num_crops: 9 };
    assert.throws(() => process("gemma3-small-crops", 10, 1, { preprocessor: greedy }), /9 crops/);
    const broken = { width: 3, height: 3, data: new Uint8Array(2) };
    assert.throws(() => imageProcessor("llava", configs["llava-full"]).process(broken), /27 bytes/);
  });
});
