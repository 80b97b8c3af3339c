import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  imageProcessor,
  type ProcessedImage,
  type RgbImage,
  type VisualToken,
} from "../../../lib/model/images/index.js";
import { configs, drawn } from "./goldens.js";

/** Boxes are quotients of pixels. */
const TOLERANCE = 1e-9;

const process = (name: string, image: RgbImage): ProcessedImage =>
  imageProcessor(configs[name].modelType, configs[name]).process(image);

const find = (image: ProcessedImage, tile: number, row: number, column: number): VisualToken => {
  const token = image.tokens.find((t) => t.tile === tile && t.row === row && t.column === column);
  assert.ok(token, `no token ${tile}, ${row}, ${column}`);
  return token;
};

function same(box: readonly number[] | null, expected: readonly number[]): void {
  assert.ok(box, "no box");
  const near = box.every((at, i) => Math.abs(at - expected[i]) < TOLERANCE);
  assert.ok(near, `${box.join(", ")} is not ${expected.join(", ")}`);
}

describe("where visual tokens lie, by hand", () => {
  it("LLaVA: the centre crop of a wide image", () => {
    // 800×400 → 672×336, of which the middle 336 columns: 168 to 504, a scale of 800/672 = 25/21.
    const image = process("llava-1.5-7b-hf", drawn(800, 400));
    assert.deepEqual([image.width, image.height, image.grid], [800, 400, [1, 24, 24]]);
    same(image.tiles[0].box, [200, 0, 600, 400]);
    assert.equal(image.tokens.length, 576);
    const side = (14 * 25) / 21;
    same(image.tokens[0].box, [200, 0, 200 + side, side]);
    same(image.tokens[25].box, [200 + side, side, 200 + 2 * side, 2 * side]);
    same(image.tokens[575].box, [600 - side, 400 - side, 600, 400]);
    assert.deepEqual(
      image.tokens.map((t) => [t.kind, t.tile, t.row * 24 + t.column]),
      Array.from({ length: 576 }, (_, i) => ["patch", 0, i]),
    );
  });

  it("LLaVA: a class token that is kept stands first", () => {
    const { tokens } = process("llava-full", drawn(28, 28));
    assert.deepEqual(tokens[0], { kind: "class", tile: 0, row: -1, column: -1, box: null });
    assert.deepEqual(
      tokens.slice(1).map((t) => t.box),
      [
        [0, 0, 14, 14],
        [14, 0, 28, 14],
        [0, 14, 14, 28],
        [14, 14, 28, 28],
      ],
    );
  });

  it("LLaVA: without a class token, `default` leaves the first patch out", () => {
    const { tokens } = process("llava-siglip-default", drawn(32, 32));
    assert.equal(tokens.length, 15);
    assert.deepEqual(tokens[0], { kind: "patch", tile: 0, row: 0, column: 1, box: [8, 0, 16, 8] });
  });

  it("LLaVA: padding to a square has no place in the image", () => {
    // 84×28 is padded to 84×84 by 28 rows above and below, then halved to 42×42: 3×3 patches of 28 pixels.
    const image = process("llava-padded", drawn(84, 28));
    same(image.tiles[0].box, [0, 0, 84, 28]);
    const boxes = image.tokens.map((t) => t.box);
    assert.deepEqual(
      [boxes.slice(0, 3), boxes.slice(6)],
      [
        [null, null, null],
        [null, null, null],
      ],
    );
    same(boxes[4], [28, 0, 56, 28]);
  });

  it("LLaVA: black around a crop that is larger than the image", () => {
    // 29×29 stays 29×29 in a crop of 42×42: it begins at floor((29 − 42) / 2) = −7.
    const image = process("llava-crop-larger", drawn(29, 29));
    same(image.tokens[0].box, [0, 0, 7, 7]);
    same(image.tokens[4].box, [7, 7, 21, 21]);
    same(image.tokens[8].box, [21, 21, 29, 29]);
  });

  it("LLaVA-NeXT: base tile, rows of the joined tiles, newlines", () => {
    // 1008×504 at 672×672 would be 672×336, wasting half; at 336×672 (rows × columns) the same without waste.
    const image = process("llava-v1.6-vicuna-7b-hf", drawn(1008, 504));
    assert.deepEqual(image.unpad, { tiles: [1, 2], rows: [0, 24], columns: [0, 48] });
    assert.deepEqual(
      image.tiles.map((tile) => tile.kind),
      ["whole", "part", "part"],
    );
    same(image.tiles[0].box, [0, 0, 1008, 504]);
    same(image.tiles[1].box, [0, 0, 504, 504]);
    same(image.tiles[2].box, [504, 0, 1008, 504]);
    assert.equal(image.tokens.length, 576 + 24 * 49);
    same(image.tokens[0].box, [0, 0, 42, 21]);
    same(image.tokens[576].box, [0, 0, 21, 21]);
    same(image.tokens[576 + 24].box, [504, 0, 525, 21]);
    assert.deepEqual(image.tokens[576 + 48], { kind: "newline", tile: 2, row: 0, column: 24, box: null });
    same(image.tokens[576 + 49].box, [0, 21, 21, 42]);
    assert.equal(image.tokens.filter((t) => t.kind === "newline").length, 24);
  });

  it("LLaVA-NeXT: padding above and below is left out, what a patch keeps of it is clipped", () => {
    // 672×500 at 672×672: 86 rows of black above and below, 500 between. Of the 48 rows of features the model keeps
    // those whose count is int(500 · 48/672) = 35 at most, the padding cut off evenly: (48 − 35) // 2 = 6 rows each.
    const image = process("llava-v1.6-vicuna-7b-hf", drawn(672, 500));
    assert.deepEqual(image.unpad, { tiles: [2, 2], rows: [6, 42], columns: [0, 48] });
    assert.equal(image.tokens.length, 576 + 36 * 49);
    // Row 6 is pixels 84 to 98 of the padded image, so −2 to 12 of the original.
    same(image.tokens[576].box, [0, 0, 14, 12]);
    same(find(image, 3, 0, 0).box, [0, 250, 14, 264]);
    // The last row, 41, is pixels 574 to 588: 488 to 502.
    same(find(image, 4, 17, 23).box, [658, 488, 672, 500]);
    same(image.tiles[1].box, [0, 0, 336, 250]);
    same(image.tiles[4].box, [336, 250, 672, 500]);
  });

  it("Gemma 3: squares of 4×4 patches, and the crops of pan and scan", () => {
    const plain = process("gemma-3-4b-it", drawn(1792, 448));
    assert.deepEqual([plain.grid, plain.tokens.length], [[1, 64, 64], 256]);
    same(plain.tokens[17].box, [112, 28, 224, 56]);
    // 1800×450 is 4 times as wide as high: 4 crops of 450 columns.
    const image = process("gemma3-pan-and-scan", drawn(1800, 450));
    assert.equal(image.tokens.length, 5 * 256);
    same(image.tiles[0].box, [0, 0, 1800, 450]);
    same(image.tiles[3].box, [900, 0, 1350, 450]);
    same(find(image, 3, 15, 15).box, [1350 - 450 / 16, 450 - 450 / 16, 1350, 450]);
  });

  it("Gemma 3: the last crop is what is left, the last patches are left over by the pooling", () => {
    // 37×20: two crops of 19 and 18 columns. 56 pixels are 7 patches; 3 tokens of 2 patches leave the seventh.
    const image = process("gemma3-small-crops", drawn(37, 20));
    assert.deepEqual([image.tiles.length, image.tokens.length], [3, 27]);
    same(image.tiles[2].box, [19, 0, 37, 20]);
    same(find(image, 2, 2, 2).box, [
      19 + (18 * 32) / 56,
      (20 * 32) / 56,
      19 + (18 * 48) / 56,
      (20 * 48) / 56,
    ]);
  });

  it("Qwen3-VL: tokens of 2×2 patches at the image's own size", () => {
    const image = process("Qwen3-VL-30B-A3B-Thinking", drawn(640, 480));
    assert.deepEqual([image.grid, image.tokens.length], [[1, 30, 40], 300]);
    same(image.tokens[21].box, [32, 32, 64, 64]);
    // 650×470 becomes 640×480.
    const near = process("Qwen3-VL-30B-A3B-Thinking", drawn(650, 470));
    assert.deepEqual(near.grid, [1, 30, 40]);
    same(near.tokens[21].box, [32.5, (32 * 470) / 480, 65, (64 * 470) / 480]);
  });
});

describe("pixels lie where the boxes say", () => {
  /** The level that a pixel value was made from. */
  const level = (name: string, value: number, channel: number): number => {
    const { image_mean, image_std } = configs[name].preprocessor as {
      image_mean: number[];
      image_std: number[];
    };
    return Math.abs(Math.round((value * image_std[channel] + image_mean[channel]) * 255));
  };

  function checkAt(image: RgbImage, x: number, y: number, channel: number, found: number): void {
    assert.equal(found, image.data[(y * image.width + x) * 3 + channel], `at ${x}, ${y}`);
  }

  // At sizes at which nothing is resized, a token's pixels are those of its box.
  for (const [name, width, height] of [
    ["llava-1.5-7b-hf", 336, 336],
    ["llava-full", 57, 28],
    ["llava-v1.6-vicuna-7b-hf", 672, 336],
    ["llava-v1.6-vicuna-7b-hf", 500, 672],
    ["llava-v1.6-vicuna-7b-hf", 336, 1008],
  ] as const)
    it(`${name}, ${width}×${height}`, () => {
      const source = drawn(width, height);
      const image = process(name, source);
      const [, , rows, columns] = image.pixels.shape;
      const side = rows / image.grid[1];
      let checked = 0;
      for (const { tile, row, column, box } of image.tokens) {
        // The overview is squeezed; a box that is clipped begins elsewhere than its patch.
        const resized = image.tiles.length > 1 && tile === 0;
        if (!box || resized || box[2] - box[0] < side || box[3] - box[1] < side) continue;
        for (let i = 0; i < side * side; i++)
          for (let c = 0; c < 3; c++) {
            const [y, x] = [Math.floor(i / side), i % side];
            const at = ((tile * 3 + c) * rows + row * side + y) * columns + column * side + x;
            checkAt(source, box[0] + x, box[1] + y, c, level(name, image.pixels.data[at], c));
            checked++;
          }
      }
      assert.ok(checked > 0.4 * width * height * 3, `${checked}`);
    });

  it("Qwen3-VL-30B-A3B-Thinking, 320×256", () => {
    const name = "Qwen3-VL-30B-A3B-Thinking";
    const source = drawn(320, 256);
    const image = process(name, source);
    assert.deepEqual(image.grid, [1, 16, 20]);
    image.tokens.forEach(({ box }, token) => {
      assert.ok(box);
      for (let patch = 0; patch < 4; patch++)
        for (let c = 0; c < 3; c++)
          for (let frame = 0; frame < 2; frame++)
            for (let i = 0; i < 256; i++) {
              const at = (((token * 4 + patch) * 3 + c) * 2 + frame) * 256 + i;
              const x = box[0] + (patch % 2) * 16 + (i % 16);
              const y = box[1] + Math.floor(patch / 2) * 16 + Math.floor(i / 16);
              checkAt(source, x, y, c, level(name, image.pixels.data[at], c));
            }
    });
  });
});
