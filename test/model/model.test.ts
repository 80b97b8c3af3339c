import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { formatBytes } from "../../lib/bytes.js";
import { padTokens } from "../../lib/model/batch/batch.js";
import { ActivationCache } from "../../lib/model/captures/activation-cache.js";
import * as edit from "../../lib/model/edits/edit.js";
import { anonymousBytes } from "../../lib/model/engine/memory.js";
import { sampleToken } from "../../lib/model/forward/sampling.js";
import { loadModel } from "../../lib/model/load.js";
import type { Model } from "../../lib/model/model.js";
import { initialWeights, saveCheckpoint } from "../../lib/model/training/index.js";
import { seeded } from "../../lib/random.js";
import type { Tensor } from "../../lib/tensor.js";
import { says } from "../refusals.js";
import { batchOf, deviation, fixture, golden, open, tensors, withModel } from "./goldens.js";

const temporary = (): string => mkdtempSync(join(tmpdir(), "modalscope-test-"));

describe("float64 shows what of a difference is rounding", () => {
  for (const variant of ["qwen2-tied", "llama-gqa2", "mistral-sliding", "gemma3_text-softcap"]) {
    it(variant, async () => {
      const model = await open(variant, { float: "float64" });
      const reference = tensors(variant, "golden64.safetensors");
      const { logits, cache } = await model.run(batchOf(model, golden(variant).cases.single), {
        capture: ["blocks.*.hook_resid_post"],
      });
      for (const name of cache.names) {
        const drift = deviation(cache.get(name), reference.get(`single/${name}`)!);
        // Angles are rounded to float32 as transformers rounds them; the rest agrees far below float32's 6e-8.
        assert.ok(drift <= 5e-7, `${variant}, ${name}: ${drift}`);
      }
      assert.ok(deviation(logits!, reference.get("single/logits")!) <= 5e-7);
      await model.close();
    });
  }
});

describe("a run", () => {
  it("starts from a cached stream, stops before a block and gives the same", () =>
    withModel(async (model) => {
      const batch = batchOf(model, golden("qwen2-tied").cases.left);
      const whole = await model.run(batch, { capture: ["blocks.1.hook_resid_pre"], logits: "last" });
      const x = whole.cache.get("blocks.1.hook_resid_pre");
      const half = await model.run(batch, { startAtLayer: 1, residual: x, logits: "last" });
      assert.ok(deviation(half.logits!, whole.logits!) < 1e-6);
      const stopped = await model.run(batch, { stopAtLayer: 1 });
      assert.equal(stopped.logits, undefined);
      const at = (t: Tensor, row: number) => t.data.slice((row * 9 + 8) * 32, (row * 9 + 9) * 32);
      for (const row of [0, 1, 2]) assert.deepEqual(at(stopped.residual!, row), at(x, row));
    }));

  it("gives logits where they are asked for", () =>
    withModel(async (model) => {
      const batch = batchOf(model, golden("qwen2-tied").cases.left);
      const { logits } = await model.run(batch);
      const some = await model.run(batch, {
        logits: [
          [5, 6],
          [5, 8],
          [8, 8],
        ],
      });
      assert.deepEqual(some.logits!.shape, [3, 2, 96]);
      assert.deepEqual(some.logitPositions, [
        [5, 6],
        [5, 8],
        [8, 8],
      ]);
      const cell = (x: Tensor, b: number, t: number) =>
        x.data.subarray((b * x.shape[1] + t) * 96, (b * x.shape[1] + t + 1) * 96);
      for (const [b, i, t] of [
        [0, 0, 5],
        [1, 1, 8],
        [2, 0, 8],
      ]) {
        assert.ok(
          deviation(
            { data: cell(some.logits!, b, i), shape: [96] },
            { data: cell(logits!, b, t), shape: [96] },
          ) < 1e-5,
        );
      }
      assert.deepEqual((await model.run(batch, { logits: "last" })).logits!.shape, [3, 1, 96]);
      assert.equal((await model.run(batch, { logits: "none" })).logits, undefined);
    }));

  it("keeps positions, heads and reductions of a hook", () =>
    withModel(async (model) => {
      const batch = batchOf(model, golden("qwen2-tied").cases.left);
      const hook = "blocks.0.attn.hook_z";
      const { cache: full } = await model.run(batch, { capture: [hook, "blocks.1.hook_resid_pre"] });
      const z = full.get(hook);
      const { cache } = await model.run(batch, {
        capture: [
          { hook, positions: "last", heads: [2] },
          { hook: "blocks.1.hook_resid_pre", reduce: "mean" },
          { hook: "blocks.1.hook_mlp_out", reduce: "norm" },
          { hook: "blocks.1.attn.hook_pattern", reduce: { top: 2 }, positions: "last" },
        ],
      });
      const [, time, heads, width] = z.shape;
      const want = Float32Array.from(
        batch.last.flatMap((t, b) => [
          ...z.data.subarray(((b * time + t) * heads + 2) * width, ((b * time + t) * heads + 3) * width),
        ]),
      );
      assert.deepEqual(cache.get(hook).shape, [3, 1, 1, width]);
      assert.deepEqual(cache.get(hook).data, want);
      const x = full.get("blocks.1.hook_resid_pre");
      const row = 1;
      const mean = Float64Array.from(
        { length: 32 },
        (_, i) =>
          batch.tokenPositions[row].reduce((s, t) => s + x.data[(row * time + t) * 32 + i], 0) /
          batch.tokenPositions[row].length,
      );
      const kept = cache.get("blocks.1.hook_resid_pre/mean");
      mean.forEach((m, i) => {
        assert.ok(Math.abs(kept.data[row * 32 + i] - m) < 1e-6, "the mean leaves padding out");
      });
      assert.deepEqual(cache.get("blocks.1.hook_mlp_out/norm").shape, [3, 9]);
      const values = cache.get("blocks.1.attn.hook_pattern/values");
      assert.deepEqual(values.shape, [3, 4, 1, 2]);
      for (let i = 0; i < values.data.length; i += 2) assert.ok(values.data[i] >= values.data[i + 1]);
      assert.equal(x.data[(1 * time + 0) * 32], 0, "padding is zero");
    }));

  it("sends captures to a file that opens again", () =>
    withModel(async (model) => {
      const batch = batchOf(model, golden("qwen2-tied").cases.right);
      const path = join(temporary(), "captures.safetensors");
      const capture = [
        "blocks.*.hook_resid_post",
        { hook: "blocks.0.attn.hook_pattern", reduce: { top: 3 } },
      ];
      const memory = await model.run(batch, { capture });
      const file = await model.run(batch, { capture, captureTo: path });
      assert.deepEqual(file.cache.names.sort(), memory.cache.names.sort());
      assert.equal(file.cache.bytes, 0);
      const again = ActivationCache.open(path);
      for (const name of memory.cache.names) assert.deepEqual(again.get(name), memory.cache.get(name));
      again.close();
      file.cache.close();
    }));

  it("opens the files of several runs as one, and refuses those that do not fit", () =>
    withModel(async (model) => {
      const rows = [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12],
      ];
      const capture = ["blocks.0.hook_resid_post", { hook: "blocks.1.attn.hook_z", reduce: "mean" as const }];
      const folder = temporary();
      const write = async (name: string, prompts: number[][], hooks: typeof capture): Promise<string> => {
        const captureTo = join(folder, name);
        (await model.run(model.batch(prompts), { capture: hooks, captureTo })).cache.close();
        return captureTo;
      };
      const whole = await model.run(model.batch(rows), { capture });
      const files = [await write("a", rows.slice(0, 2), capture), await write("b", rows.slice(2), capture)];
      const shards = ActivationCache.open(files);
      assert.deepEqual(shards.names.sort(), whole.cache.names.sort());
      for (const name of shards.names) {
        assert.deepEqual(shards.get(name).shape, whole.cache.get(name).shape, name);
        assert.ok(deviation(shards.get(name), whole.cache.get(name)) < 1e-5, name);
      }
      assert.throws(() => shards.get("blocks.0.hook_resid_pre"), says(/kept nothing under/));
      shards.close();
      const fewer = await write("fewer", rows, capture.slice(0, 1));
      const shorter = await write("shorter", [[1, 2, 3]], capture);
      assert.throws(
        () => ActivationCache.open([files[0], fewer]),
        says(/fewer and .*a hold different captures/),
      );
      assert.throws(
        () => ActivationCache.open([files[0], shorter]),
        says(/is 1 × 3 × 32 in .*shorter and 2 × 4 × 32/),
      );
      assert.throws(() => ActivationCache.open([]), says(/no captures to open/));
      assert.throws(
        () => ActivationCache.open([files[0], join(folder, "none")]),
        says(/none cannot be read/),
      );
    }));

  it("takes long prompts in parts and gives the same", () =>
    withModel(async (model) => {
      const batch = batchOf(model, golden("gemma3_text-tied").cases.left);
      const whole = await model.run(batch, { capture: ["blocks.*.hook_resid_post"] });
      const parts = await open("gemma3_text-tied");
      Object.assign(parts.engine, { workBytes: 2 * batch.size * 4 * batch.seqLength * 4 });
      const cut = await parts.run(batch, { capture: ["blocks.*.hook_resid_post"] });
      for (const name of whole.cache.names)
        assert.ok(deviation(cut.cache.get(name), whole.cache.get(name)) < 1e-5, name);
      await parts.close();
    }, "gemma3_text-tied"));

  it("stops when its signal says so, between two blocks", () =>
    withModel(async (model) => {
      const stop = new AbortController();
      let blocks = 0;
      const onProgress = (): void => {
        if (++blocks === 2) stop.abort(new Error("enough"));
      };
      await assert.rejects(model.run(model.batch([[1, 2]]), { signal: stop.signal, onProgress }), /enough/);
      assert.equal(blocks, 2);
    }));
});

describe("edits", () => {
  const x = "blocks.1.hook_resid_pre";
  const captured = async (model: Model, edits: Parameters<Model["run"]>[1], hook = x): Promise<Tensor> =>
    (
      await model.run(batchOf(model, golden("qwen2-tied").cases.right), { ...edits, capture: [hook] })
    ).cache.get(hook);

  it("project onto a subspace and its complement, which add up", () =>
    withModel(async (model) => {
      const basis = {
        shape: [2, 32],
        data: Float32Array.from({ length: 64 }, (_, i) => (i === 3 || i === 32 + 7 ? 1 : 0)),
      };
      const [plain, inside, outside] = [
        await captured(model, {}),
        await captured(model, { edits: { [x]: edit.projectOnto(basis) } }),
        await captured(model, { edits: { [x]: edit.ablate(basis) } }),
      ];
      for (let i = 0; i < plain.data.length; i++) {
        const own = i % 32 === 3 || i % 32 === 7;
        assert.ok(Math.abs(inside.data[i] - (own ? plain.data[i] : 0)) < 1e-6);
        assert.ok(Math.abs(outside.data[i] - (own ? 0 : plain.data[i])) < 1e-6);
      }
    }));

  it("average over the tokens of a row, inside a block too", () =>
    withModel(async (model) => {
      for (const hook of [x, "blocks.1.attn.hook_v", "blocks.0.mlp.hook_post"]) {
        const plain = await captured(model, {}, hook);
        const { tokenPositions, seqLength: time } = batchOf(model, golden("qwen2-tied").cases.right);
        const averaged = await captured(model, { edits: { [hook]: { kind: "mean" } } }, hook);
        const width = plain.data.length / (3 * time);
        const row = 2;
        for (let i = 0; i < width; i++) {
          const mean =
            tokenPositions[row].reduce((s, t) => s + plain.data[(row * time + t) * width + i], 0) /
            tokenPositions[row].length;
          for (const t of tokenPositions[row])
            assert.ok(Math.abs(averaged.data[(row * time + t) * width + i] - mean) < 1e-5, hook);
        }
      }
    }));

  it("add seeded noise of the stated size, and swap rows without fixed points", () =>
    withModel(async (model) => {
      const plain = await captured(model, {});
      const noisy = await captured(model, { edits: { [x]: edit.noise(0.5, { seed: 9 }) } });
      const again = await captured(model, { edits: { [x]: edit.noise(0.5, { seed: 9 }) } });
      assert.deepEqual(noisy.data, again.data);
      const differences = [...noisy.data].map((v, i) => v - plain.data[i]).filter((d) => d !== 0);
      const std = Math.sqrt(differences.reduce((s, d) => s + d * d, 0) / differences.length);
      assert.ok(Math.abs(std - 0.5) < 0.05, `${std}`);
      const swapped = await captured(model, {
        edits: { [x]: edit.resample({ seed: 4, positions: [0, 1] }) },
      });
      for (let b = 0; b < 3; b++)
        assert.notDeepEqual(
          swapped.data.slice(b * 9 * 32, b * 9 * 32 + 64),
          plain.data.slice(b * 9 * 32, b * 9 * 32 + 64),
        );
    }));

  it("run a function on a value inside a block as the like edit does", () =>
    withModel(async (model) => {
      const hook = "blocks.1.mlp.hook_post";
      const batch = model.batch([[5, 6, 7, 8]]);
      const data = await model.run(batch, { edits: { [hook]: edit.scale(3) } });
      const closure = await model.run(batch, {
        edits: { [hook]: edit.apply(({ data: d, shape }) => ({ data: d.map((v) => 3 * v), shape })) },
      });
      assert.ok(deviation(closure.logits!, data.logits!) < 1e-6);
      await assert.rejects(
        model.run(batch, {
          edits: { [hook]: edit.apply(() => ({ data: new Float32Array(2), shape: [2] })) },
        }),
        says(/returned the shape/),
      );
    }));

  it("hold in their rows only, and print as a line", () =>
    withModel(async (model) => {
      const plain = await captured(model, {});
      const one = await captured(model, { edits: { [x]: edit.zero({ rows: [1] }) } });
      assert.deepEqual(one.data.slice(0, 288), plain.data.slice(0, 288));
      assert.ok(one.data.slice(288, 576).every((v) => v === 0));
      assert.equal(edit.describe(edit.fill(2, { positions: [3] })), "x ← 2 at positions [3]");
    }));
});

describe("generation", () => {
  it("is the same from left and from right padding, window or not", async () => {
    for (const variant of ["mistral-sliding", "gemma3_text-tied", "qwen2-tied"]) {
      const model = await open(variant);
      const rows = [
        [5, 9, 33],
        [11, 4, 60, 8, 33, 70, 12],
      ];
      const options = { maxNewTokens: 8, eosTokenIds: [], outputLogits: true };
      const left = await model.generate(model.batch(rows), options);
      const right = await model.generate(model.batch(rows, { paddingSide: "right" }), options);
      left.forEach((row, b) => {
        assert.deepEqual(right[b].ids, row.ids, variant);
        row.logits.forEach((l, step) => {
          assert.ok(deviation(right[b].logits[step], l) < 1e-5, `${variant}, row ${b}, step ${step}`);
        });
      });
      await model.close();
    }
  });

  it("keeps what is asked for at each step, and takes edits that hold in the prompt only", () =>
    withModel(async (model) => {
      const batch = model.batch([
        [1, 2, 3],
        [4, 5, 6],
      ]);
      const hook = "blocks.1.hook_resid_pre";
      const [row] = await model.generate(batch, {
        maxNewTokens: 3,
        eosTokenIds: [],
        capture: [{ hook, positions: "last" }],
        edits: { [hook]: edit.resample({ seed: 1, positions: [1] }) },
      });
      assert.deepEqual(
        row.steps.map((cache) => cache.get(hook).shape),
        [
          [2, 1, 32],
          [2, 1, 32],
          [2, 1, 32],
        ],
      );
    }));
});

describe("a pool of sessions", () => {
  it("opens one for calls side by side and gives everything back", async () => {
    const model = await open("qwen2-tied");
    const batch = model.batch([[1, 2, 3]]);
    await model.run(batch);
    const one = model.engine.pool.bytes;
    await model.close();
    const again = await open("qwen2-tied");
    await Promise.all([1, 2, 3, 4].map(() => again.run(again.batch([[1, 2, 3]]))));
    assert.equal(again.engine.pool.bytes, one);
    await again.close();
    assert.equal(again.engine.pool.bytes, 0);
  });
});

describe("memory", () => {
  it("of a checkpoint twice the budget stays below it, and the numbers are the same", async () => {
    const folder = join(temporary(), "model");
    const config = {
      model_type: "llama",
      vocab_size: 500,
      hidden_size: 512,
      intermediate_size: 2048,
      num_hidden_layers: 12,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      max_position_embeddings: 256,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
    };
    saveCheckpoint(folder, config, initialWeights(config, 3));
    const size = 12 * (512 * 512 * 2 + 512 * 256 * 2 + 3 * 512 * 2048) * 4;
    const budget = size / 2;
    const resident = await loadModel(folder);
    const ids = [Array.from({ length: 24 }, (_, i) => (i * 31) % 500)];
    const want = await resident.run(resident.batch(ids));
    assert.equal(resident.engine.resident, true);
    await resident.close();
    const before = anonymousBytes();
    const model = await loadModel(folder, { memory: budget });
    assert.equal(model.engine.resident, false);
    let peak = 0;
    const got = await model.run(model.batch(ids), {
      onProgress: () => (peak = Math.max(peak, anonymousBytes() - before)),
    });
    assert.ok(deviation(got.logits!, want.logits!) < 1e-5);
    assert.ok(peak < budget + size / 12, `${formatBytes(peak)} taken of ${formatBytes(budget)}`);
    await model.close();
  });

  it("refuses captures that would not fit, before it runs", () =>
    withModel(async (model) => {
      Object.assign(model.engine, { captureBytes: 1000 });
      await assert.rejects(
        model.run(model.batch([[1, 2, 3]]), { capture: ["**"] }),
        says(/captures would take/),
      );
    }));
});

describe("sampling", () => {
  const logits = Float32Array.from([0, 1, 2, 3]);
  const share = (options: Parameters<typeof sampleToken>[1], token: number): number => {
    const random = seeded(5);
    let n = 0;
    for (let i = 0; i < 4000; i++) if (sampleToken(logits, options, random) === token) n++;
    return n / 4000;
  };

  it("follows the softmax, a temperature, the top k and the nucleus", () => {
    const p = [0, 1, 2, 3].map((x) => Math.exp(x)).map((v, _, all) => v / all.reduce((a, b) => a + b));
    assert.ok(Math.abs(share({ temperature: 1 }, 3) - p[3]) < 0.03);
    assert.ok(Math.abs(share({ temperature: 1 }, 0) - p[0]) < 0.02);
    const cold = Math.exp(6) / (1 + Math.exp(2) + Math.exp(4) + Math.exp(6));
    assert.ok(Math.abs(share({ temperature: 0.5 }, 3) - cold) < 0.03);
    assert.equal(share({ temperature: 1, topK: 2 }, 1), 0);
    assert.ok(Math.abs(share({ temperature: 1, topK: 2 }, 2) - p[2] / (p[2] + p[3])) < 0.03);
    assert.equal(share({ temperature: 1, topP: 0.6 }, 2), 0);
    assert.ok(share({ temperature: 1, topP: 0.8 }, 2) > 0.2);
    assert.equal(sampleToken(logits, {}, seeded(1)), 3);
  });
});

describe("bad input gets a clear error", () => {
  const cases: [string, (model: Model) => Promise<unknown>, RegExp][] = [
    [
      "a misspelt hook",
      (m) => m.run(m.batch([[1]]), { capture: ["blocks.0.hook_resid_per"] }),
      /No hook is called.*blocks\.0\.hook_resid_pre/s,
    ],
    [
      "a misspelt pattern",
      (m) => m.run(m.batch([[1]]), { edits: { "blocks.*.atn.hook_z": edit.zero() } }),
      /blocks\.\*\.attn\.hook_z/,
    ],
    [
      "an edit of the wrong width",
      (m) =>
        m.run(m.batch([[1]]), {
          edits: { hook_embed: edit.fill({ data: new Float32Array(5), shape: [5] }) },
        }),
      /shape \(5\).*32 elements/s,
    ],
    [
      "an edit beyond its values",
      (m) =>
        m.run(m.batch([[1, 2, 3]]), {
          edits: { hook_embed: edit.fill({ data: new Float32Array(64), shape: [2, 32] }) },
        }),
      /no element for position/,
    ],
    [
      "a basis that is none",
      (m) =>
        m.run(m.batch([[1]]), {
          edits: { hook_embed: edit.projectOnto({ data: new Float32Array(32).fill(1), shape: [1, 32] }) },
        }),
      /orthonormal/,
    ],
    [
      "heads where there are none",
      (m) => m.run(m.batch([[1]]), { edits: { hook_embed: { ...edit.zero(), heads: [0] } } }),
      /has no heads/,
    ],
    [
      "a head that is not there",
      (m) => m.run(m.batch([[1]]), { edits: { "blocks.0.attn.hook_z": { ...edit.zero(), heads: [9] } } }),
      /no head 9/,
    ],
    [
      "a position outside",
      (m) => m.run(m.batch([[1, 2]]), { capture: [{ hook: "hook_embed", positions: [4] }] }),
      /no position 4/,
    ],
    ["a token id that is none", async (m) => m.batch([[96]]), /vocabulary has 96/],
    [
      "an edit of a row that is not there",
      (m) => m.run(m.batch([[1]]), { edits: { hook_embed: edit.zero({ rows: [7] }) } }),
      /names row 7/,
    ],
    [
      "an edit of a position that is not there",
      (m) => m.run(m.batch([[1]]), { edits: { hook_embed: edit.zero({ positions: [9] }) } }),
      /names position 9/,
    ],
    [
      "an edit whose values are not of its shape",
      (m) =>
        m.run(m.batch([[1]]), {
          edits: { hook_embed: edit.fill({ data: new Float32Array(5), shape: [32] }) },
        }),
      /5 values of shape \(32\)/,
    ],
    ["a block that is not there", (m) => m.run(m.batch([[1]]), { stopAtLayer: 99 }), /no block 99/],
    ["a skipped block that is not there", (m) => m.run(m.batch([[1]]), { skipLayers: [99] }), /no block 99/],
    [
      "more tokens than the model was made for",
      (m) => m.generate(m.batch([[1]]), { maxNewTokens: 1e6 }),
      /too many/,
    ],
    [
      "two captures under one name",
      (m) => m.run(m.batch([[1]]), { capture: ["hook_embed", { hook: "hook_embed", positions: "last" }] }),
      /under one name/,
    ],
    ["an empty batch", async (m) => m.batch([]), /batch is empty/],
    ["an empty prompt", async (m) => m.batch([[]]), /no tokens/],
    [
      "a prompt that is too long",
      async (m) => m.batch([new Array(m.config.max_position_embeddings + 1).fill(1)]),
      /made for/,
    ],
    ["text without a tokenizer", (m) => m.run("hello"), /no tokenizer/],
    [
      "a start of the wrong shape",
      (m) =>
        m.run(m.batch([[1, 2]]), {
          startAtLayer: 1,
          residual: { data: new Float32Array(32), shape: [1, 1, 32] },
        }),
      /needs \(1, 2, 32\)/,
    ],
    ["an unknown weight", async (m) => m.weight("model.norm.wieght"), /model\.norm\.weight/],
    [
      "a hook that was not kept",
      async (m) => (await m.run(m.batch([[1]]), { capture: ["hook_embed"] })).cache.get("hook_embd"),
      /hook_embed/,
    ],
  ];
  for (const [name, work, message] of cases) {
    it(name, () => withModel((model) => assert.rejects(work(model), says(message))));
  }

  it("a model that is nowhere, an unknown architecture, a config that contradicts the weights", async () => {
    await assert.rejects(loadModel("no-such-model"), says(/There is no model/));
    const folder = join(temporary(), "m");
    cpSync(fixture("qwen2-tied"), folder, { recursive: true });
    const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    const change = (fields: object): void =>
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...fields }));
    change({ model_type: "qwen3000" });
    await assert.rejects(loadModel(folder), says(/"qwen3000" is not implemented.*qwen2/s));
    change({ intermediate_size: 47 });
    await assert.rejects(loadModel(folder), says(/By config\.json it should be \(47, 32\)/));
    change({ num_hidden_layers: 1e9 });
    await assert.rejects(loadModel(folder), says(/holds the weights of 3 blocks/));
    change({ tie_word_embeddings: false });
    await assert.rejects(loadModel(folder), says(/lacks the weight "lm_head\.weight"/));
    change({ hidden_act: "swoosh" });
    await assert.rejects(loadModel(folder), says(/activation "swoosh"/));
    change({ num_key_value_heads: 3 });
    await assert.rejects(loadModel(folder), says(/multiple/));
    change({ rope_parameters: { rope_type: "spiral", rope_theta: 1e4 } });
    await assert.rejects(loadModel(folder), says(/rotary scaling "spiral"/));
  });

  it("a device that the runtime does not offer", async () => {
    await assert.rejects(
      open("qwen2-tied", { device: "tpu" as "cpu" }),
      says(/"tpu" is not available.*cpu/s),
    );
  });

  it("padding sides are where they should be", () => {
    const left = padTokens([[1, 2, 3], [4]]);
    assert.deepEqual([...left.attentionMask], [1, 1, 1, 0, 0, 1]);
    assert.deepEqual([...left.positionIds], [0, 1, 2, 0, 0, 0]);
    assert.deepEqual(padTokens([[1, 2, 3], [4]], { paddingSide: "right" }).last, [2, 0]);
  });
});
