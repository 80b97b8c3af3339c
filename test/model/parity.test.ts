import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadModel } from "../../lib/model/load.js";
import type { Model } from "../../lib/model/model.js";
import type { Device } from "../../lib/runtime/session.js";
import type { Tensor } from "../../lib/tensor.js";
import {
  batchOf,
  type Case,
  deviation,
  editsOf,
  fixture,
  golden,
  ofChosen,
  open,
  tensors,
  variants,
} from "./goldens.js";

/** Each tensor agrees with transformers' (eager, float32) to this share of its largest element. */
const TOLERANCE = 1e-4;
const device = (process.env.MODALSCOPE_TEST_DEVICE ?? "cpu") as Device;

for (const variant of variants) {
  describe(`${variant} on ${device} agrees with transformers`, () => {
    const expected = golden(variant);
    const reference = tensors(variant);
    let model: Model;
    before(async () => {
      model = await open(variant, { device });
    });
    after(() => model?.close());

    for (const [name, given] of Object.entries(expected.cases)) {
      const check = async (asked: (hook: string) => boolean): Promise<void> => {
        const known = model.hooks.filter((h) => asked(h) && reference.has(`${name}/${h}`));
        assert.ok(known.length >= model.layers.length, `the golden names ${known.length} hooks of the model`);
        const { logits, cache } = await model.run(batchOf(model, given), { capture: known });
        const misses: string[] = [];
        for (const hook of known) {
          const wanted = reference.get(`${name}/${hook}`)!;
          const chosen = reference.get(`${name}/${hook.replace("weights", "indices")}`);
          const found = hook.endsWith("expert_weights")
            ? ofChosen(cache.get(hook), chosen!)
            : cache.get(hook);
          const drift = deviation(found, wanted, realCells(hook, given, found));
          if (!(drift <= TOLERANCE)) misses.push(`${hook}: ${drift.toExponential(2)}`);
        }
        const drift = deviation(
          logits!,
          reference.get(`${name}/logits`)!,
          realCells("logits", given, logits!),
        );
        if (!(drift <= TOLERANCE)) misses.push(`logits: ${drift.toExponential(2)}`);
        assert.deepEqual(misses, [], `${variant}, case "${name}": beyond ${TOLERANCE}`);
      };
      it(`every hook and the logits of "${name}"`, () => check(() => true));
      it(`the same of "${name}" where nothing inside norms and attention is asked for`, () =>
        check((hook) =>
          /\.(hook_resid_(pre|mid|post)|hook_attn_out|hook_mlp_out|mlp\.hook_post)$/.test(hook),
        ));
    }

    for (const layout of expected.layouts ?? []) {
      it(`the same logits from the weights as in "${layout}"`, async () => {
        const other = await loadModel(join(fixture(variant), layout), { threads: 1, device });
        const given = expected.cases.left;
        const { logits } = await other.run(batchOf(other, given));
        const drift = deviation(logits!, reference.get("left/logits")!, realCells("logits", given, logits!));
        assert.ok(drift <= TOLERANCE, `${variant}, "${layout}": logits drift ${drift.toExponential(2)}`);
        await other.close();
      });
    }

    for (const [name, { case: of, steps }] of Object.entries(expected.edits ?? {})) {
      it(`logits under the edit "${name}"`, async () => {
        const { edits, skip: skipLayers } = editsOf(
          steps,
          (value) => reference.get(`edits/${name}/${value}`)!,
        );
        const { logits } = await model.run(batchOf(model, expected.cases[of]), { edits, skipLayers });
        const drift = deviation(
          logits!,
          reference.get(`edits/${name}/logits`)!,
          realCells("logits", expected.cases[of], logits!),
        );
        assert.ok(
          drift <= TOLERANCE,
          `${variant}, edit "${name}": logits drift ${drift.toExponential(2)} > ${TOLERANCE}`,
        );
      });
    }

    for (const [name, { ids }] of Object.entries(expected.generate)) {
      it(`greedy continuation of "${name}"`, async () => {
        const out = await model.generate(batchOf(model, expected.cases[name]), {
          maxNewTokens: ids[0].length,
          eosTokenIds: [],
        });
        assert.deepEqual(
          out.map((row) => [...row.ids]),
          ids,
        );
      });
    }

    for (const [name, { case: of, steps, ids }] of Object.entries(expected.edited_generate ?? {})) {
      it(`greedy continuation under "${name}"`, async () => {
        const { edits, skip } = editsOf(steps, (value) => reference.get(`edited_generate/${name}/${value}`)!);
        const batch = batchOf(model, expected.cases[of]);
        const out = await model.generate(batch, {
          maxNewTokens: ids[0].length,
          edits,
          skipLayers: skip,
          outputLogits: true,
          eosTokenIds: [],
        });
        assert.deepEqual(
          out.map((row) => [...row.ids]),
          ids,
        );
        const want = reference.get(`edited_generate/${name}/logits`)!;
        const got = {
          shape: want.shape,
          data: Float32Array.from(out.flatMap((row) => row.logits.flatMap((l) => [...l.data]))),
        };
        const drift = deviation(got, want);
        assert.ok(
          drift <= TOLERANCE,
          `${variant}, "${name}": step logits drift ${drift.toExponential(2)} > ${TOLERANCE}`,
        );
      });
    }
  });
}

/** Cells that belong to real tokens; of scores also only those whose key the query may see. */
function realCells(hook: string, { attention_mask: mask }: Case, x: Tensor): (index: number) => boolean {
  const [, a, b, c] = x.shape;
  const perHead = /hook_(attn_scores|pattern)$/.test(hook);
  const perRow = x.data.length / x.shape[0];
  return (index) => {
    const row = Math.floor(index / perRow);
    const rest = index % perRow;
    if (!perHead) return mask[row][Math.floor(rest / (perRow / a))] === 1;
    const query = Math.floor(rest / c) % b;
    // A hidden key has a score of −3e38 here and a like number there: only visible ones are compared.
    return mask[row][query] === 1 && (hook.endsWith("pattern") || x.data[index] > -1e30);
  };
}
