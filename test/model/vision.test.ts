import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Batch } from "../../lib/model/batch/batch.js";
import type { Model } from "../../lib/model/model.js";
import type { Device } from "../../lib/runtime/session.js";
import type { Tensor } from "../../lib/tensor.js";
import { deviation, ofChosen } from "./goldens.js";
import { golden, open, prepared, tensors, variants } from "./vision/goldens.js";

/** Each tensor agrees with transformers' (eager, float32) to this share of its largest element. */
const TOLERANCE = 1e-4;
const device = (process.env.MODALSCOPE_TEST_DEVICE ?? "cpu") as Device;

for (const variant of variants) {
  const { cases, generate = {} } = golden(variant);
  describe(`${variant} on ${device} sees as transformers does`, () => {
    const reference = tensors(variant);
    let model: Model;
    before(async () => {
      model = await open(variant, { device });
    });
    after(() => model?.close());

    for (const [name, given] of Object.entries(cases)) {
      it(`tokens and positions of "${name}"`, async () => {
        const batch = await prepared(model, given);
        assert.deepEqual(
          masked(batch, batch.inputIds),
          given.input_ids.map((row, b) => row.filter((_, t) => given.attention_mask[b][t])),
        );
        const axes = (
          typeof given.position_ids[0][0] === "number" ? [given.position_ids] : given.position_ids
        ) as number[][][];
        const cells = batch.size * batch.seqLength;
        axes.forEach((axis, a) => {
          const own = batch.positionIds.length > cells ? a : 0;
          assert.deepEqual(
            masked(batch, batch.positionIds.subarray(own * cells, (own + 1) * cells)),
            axis.map((row, b) => row.filter((_, t) => given.attention_mask[b][t])),
            `axis ${a}`,
          );
        });
      });

      it(`every hook and the logits of "${name}"`, async () => {
        const batch = await prepared(model, given);
        const known = model.hooks.filter((h) => reference.has(`${name}/${h}`));
        assert.ok(known.length >= model.layers.length, `the golden names ${known.length} hooks of the model`);
        const capture = known.filter((h) => batch.images || !/^vision|^projector|deepstack/.test(h));
        const { logits, cache } = await model.run(batch, { capture });
        const misses: string[] = [];
        const compare = (hook: string, found: Tensor): void => {
          const stored = reference.get(`${name}/${hook}`)!;
          // Where all images have the same positions, transformers has them once.
          const wanted = stored.shape[0] < found.shape[0] ? repeated(stored, found.shape[0]) : stored;
          const drift = deviation(found, wanted, realCells(hook, batch, found));
          if (!(drift <= TOLERANCE)) misses.push(`${hook} (${found.shape}) : ${drift.toExponential(2)}`);
        };
        for (const hook of capture) {
          const chosen = reference.get(`${name}/${hook.replace("weights", "indices")}`);
          const found = cache.get(hook);
          const same = found.shape.length === reference.get(`${name}/${hook}`)!.shape.length;
          if (hook.endsWith("expert_weights")) compare(hook, ofChosen(found, chosen!));
          else compare(hook, same ? found : packed(found, lengths(batch, hook, found)));
        }
        if (reference.has(`${name}/logits`)) compare("logits", logits!);
        else compare("last_logits", lastOf(logits!, batch));
        assert.deepEqual(misses, [], `${variant}, case "${name}": beyond ${TOLERANCE}`);
      });
    }

    for (const [name, { ids }] of Object.entries(generate)) {
      it(`greedy continuation of "${name}"`, async () => {
        const out = await model.generate(await prepared(model, cases[name]), {
          maxNewTokens: ids[0].length,
          eosTokenIds: [],
        });
        assert.deepEqual(
          out.map((row) => [...row.ids]),
          ids,
        );
      });
    }
  });
}

function repeated({ data, shape }: Tensor, times: number): Tensor {
  const all = Array.from({ length: times }, () => [...data]).flat();
  return { data: Float32Array.from(all), shape: [times, ...shape.slice(1)] };
}

/** Logits at each row's last token, (batch, vocab_size). */
function lastOf({ data, shape: [size, time, width] }: Tensor, { last }: Batch): Tensor {
  const rows = last.map((c, b) => data.subarray((b * time + c) * width, (b * time + c + 1) * width));
  return { data: Float32Array.from(rows.flatMap((row) => [...row])), shape: [size, width] };
}

/** Rows of different lengths one after the other, as transformers packs them: (rows, time, …) → (all, …). */
function packed({ data, shape: [, time, ...rest] }: Tensor, lengths: readonly number[]): Tensor {
  const width = rest.reduce((a, b) => a * b, 1);
  const rows = lengths.map((n, i) => data.subarray(i * time * width, (i * time + n) * width));
  const total = lengths.reduce((a, b) => a + b, 0);
  return { data: Float32Array.from(rows.flatMap((row) => [...row])), shape: [total, ...rest] };
}

/** Number of each image's cells that are no padding: tokens after the projector, patches before it. */
function lengths({ images }: Batch, hook: string, x: Tensor): number[] {
  const counts = images!.map(({ image }) =>
    hook.startsWith("projector") ? image.tokens.length : image.grid[1] * image.grid[2],
  );
  assert.equal(Math.max(...counts), x.shape[1]);
  return counts;
}

/** The cells of each row that hold tokens. */
function masked({ size, seqLength: time, attentionMask }: Batch, data: Int32Array): number[][] {
  return Array.from({ length: size }, (_, b) =>
    Array.from(data.subarray(b * time, (b + 1) * time)).filter((_, t) => attentionMask[b * time + t]),
  );
}

/** Which elements are no padding; the tower has none in these cases. */
function realCells(hook: string, batch: Batch, x: Tensor): (i: number) => boolean {
  if (/^vision|^projector|^last_logits/.test(hook)) return () => true;
  const query = x.shape.length === 4 && x.shape[1] !== batch.seqLength;
  return (i) => {
    const [, a, b, c] = strides(x.shape);
    const row = Math.floor(i / strides(x.shape)[0]);
    const real = (column: number): boolean => batch.attentionMask[row * batch.seqLength + column] === 1;
    if (!query) return real(Math.floor(i / a) % x.shape[1]);
    return real(Math.floor(i / b) % x.shape[2]) && real(Math.floor(i / c) % x.shape[3]);
  };
}

function strides(shape: readonly number[]): number[] {
  return shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
}
