import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Edits } from "../../../lib/model/edits/edit.js";
import * as edit from "../../../lib/model/edits/edit.js";
import type { Model } from "../../../lib/model/model.js";
import { editsOf } from "../goldens.js";
import { drift, golden, open, prepared, tensors, variants } from "./goldens.js";

/** Of the logits' largest. */
const TOLERANCE = 1e-4;

for (const variant of variants.filter((v) => golden(v).edits)) {
  describe(`${variant}: edits of what is seen do what they do in transformers`, () => {
    const { cases, edits: given = {}, edited_generate = {} } = golden(variant);
    const reference = tensors(variant);
    let model: Model;
    before(async () => {
      model = await open(variant);
    });
    after(() => model?.close());

    for (const [name, { case: of, steps }] of Object.entries(given)) {
      it(name, async () => {
        const batch = await prepared(model, cases[of]);
        const { edits } = editsOf(steps, (value) => reference.get(`edits/${name}/${value}`)!);
        const { logits } = await model.run(batch, { edits, logits: "last" });
        const wanted = reference.get(`edits/${name}/last_logits`)!;
        const plain = await model.run(batch, { logits: "last" });
        assert.ok(drift(plain.logits!.data, wanted.data) > 100 * TOLERANCE, "the edit shows");
        const found = drift(logits!.data, wanted.data);
        assert.ok(found <= TOLERANCE, `${variant}, "${name}": ${found.toExponential(2)}`);
      });
    }

    for (const [name, { case: of, steps, ids }] of Object.entries(edited_generate)) {
      it(`generation: ${name}`, async () => {
        const { edits } = editsOf(steps, (value) => reference.get(`edited_generate/${name}/${value}`)!);
        const batch = await prepared(model, cases[of]);
        const out = await model.generate(batch, { edits, maxNewTokens: ids[0].length, eosTokenIds: [] });
        assert.deepEqual(
          out.map((row) => [...row.ids]),
          ids,
        );
      });
    }

    it("an edit of no tower's row or column, or after the prompt, is refused before anything runs", async () => {
      const batch = await prepared(model, cases.image);
      const refused = async (edits: Edits, why: RegExp): Promise<void> => {
        await assert.rejects(model.generate(batch, { edits, maxNewTokens: 3 }), why);
      };
      const hook = "vision.blocks.0.hook_resid_post";
      await refused({ [hook]: { ...edit.add(1), positions: [500] } }, /names position 500/);
      const { grid } = batch.images![0].image;
      const past = grid[1] * grid[2] + model.config.vision_config!.classTokens;
      await refused({ [hook]: { ...edit.add(1), positions: [past] } }, /names position/);
      await refused({ [hook]: { ...edit.add(1), rows: [99] } }, /names row 99/);
      await refused({ [hook]: { ...edit.add(1), phase: "decoding" } }, /encoded while the prompt is read/);
    });

    it("a hook of the tower without an image is refused", async () => {
      const batch = await prepared(model, cases.text);
      const capture = ["vision.blocks.0.hook_resid_post"];
      await assert.rejects(model.run(batch, { capture }), /only for images: the batch has none/);
      await assert.rejects(
        model.run(batch, { edits: { [capture[0]]: edit.add(1) } }),
        /only for images: the batch has none/,
      );
    });
  });
}
