import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Batch } from "../../../lib/model/batch/batch.js";
import * as edit from "../../../lib/model/edits/edit.js";
import type { Model } from "../../../lib/model/model.js";
import {
  patchPositions,
  projectorPositions,
  visualEdits,
  visualPositions,
} from "../../../lib/model/vision/regions.js";
import { drift, golden, open, prepared, variants } from "./goldens.js";

const without = (all: readonly number[], some: readonly number[]): number[] =>
  all.filter((c) => !some.includes(c));

for (const variant of variants) {
  describe(`parts of images, ${variant}`, () => {
    let model: Model;
    let batch: Batch;
    before(async () => {
      model = await open(variant);
      const { cases } = golden(variant);
      batch = await prepared(model, cases.batch ?? cases.turns);
    });
    after(() => model?.close());

    it("all of them are the batch's visual tokens", () => {
      assert.deepEqual(visualPositions(batch), batch.visual);
    });

    it("images of a row apart, together, and by rows of the batch", () => {
      const last = batch.visual.length - 1;
      const [first, second] = [
        visualPositions(batch, { image: 0 })[last],
        visualPositions(batch, { image: 1 })[last],
      ];
      const own = batch.images!.filter(({ row }) => row === last);
      assert.deepEqual(
        [first, second],
        own.map(({ positions: columns }) => [...columns]),
      );
      const both = visualPositions(batch, [{ image: 0 }, { image: 1 }])[last];
      assert.deepEqual(both, [...first, ...second]);
      const rows = visualPositions(batch, { batchRows: [last], image: 1 });
      assert.deepEqual(
        rows,
        batch.visual.map((_, b) => (b === last ? second : [])),
      );
    });

    it("boxes: halves of the image share out its patches", () => {
      const { image, positions: columns } = batch.images![0];
      const { row } = batch.images![0];
      const half = image.width / 2;
      const of = (x0: number, x1: number, minOverlap?: number): number[] =>
        visualPositions(batch, { image: 0, batchRows: [row], box: [x0, 0, x1, image.height], minOverlap })[
          row
        ];
      const [left, right] = [of(0, half), of(half, image.width)];
      const placed = columns.filter((_, i) => image.tokens[i].box !== null);
      assert.deepEqual(
        [...new Set([...left, ...right])].sort((a, b) => a - b),
        placed,
      );
      for (const column of without(placed, right)) {
        const box = image.tokens[columns.indexOf(column)].box!;
        assert.ok(box[2] <= half + 1e-6, "what only the left half has ends there");
      }
      assert.deepEqual(of(0, image.width, 1), placed, "all of each lies in the whole");
      assert.ok(of(0, half, 1).length <= left.length);
    });

    it("cells of the grid, and kinds", () => {
      const { image, positions: columns, row } = batch.images![0];
      const own = { image: 0, batchRows: [row] };
      const cell = visualPositions(batch, { ...own, tile: 0, row: 1, column: 1, kind: "patch" })[row];
      const token = image.tokens.findIndex(
        (t) => t.tile === 0 && t.row === 1 && t.column === 1 && t.kind === "patch",
      );
      assert.deepEqual(cell, [columns[token]]);
      const upper = visualPositions(batch, { ...own, row: [0, 1] })[row];
      assert.deepEqual(
        upper,
        columns.filter((_, i) => image.tokens[i].row === 0),
      );
      assert.deepEqual(
        visualPositions(batch, (t, of) => of === image && t.kind === "patch" && t.row === 0 && t.tile === 0)[
          row
        ],
        visualPositions(batch, { ...own, kind: "patch", row: 0, tile: 0 })[row],
      );
      const parts = image.tiles.flatMap(({ kind }, i) => (kind === "part" ? [i] : []));
      if (parts.length > 0)
        assert.deepEqual(
          visualPositions(batch, { ...own, tile: "part" }),
          visualPositions(batch, { ...own, tile: parts }),
        );
      if (variant.startsWith("llava_next"))
        assert.ok(visualPositions(batch, { ...own, kind: "newline" })[row].length > 0);
      if (variant === "llava-full")
        assert.deepEqual(visualPositions(batch, { ...own, kind: "class" })[row], [columns[0]]);
    });

    it("a part's patches and projected tokens are what its columns are made of", async () => {
      const region = { kind: "patch", row: 0, column: 1, image: 0, tile: 0 } as const;
      const columns = visualPositions(batch, region);
      const chosen = {
        tower: patchPositions(model, batch, region),
        projector: projectorPositions(model, batch, region),
      };
      const features = (await model.run(batch, { capture: ["hook_embed"], logits: "none" })).cache.get(
        "hook_embed",
      );
      // Edits after the tower has mixed its patches change these columns of the embedding and no other.
      const layer = model.config.vision_config!.num_hidden_layers - 1;
      for (const [hook, positions] of [
        ["projector.hook_out", chosen.projector],
        [`vision.blocks.${layer}.hook_resid_post`, chosen.tower],
      ] as const) {
        const edits = { [hook]: edit.fill(0.7, { positions }) };
        const { cache } = await model.run(batch, { edits, capture: ["hook_embed"], logits: "none" });
        const [size, time, width] = features.shape;
        const moved = Array.from({ length: size }, (_, b) =>
          Array.from({ length: time }, (_, t) => t).filter((t) => {
            const from = (b * time + t) * width;
            const cut = (x: Float32Array): Float32Array => x.subarray(from, from + width);
            return drift(cut(cache.get("hook_embed").data), cut(features.data)) > 1e-3;
          }),
        );
        // A model that reads other layers of the tower besides the last is changed by the last alone all the same.
        assert.deepEqual(moved, columns, hook);
      }
    });

    it("what is seen is edited in the stream and in all that DeepStack adds", async () => {
      const { cache } = await model.run(batch, {
        edits: visualEdits(model, batch, edit.zero()),
        capture: ["hook_embed", ...model.hooks.filter((h) => h.endsWith("hook_deepstack"))],
        logits: "none",
      });
      for (const name of cache.names) {
        const { data, shape } = cache.get(name);
        batch.visual.forEach((columns, b) => {
          for (const c of columns) {
            const from = (b * shape[1] + c) * shape[2];
            assert.ok(
              data.subarray(from, from + shape[2]).every((v) => v === 0),
              `${name} ${b} ${c}`,
            );
          }
        });
      }
      const later = visualEdits(model, batch, edit.mean(), { from: 1, region: { image: 0 } });
      const into = model.config.vision_config!.readouts.flatMap((r) =>
        r.toLayer !== undefined && r.toLayer >= 1 ? [r.toLayer] : [],
      );
      assert.deepEqual(Object.keys(later), [
        "blocks.1.hook_resid_pre",
        ...into.map((l) => `blocks.${l}.hook_deepstack`),
      ]);
      assert.deepEqual(
        later["blocks.1.hook_resid_pre"],
        edit.mean({ positions: visualPositions(batch, { image: 0 }) }),
      );
    });
  });
}

describe("parts of images are refused", () => {
  it("without images, where there is nothing, and for boxes that are none", async () => {
    const model = await open(variants[0]);
    const { cases } = golden(variants[0]);
    const batch = await prepared(model, cases.image);
    const text = await model.prepare("a b c");
    assert.throws(() => visualPositions(text), /no images/);
    assert.throws(
      () => visualPositions(batch, { image: 7 }),
      /No visual token is at .*Row 0 has an image of 45×26 pixels/s,
    );
    assert.throws(() => visualPositions(batch, { box: [10, 0, 5, 5] }), /Invalid box/);
    assert.throws(() => visualPositions(batch, { box: [0, 0, 5, 5], minOverlap: 2 }), /minOverlap is 2/);
    assert.throws(
      () => visualPositions(batch, { rows: [1] } as never),
      /An image region has no option "rows".*"row"/,
    );
    await model.close();
  });
});
