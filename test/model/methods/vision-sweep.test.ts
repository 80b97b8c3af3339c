import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Edits } from "../../../lib/model/edits/edit.js";
import * as edit from "../../../lib/model/edits/edit.js";
import { pickColumns } from "../../../lib/model/forward/head.js";
import { loadModel } from "../../../lib/model/load.js";
import { gradients } from "../../../lib/model/methods/gradients.js";
import { logProb } from "../../../lib/model/methods/metrics.js";
import { sweep } from "../../../lib/model/methods/sweep.js";
import { at0 } from "../../../lib/tensor.js";

const fixtures = join(import.meta.dirname, "../../../../test/fixtures/vision");
const metric = logProb(5);

for (const variant of [
  "llava-default",
  "llava_next-vicuna",
  "gemma3-window",
  "qwen3_vl-deep",
  "qwen3_vl_moe-top2",
]) {
  describe(`prompts with images, ${variant}`, () => {
    const { cases } = JSON.parse(readFileSync(join(fixtures, variant, "golden.json"), "utf8"));
    const given: { prompts: string[]; images: string[][] } = cases.batch;
    const opened = async (options = {}) => {
      const model = await loadModel(join(fixtures, variant), { threads: 1, ...options });
      const prompts = given.prompts.map((text, i) => ({
        text,
        images: given.images[i].map((name) => join(fixtures, "images", `${name}.png`)),
      }));
      return { model, batch: await model.prepare(prompts) };
    };

    it("are swept as separate runs go, edits of what is seen included", async () => {
      const { model, batch } = await opened();
      const last = batch.visual.map((columns) => columns.slice(-1));
      const edits: Edits[] = [
        {},
        { hook_embed: edit.fill(0, { positions: batch.visual }) },
        {
          hook_embed: edit.noise(0.5, { seed: 1, positions: last }),
        },
        { "vision.blocks.0.hook_resid_post": edit.scale(0.5) },
        {
          "vision.blocks.1.hook_resid_pre": edit.add(0.3, { positions: [0, 2] }),
          "blocks.1.hook_mlp_out": edit.fill(0.1, { positions: [-1] }),
        },
        ...model.layers.map((l) => ({
          [`blocks.${l}.hook_resid_pre`]: edit.scale(0.2, { positions: batch.visual }),
        })),
        ...model.hooks.filter((h) => /^blocks.*deepstack/.test(h)).map((h) => ({ [h]: edit.fill(0) })),
      ];
      const { values } = await sweep(model, batch, {
        over: edits,
        edit: (e) => e as Edits,
        metric,
        maxRows: 9,
      });
      const seen = new Set<string>();
      for (const [i, e] of edits.entries()) {
        const { logits } = await model.run(batch, { edits: e });
        const ends = batch.last.map((c) => [c]);
        metric.value(pickColumns(logits!, ends)).forEach((want, b) => {
          const got = values.data[i * batch.size + b];
          assert.ok(
            Math.abs(got - want) <= 1e-4 * Math.abs(want),
            `point ${i}, row ${b}: ${got} against ${want}`,
          );
          seen.add(want.toFixed(6));
        });
      }
      assert.ok(seen.size > edits.length, "the edits change something");
      await model.close();
    });

    it("have the derivatives that finite differences say", async () => {
      const { model, batch } = await opened({ float: "float64" });
      const hooks = ["blocks.0.attn.hook_v", "blocks.1.hook_resid_pre"];
      hooks.push(...model.hooks.filter((h) => /^blocks.*deepstack/.test(h)));
      const { gradients: found } = await gradients(model, batch, [metric], { wrt: hooks });
      for (const hook of hooks) {
        const { data, shape } = at0(found.get(hook), 0);
        const value = async (h: number): Promise<number> => {
          const along = { data: data.map((_, i) => Math.cos(i) * h), shape };
          const { logits } = await model.run(batch, { edits: { [hook]: edit.add(along) }, logits: "last" });
          return metric.value(logits!).reduce((a, b) => a + b, 0);
        };
        const want = ((await value(1e-5)) - (await value(-1e-5))) / 2e-5;
        const got = data.reduce((sum, g, i) => sum + g * Math.cos(i), 0);
        assert.ok(
          Math.abs(got - want) <= 1e-5 * Math.max(0.1, Math.abs(want)),
          `${hook}: ${got} against ${want}`,
        );
      }
      await model.close();
    });
  });
}
