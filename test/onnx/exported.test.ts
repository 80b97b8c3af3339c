import assert from "node:assert/strict";
import { basename } from "node:path";
import { describe, it } from "node:test";
import { compare, goldensIn } from "./exported.js";
import { folder } from "./fixtures.js";

describe("files that others exported, against onnxruntime in Python after onnx's own graph surgery", () => {
  const paths = goldensIn(folder);
  assert.ok(paths.length >= 2, "the goldens are there");
  for (const path of paths) {
    it(`${basename(path, ".json")}: every tensor, and edited runs`, async () => {
      const { worst, where, tensors } = await compare(path);
      assert.ok(tensors > 0);
      // The same runtime; the edit is fused otherwise where its operands are constants.
      assert.ok(worst < 1e-5, `${where} drifts by ${worst}`);
    });
  }
});
