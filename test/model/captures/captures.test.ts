import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { CaptureRequest } from "../../../lib/model/captures/recorder.js";
import * as edit from "../../../lib/model/edits/edit.js";
import type { RunOptions } from "../../../lib/model/forward/run.js";
import type { Tensor } from "../../../lib/tensor.js";
import { says } from "../../refusals.js";
import { batchOf, deviation, golden, open, withModel } from "../goldens.js";

/** Elements of scores that stand for no key at all are −3e38 however they are computed. */
const seen = (x: Tensor) => (i: number) => x.data[i] > -1e30;

describe("queries taken in parts", () => {
  const capture: CaptureRequest[] = [
    { hook: /(?<!pattern)$/ },
    { hook: "blocks.0.attn.hook_pattern", heads: [1] },
    { hook: "blocks.1.attn.hook_pattern", positions: "last" },
    { hook: "blocks.*.attn.hook_z", reduce: "mean" },
    { hook: "blocks.2.attn.hook_pattern", reduce: "mean" },
    { hook: "blocks.*.hook_mlp_out", reduce: "norm" },
    { hook: "blocks.2.attn.hook_pattern", reduce: { top: 3 } },
  ];

  for (const side of ["left", "right", "single"]) {
    it(`keep the same of every hook (${side})`, () =>
      withModel(async (model) => {
        const batch = batchOf(model, golden("gemma3_text-tied").cases[side]);
        const edits = {
          "blocks.1.attn.hook_z": edit.scale(2, { positions: [-1] }),
          "blocks.1.attn.hook_attn_scores": edit.blockAttention({ from: [-1, -2], to: [-3] }),
          "blocks.0.mlp.hook_post": edit.add(0.1, { rows: [0] }),
        };
        const whole = await model.run(batch, { capture, edits });
        const parts = await open("gemma3_text-tied");
        Object.assign(parts.engine, { workBytes: 2 * batch.size * 4 * batch.seqLength * 4 });
        const cut = await parts.run(batch, { capture, edits });
        assert.deepEqual(cut.cache.names.sort(), whole.cache.names.sort());
        for (const name of whole.cache.names) {
          const want = whole.cache.get(name);
          assert.deepEqual(cut.cache.get(name).shape, want.shape, name);
          const drift = deviation(cut.cache.get(name), want, seen(want));
          assert.ok(drift < 1e-5, `${name}: ${drift}`);
        }
        await parts.close();
      }, "gemma3_text-tied"));
  }

  it("are not, where an edit needs all of them, which is refused if the memory is too small", () =>
    withModel(async (model) => {
      const batch = batchOf(model, golden("qwen2-tied").cases.single);
      for (const change of [edit.fill(0.2), edit.apply((x) => x)]) {
        const edits = { "blocks.1.attn.hook_pattern": edit.at({ positions: "last" }, change) };
        const want = await model.run(batch, { edits });
        const parts = await open("qwen2-tied");
        Object.assign(parts.engine, { workBytes: 100 });
        const got = await parts.run(batch, { edits });
        assert.ok(deviation(got.logits!, want.logits!) < 1e-5);
        Object.assign(parts.engine, { captureBytes: 5e3 });
        await assert.rejects(
          parts.run(batch, { edits, logits: "last" }),
          says(/values inside a block would take/),
        );
        await parts.close();
      }
    }));
});

describe("a capture of padding", () => {
  const rows = [
    [5, 6, 7, 8],
    [9, 10],
  ];
  it("is refused before the run, counted from the front or from the back", () =>
    withModel(async (model) => {
      const batch = model.batch(rows);
      for (const [positions, message] of [
        [[0], /Position 0 of row 1 is padding/],
        [[-3], /Position -3 of row 1 is padding|Row 1 has no position -3/],
        [[-9], /no position -9/],
        [[], /positions of a capture is an empty list/],
        [[[], []], /names no positions in row 0/],
      ] as const) {
        await assert.rejects(
          model.run(batch, { capture: [{ hook: "hook_embed", positions }] }),
          says(message),
        );
      }
      await assert.rejects(model.run(batch, { logits: [0] }), says(/is padding/));
      await assert.rejects(model.run(batch, { logits: [] }), says(/logits of model\.run is an empty list/));
      await assert.rejects(model.run(batch, { logits: [[1], [2, 3]] }), says(/at 1, 2 positions/));
      await assert.rejects(
        model.run(batch, { edits: { hook_embed: edit.zero({ positions: [-3] }) } }),
        says(/position -3, which row 1 does not have/),
      );
    }));

  it("of different numbers of positions: refused, or zero after the end of the shorter rows", () =>
    withModel(async (model) => {
      const batch = model.batch(rows);
      const hook = "blocks.0.attn.hook_q";
      const positions = [[0, 2, 3], [3]];
      await assert.rejects(model.run(batch, { capture: [{ hook, positions }] }), says(/Say padRows: true/));
      const whole = (await model.run(batch, { capture: [hook] })).cache.get(hook);
      const { cache } = await model.run(batch, { capture: [{ hook, positions, padRows: true }] });
      const found = cache.get(hook);
      const width = whole.shape[2] * whole.shape[3];
      assert.deepEqual(found.shape, [2, 3, ...whole.shape.slice(2)]);
      const vector = ({ data }: Tensor, cell: number) => data.slice(cell * width, (cell + 1) * width);
      positions.forEach((row, b) => {
        for (let i = 0; i < 3; i++) {
          const want = i < row.length ? vector(whole, b * 4 + row[i]) : new Float32Array(width);
          assert.deepEqual(vector(found, b * 3 + i), want, `row ${b}, place ${i}`);
        }
      });
      const none = { hook, positions: [[1], []] };
      await assert.rejects(model.run(batch, { capture: [none] }), says(/names no positions in row 1/));
      const some = await model.run(batch, { capture: [{ ...none, padRows: true }] });
      assert.deepEqual(some.cache.get(hook).shape.slice(0, 2), [2, 1]);
    }));

  it("is zero in whole tensors and in logits, and left out of means", () =>
    withModel(async (model) => {
      for (const side of ["left", "right"] as const) {
        const batch = model.batch(rows, { paddingSide: side });
        const { logits, cache } = await model.run(batch, {
          capture: [
            "hook_embed",
            { hook: "hook_embed", reduce: "mean" },
            { hook: "hook_embed", reduce: "norm" },
          ],
        });
        const vocabulary = model.config.vocab_size;
        batch.attentionMask.forEach((token, cell) => {
          const own = logits!.data.subarray(cell * vocabulary, (cell + 1) * vocabulary);
          assert.equal(
            own.every((v) => v === 0),
            token === 0,
          );
          assert.equal(cache.get("hook_embed/norm").data[cell] === 0, token === 0);
        });
        const alone = await model.run(model.batch([rows[1]]), {
          capture: [{ hook: "hook_embed", reduce: "mean" }],
        });
        const width = model.config.hidden_size;
        const got = { data: cache.get("hook_embed/mean").data.subarray(width), shape: [width] };
        assert.ok(deviation(got, alone.cache.get("hook_embed/mean")) < 1e-6);
      }
    }));

  it("does not change what an edit of patterns or scores does", () =>
    withModel(async (model) => {
      const alone = model.batch([rows[1]]);
      for (const side of ["left", "right"] as const) {
        const batch = model.batch(rows, { paddingSide: side });
        for (const [hook, change] of [
          ["blocks.1.attn.hook_pattern", edit.fill(0.25)],
          ["blocks.1.attn.hook_pattern", edit.add(0.5)],
          ["blocks.1.attn.hook_attn_scores", edit.scale(-1)],
          ["blocks.1.attn.hook_attn_scores", edit.fill(0)],
          [
            "blocks.1.attn.hook_pattern",
            edit.apply(({ data, shape }) => ({ data: data.map(() => 0.5), shape })),
          ],
        ] as const) {
          const edits = { [hook]: edit.at({ positions: "last" }, change) };
          const want = await model.run(alone, { edits, logits: "last" });
          const { logits } = await model.run(batch, { edits, logits: "last" });
          const got = { data: logits!.data.subarray(logits!.data.length / 2), shape: want.logits!.shape };
          assert.ok(deviation(got, want.logits!) < 1e-4, `${hook}, ${change.kind}, ${side}`);
        }
      }
    }));
});

describe("what would not happen is refused", () => {
  const start = { startAtLayer: 1, residual: { data: new Float32Array(32), shape: [1, 1, 32] } };
  const cases: [string, RunOptions, RegExp][] = [
    ["a capture after the stop", { stopAtLayer: 1, capture: ["blocks.1.hook_resid_pre"] }, /blocks\.1/],
    ["a capture of the head after a stop", { stopAtLayer: 1, capture: ["ln_final.*"] }, /ln_final/],
    [
      "an edit of a skipped block",
      { skipLayers: [1], edits: { "blocks.1.attn.hook_z": edit.zero() } },
      /blocks\.1/,
    ],
    [
      "an edit of the head without logits",
      { logits: "none", edits: { "ln_final.hook_normalized": edit.zero() } },
      /ln_final/,
    ],
    [
      "an edit of the embedding after a start",
      { ...start, edits: { hook_embed: edit.zero() } },
      /hook_embed/,
    ],
    [
      "an edit while decoding, in a run",
      { edits: { hook_embed: edit.zero({ phase: "decoding" }) } },
      /while tokens are generated/,
    ],
  ];
  for (const [name, options, message] of cases) {
    it(name, () =>
      withModel((model) => assert.rejects(model.run(model.batch([[1]]), options), says(message))),
    );
  }

  it("but a pattern means the blocks that run, and a file of captures holds just these", () =>
    withModel(async (model) => {
      const folder = mkdtempSync(join(tmpdir(), "modalscope-test-"));
      const captureTo = join(folder, "captures.safetensors");
      const capture = ["blocks.*.attn.hook_z", "blocks.*.hook_resid_post"];
      const { cache } = await model.run(model.batch([[1, 2]]), {
        stopAtLayer: 2,
        skipLayers: [0],
        capture,
        captureTo,
      });
      assert.deepEqual(cache.names.sort(), [
        "blocks.0.hook_resid_post",
        "blocks.1.attn.hook_z",
        "blocks.1.hook_resid_post",
      ]);
      cache.close();
      assert.ok(existsSync(captureTo));
      const broken = join(folder, "broken.safetensors");
      await assert.rejects(
        model.run(model.batch([[1, 2]]), {
          capture,
          captureTo: broken,
          edits: { "blocks.1.hook_mlp_out": edit.apply(() => ({ data: new Float32Array(1), shape: [1] })) },
        }),
        says(/must return that/),
      );
      assert.deepEqual(readdirSync(folder), ["captures.safetensors"]);
    }));

  it("and so is an edit of an average over all", () =>
    withModel(async (model) => {
      const hook = "blocks.1.attn.hook_z";
      const { cache } = await model.run(model.batch([[1, 2, 3]]), {
        edits: { [hook]: edit.mean() },
        capture: [hook],
      });
      const z = cache.get(hook);
      const row = z.data.length / 3;
      assert.deepEqual(z.data.slice(0, row), z.data.slice(row, 2 * row));
    }));
});
