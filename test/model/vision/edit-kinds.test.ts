import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Edit } from "../../../lib/model/edits/edit.js";
import * as edit from "../../../lib/model/edits/edit.js";
import type { Tensor } from "../../../lib/tensor.js";
import { drift, golden, open, prepared } from "./goldens.js";

/** Vector of a row and column of (rows, columns, width). */
const vector = ({ data, shape }: Tensor, row: number, column: number): number[] => [
  ...data.subarray((row * shape[1] + column) * shape[2], (row * shape[1] + column + 1) * shape[2]),
];

const near = (a: readonly number[], b: readonly number[], what: string): void =>
  assert.ok(drift(a, b) <= 1e-5, `${what}: ${drift(a, b)}`);

for (const variant of ["llava_next-vicuna", "gemma3-window", "qwen3_vl-deep"]) {
  describe(`every kind of edit at what is seen, ${variant}`, () => {
    for (const hook of [
      "vision.hook_embed",
      "vision.blocks.0.hook_mlp_out",
      "vision.blocks.0.hook_resid_post",
      "projector.hook_out",
    ]) {
      it(hook, async () => {
        const model = await open(variant);
        const { cases } = golden(variant);
        const batch = await prepared(model, cases.batch);
        const value = async (...edits: Edit[]): Promise<Tensor> =>
          (await model.run(batch, { capture: [hook], edits: { [hook]: edits }, logits: "none" })).cache.get(
            hook,
          );
        const plain = await value(edit.scale(1));
        const [rows, , width] = plain.shape;
        const all = Array.from({ length: rows }, (_, r) => r);
        const untouched = (x: Tensor, what: string): void => {
          for (const r of all) near(vector(x, r, 0), vector(plain, r, 0), `${what} elsewhere`);
        };
        const averaged = await value(edit.mean({ positions: [1, 2] }));
        const noisy = await value(edit.noise(0.5, { seed: 3, positions: [1, 2] }));
        const swapped = await value(edit.resample({ seed: 1, positions: [1, 2] }));
        const basis = {
          data: Float32Array.from({ length: width }, (_, i) => (i === 1 ? 1 : 0)),
          shape: [1, width],
        };
        const kept = await value(edit.projectOnto(basis, { plus: 0.25, positions: [1, 2] }));
        const removed = await value(edit.ablate(basis, { positions: [1, 2] }));
        const halved = await value(
          edit.apply(({ data, shape }) => ({ data: data.map((v) => v / 2), shape }), { positions: [1, 2] }),
        );
        const last = await value(edit.add(1, { rows: [rows - 1], positions: [-1] }));
        for (const x of [averaged, noisy, swapped, kept, removed, halved]) untouched(x, hook);
        for (const r of all) {
          const [a, b] = [vector(plain, r, 1), vector(plain, r, 2)];
          const half = a.map((v, i) => (v + b[i]) / 2);
          near(vector(averaged, r, 1), half, "mean");
          near(vector(averaged, r, 2), half, "mean");
          const moved = vector(noisy, r, 1).map((v, i) => v - a[i]);
          const power = Math.sqrt(moved.reduce((s, v) => s + v * v, 0) / width);
          assert.ok(power > 0.25 && power < 0.9, `noise of ${power}`);
          const others = all.filter((o) => o !== r).map((o) => vector(plain, o, 1));
          assert.ok(
            others.some((o) => drift(vector(swapped, r, 1), o) <= 1e-6),
            "another row's",
          );
          near(
            vector(kept, r, 2),
            b.map((v, i) => (i === 1 ? v : 0) + 0.25),
            "keep",
          );
          near(
            vector(removed, r, 2),
            b.map((v, i) => (i === 1 ? 0 : v)),
            "remove",
          );
          near(
            vector(halved, r, 1),
            a.map((v) => v / 2),
            "apply",
          );
        }
        const end = lastColumn(plain, rows - 1);
        near(
          vector(last, rows - 1, end),
          vector(plain, rows - 1, end).map((v) => v + 1),
          "a row's last",
        );
        near(
          vector(last, 0, lastColumn(plain, 0)),
          vector(plain, 0, lastColumn(plain, 0)),
          "another row's last",
        );
        await model.close();
      });
    }

    it("attention hidden, a head taken out, padding left alone", async () => {
      const model = await open(variant);
      const { cases } = golden(variant);
      const batch = await prepared(model, cases.batch);
      const [scores, pattern, z] = ["hook_attn_scores", "hook_pattern", "hook_z"].map(
        (h) => `vision.blocks.0.attn.${h}`,
      );
      const run = async (edits: Record<string, Edit>): Promise<Tensor[]> => {
        const { cache } = await model.run(batch, { capture: [pattern, z], edits, logits: "none" });
        return [cache.get(pattern), cache.get(z)];
      };
      const [plain] = await run({});
      const [hidden] = await run({ [scores]: edit.blockAttention({ from: [1], to: [0, 2], heads: [0] }) });
      const [, heads, , time] = plain.shape;
      for (let i = 0; i < plain.data.length; i += time) {
        const own = plain.data.slice(i, i + time);
        const [query, head] = [(i / time) % time, Math.floor(i / time ** 2) % heads];
        if (query === 1 && head === 0) {
          const rest = 1 - own[0] - own[2];
          own.forEach((v, k) => {
            own[k] = k === 0 || k === 2 ? 0 : v / rest;
          });
        }
        const found = hidden.data.subarray(i, i + time);
        assert.ok(drift(found, own) <= 1e-5, `query ${query} of head ${head}`);
      }
      const [, without] = await run({ [z]: edit.zero({ heads: [0] }) });
      const size = without.shape[3];
      for (let i = 0; i < without.data.length; i += heads * size)
        assert.ok(without.data.subarray(i, i + size).every((v) => v === 0));
      assert.ok(heads === 1 || without.data.some((v) => v !== 0));
      // Scores that all become zero make every patch look at all of its image alike, and at nothing that fills it up.
      const [flat] = await run({ [scores]: edit.zero() });
      for (let i = 0; i < flat.data.length; i += time) {
        const seen = [...flat.data.subarray(i, i + time)].filter((v) => v !== 0);
        for (const v of seen) assert.ok(Math.abs(v - 1 / seen.length) < 1e-6);
        const own = plain.data.subarray(i, i + time).filter((v) => v !== 0).length;
        assert.equal(seen.length, own);
      }
      await model.close();
    });
  });
}

/** The last column of a row that is no padding: captures are zero there. */
function lastColumn(x: Tensor, row: number): number {
  let column = x.shape[1] - 1;
  while (vector(x, row, column).every((v) => v === 0)) column--;
  return column;
}
