import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as edit from "../../../lib/model/edits/edit.js";
import { EncodedImages } from "../../../lib/model/engine/encoded-images.js";
import type { Model } from "../../../lib/model/model.js";
import type { Tensor } from "../../../lib/tensor.js";
import { golden, open, prepared, variants } from "./goldens.js";

/** Labels of a run's progress that are about the tower, and its last logits. */
async function run(model: Model, batch: Awaited<ReturnType<typeof prepared>>): Promise<[string[], Tensor]> {
  const labels: string[] = [];
  const onProgress = (_done: number, _total: number, label?: string): void => void labels.push(label ?? "");
  const { logits } = await model.run(batch, { logits: "last", onProgress });
  return [labels.filter((label) => label.startsWith("vision")), logits!];
}

describe("images that were encoded before", () => {
  for (const variant of variants)
    it(`${variant}: do not pass the tower again, but where something in it is asked for or edited`, async () => {
      const model = await open(variant);
      const { cases } = golden(variant);
      const batch = await prepared(model, cases.batch ?? cases.turns);
      const [first, expected] = await run(model, batch);
      assert.notEqual(first.length, 0);
      const [second, logits] = await run(model, batch);
      assert.deepEqual([second, logits.data], [[], expected.data]);

      const hook = "vision.blocks.0.hook_resid_post";
      const captured = await model.run(batch, { capture: [hook], logits: "last" });
      assert.equal(captured.cache.get(hook).shape[0] > 0, true);
      assert.deepEqual(captured.logits!.data, expected.data);
      const edits = { [hook]: edit.fill(0) };
      const edited = await model.run(batch, { edits, logits: "last" });
      assert.notDeepEqual(edited.logits!.data, expected.data);
      // What was encoded under an edit is not kept.
      assert.deepEqual((await run(model, batch))[1].data, expected.data);
      await model.close();
    });

  it("are told apart by their pixels, changed in place too, and by how they are laid out", async () => {
    const [model, fresh] = await Promise.all([open(variants[0]), open(variants[0])]);
    const { cases } = golden(variants[0]);
    const batch = await prepared(model, cases.turns ?? cases.batch);
    const [, before] = await run(model, batch);
    for (const { image } of batch.images!) image.pixels.data.reverse();
    const [labels, after] = await run(model, batch);
    assert.notEqual(labels.length, 0);
    assert.notDeepEqual(after.data, before.data);
    assert.deepEqual((await run(fresh, batch))[1].data, after.data);
    await Promise.all([model.close(), fresh.close()]);
  });

  it("are forgotten from the one that was not used for longest on, within the limit", () => {
    const image = (): { features: Tensor; injections: Map<number, Tensor> } => {
      const vectors = (): Tensor => ({ data: new Float32Array(10), shape: [2, 5] });
      return { features: vectors(), injections: new Map([[1, vectors()]]) };
    };
    const images = new EncodedImages(2 * 81);
    for (const key of ["a", "b"]) images.set(key, image());
    images.get("a");
    images.set("c", image());
    assert.deepEqual(
      ["a", "b", "c"].map((key) => images.get(key) !== undefined),
      [true, false, true],
    );
    const none = new EncodedImages(80);
    none.set("a", image());
    assert.equal(none.get("a"), undefined);
  });
});
