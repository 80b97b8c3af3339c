import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ModalscopeError } from "../../../lib/errors.js";
import { type Filter, resize } from "../../../lib/model/images/index.js";
import { cut } from "../../../lib/model/images/raster.js";
import { drawn, golden, sha256 } from "./goldens.js";

describe("resizing as Pillow does", () => {
  for (const { from, to, filter, sha256: expected } of golden.resampled)
    it(`${filter} ${from.join("×")} → ${to.join("×")}, bit for bit`, () => {
      const result = resize(drawn(...from), to[0], to[1], filter as Filter);
      assert.deepEqual([result.width, result.height], to);
      assert.equal(sha256(result.data), expected);
    });

  it("gives a window the values that it has in the whole", () => {
    const image = drawn(61, 47);
    for (const filter of ["nearest", "bilinear", "bicubic", "lanczos"] as const)
      for (const size of [
        [200, 150],
        [30, 150],
        [61, 20],
        [25, 47],
      ]) {
        const whole = resize(image, size[0], size[1], filter);
        for (const window of [
          { x: 5, y: 7, width: 13, height: 9 },
          { x: -4, y: -2, width: 40, height: 30 },
          { x: 10, y: 10, width: 300, height: 300 },
          { x: 500, y: 3, width: 4, height: 4 },
        ])
          assert.deepEqual(resize(image, size[0], size[1], filter, window), cut(whole, window));
      }
  });

  it("takes the memory of the window only", () => {
    const strip = drawn(4000, 1);
    const window = { x: 671_832, y: 0, width: 336, height: 336 };
    const result = resize(strip, 1_344_000, 336, "bicubic", window);
    assert.equal(result.data.length, 336 * 336 * 3);
  });

  it("refuses sizes without pixels", () => {
    assert.throws(() => resize(drawn(4, 4), 0, 3, "bicubic"), ModalscopeError);
    assert.throws(() => resize({ width: 0, height: 4, data: new Uint8Array(0) }, 2, 2, "box"), /0×4/);
  });
});
