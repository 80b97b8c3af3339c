/** Where patches lie in their image, held against which of them change when a part of the image is painted. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type PatchBox, patchPlaces } from "../../lib/circuits/graph/patches.js";
import type { Batch, Model } from "../../lib/index.js";
import { encodePng } from "../../lib/tasks/index.js";
import { open } from "../model/vision/goldens.js";

const scratch = mkdtempSync(join(tmpdir(), "modalscope-patches-"));
after(() => rmSync(scratch, { recursive: true }));

const [WIDTH, HEIGHT] = [96, 64];
const PAINTED: PatchBox = [0, 0, 36, 30];
/** Resizing reaches this many pixels beyond the edge of what is painted. */
const BLUR = 12;

function imageFile(name: string, value: (x: number, y: number) => number): string {
  const data = new Uint8Array(WIDTH * HEIGHT * 3).map((_, i) => {
    const pixel = Math.floor(i / 3);
    return value(pixel % WIDTH, Math.floor(pixel / WIDTH));
  });
  const path = join(scratch, name);
  writeFileSync(path, encodePng({ width: WIDTH, height: HEIGHT, data }));
  return path;
}

const plain = imageFile("plain.png", () => 100);
const painted = imageFile("painted.png", (x, y) =>
  x >= PAINTED[0] && x < PAINTED[2] && y >= PAINTED[1] && y < PAINTED[3] ? 220 : 100,
);

async function patchesOf(
  model: Model,
  image: string,
): Promise<{ batch: Batch; data: Float32Array; shape: readonly number[] }> {
  const batch = await model.prepare([
    [
      {
        role: "user",
        content: [
          { type: "image", image },
          { type: "text", text: "a" },
        ],
      },
    ],
  ]);
  const { cache } = await model.run(batch, { capture: ["vision.hook_patches"], logits: "none" });
  return { batch, ...cache.get("vision.hook_patches") };
}

describe("the places of image patches", () => {
  for (const variant of ["gemma3-crops", "llava-default", "llava_next-mistral", "qwen3_vl-tied"])
    it(`${variant}: the patches that painting a part changes are those that lie there`, async () => {
      const model = await open(variant);
      const [before, changed] = [await patchesOf(model, plain), await patchesOf(model, painted)];
      const [rows, perRow, width] = before.shape;
      const { boxes, imageOf, sizes } = patchPlaces(model, before.batch, perRow);
      assert.deepEqual([boxes.length, imageOf.length], [rows * perRow, rows]);
      assert.deepEqual(sizes, [[WIDTH, HEIGHT]]);
      const differs = (patch: number): boolean => {
        for (let i = patch * width; i < (patch + 1) * width; i++)
          if (before.data[i] !== changed.data[i]) return true;
        return false;
      };
      let [inside, outside] = [0, 0];
      boxes.forEach((box, patch) => {
        if (!box) return;
        const [x0, y0, x1, y1] = box;
        const [left, top, right, bottom] = PAINTED;
        if (x1 > left + BLUR && x0 < right - BLUR && y1 > top + BLUR && y0 < bottom - BLUR) {
          inside++;
          assert.ok(differs(patch), `${patch} at ${box} did not change`);
        } else if (x1 < left - BLUR || x0 > right + BLUR || y1 < top - BLUR || y0 > bottom + BLUR) {
          outside++;
          assert.ok(!differs(patch), `${patch} at ${box} changed`);
        }
      });
      assert.ok(inside > 0 && outside > 0, `${inside} inside, ${outside} outside`);
      await model.close();
    });
});
