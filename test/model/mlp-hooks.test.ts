/** `mlp.hook_in` and `mlp.hook_out` in every family: what the MLP's own matrices make of the first is the second. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edit } from "../../lib/index.js";
import type { Model } from "../../lib/model/model.js";
import type { Tensor } from "../../lib/tensor.js";
import { batchOf, golden, open, variants } from "./goldens.js";

/** Largest difference between two tensors, as a share of the largest element. */
function drift(a: Tensor, b: Tensor): number {
  const most = b.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  return a.data.reduce((m, v, i) => Math.max(m, Math.abs(v - b.data[i])), 0) / most;
}

const localNames = (model: Model): string[] =>
  model.hooks.filter((h) => h.startsWith("blocks.0.")).map((h) => h.slice("blocks.0.".length));

for (const variant of variants) {
  describe(`${variant}: the MLP's ends`, () => {
    it("an edit of what it reads is an edit of what it makes, and no more", async () => {
      const model = await open(variant, {});
      const batch = batchOf(model, Object.values(golden(variant).cases)[0]);
      const inside = localNames(model).filter((h) =>
        /^mlp\.hook_(pre|out)$|^mlp\.hook_router_logits$/.test(h),
      );
      const capture = [...inside, "mlp.hook_in", "hook_resid_mid", "hook_mlp_out"].map(
        (h) => `blocks.0.${h}`,
      );
      const plain = await model.run(batch, { capture });
      const doubled = await model.run(batch, { capture, edits: { "blocks.0.mlp.hook_in": edit.scale(2) } });
      const of = (cache: typeof plain.cache, h: string): Tensor => cache.get(`blocks.0.${h}`);
      const twice = {
        ...of(plain.cache, "mlp.hook_in"),
        data: of(plain.cache, "mlp.hook_in").data.map((v) => 2 * v),
      };
      assert.ok(drift(of(doubled.cache, "mlp.hook_in"), twice) < 1e-6);
      assert.equal(drift(of(doubled.cache, "hook_resid_mid"), of(plain.cache, "hook_resid_mid")), 0);
      assert.ok(drift(of(doubled.cache, inside[0]), of(plain.cache, inside[0])) > 1e-3);
      await model.close();
    });

    it("an edit of what it gives scales what is added to the stream, through a post-norm where there is one", async () => {
      const model = await open(variant, {});
      const batch = batchOf(model, Object.values(golden(variant).cases)[0]);
      const norm = localNames(model).filter((h) => h === "ln2_post.hook_scale");
      const capture = ["mlp.hook_out", "hook_mlp_out", ...norm].map((h) => `blocks.0.${h}`);
      const plain = await model.run(batch, { capture });
      const doubled = await model.run(batch, { capture, edits: { "blocks.0.mlp.hook_out": edit.scale(2) } });
      const [out, added, scale] = capture.map((h) => plain.cache.get(h));
      if (norm.length === 0) assert.equal(drift(out, added), 0);
      const width = added.shape[2];
      // A post-norm divides by its own scale, which doubles too but for its ε.
      const factor = (i: number): number =>
        norm.length === 0 || added.data[i] === 0
          ? 2
          : (2 * scale.data[Math.floor(i / width)]) /
            doubled.cache.get(capture[2]).data[Math.floor(i / width)];
      const wanted = { ...added, data: added.data.map((v, i) => factor(i) * v) };
      assert.ok(drift(doubled.cache.get(capture[1]), wanted) < 1e-5);
      assert.ok(drift(doubled.cache.get(capture[0]), { ...out, data: out.data.map((v) => 2 * v) }) < 1e-6);
      await model.close();
    });
  });
}
