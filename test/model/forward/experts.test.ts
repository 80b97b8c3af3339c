/** Mixtures of experts: the tiny checkpoints of test/fixtures/experts against what PyTorch computed with them. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Batch } from "../../../lib/model/batch/batch.js";
import { openCheckpoint, readSafetensors } from "../../../lib/model/checkpoint/index.js";
import type { Edits } from "../../../lib/model/edits/edit.js";
import * as edit from "../../../lib/model/edits/edit.js";
import { expertLayout, placeOf } from "../../../lib/model/engine/expert-layout.js";
import { ExpertStore } from "../../../lib/model/engine/expert-store.js";
import { type LoadOptions, loadModel } from "../../../lib/model/load.js";
import { directLogitAttribution } from "../../../lib/model/methods/attribution.js";
import { gradients } from "../../../lib/model/methods/gradients.js";
import { logitDifference } from "../../../lib/model/methods/metrics.js";
import { sweep } from "../../../lib/model/methods/sweep.js";
import { Model } from "../../../lib/model/model.js";
import {
  initialWeights,
  saveCheckpoint,
  Trainer,
  train,
  type Weights,
} from "../../../lib/model/training/index.js";
import { at0, type Tensor } from "../../../lib/tensor.js";
import { deviation } from "../goldens.js";

/** Of a tensor's largest element, where transformers' float32 is the reference. */
const TOLERANCE = 1e-4;
/** Between two float32 computations of the same. */
const SAME = 1e-5;

const fixtures = join(import.meta.dirname, "../../../../test/fixtures/experts");
const scratch = mkdtempSync(join(tmpdir(), "experts-"));
after(() => rmSync(scratch, { recursive: true }));

const open = (name: string, options: LoadOptions = {}): Promise<Model> =>
  loadModel(join(fixtures, name), { threads: 1, ...options });
const rawConfig = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(fixtures, name, "config.json"), "utf8"));
const golden: { input_ids: number[][]; attention_mask: number[][]; difference: [number, number] } =
  JSON.parse(readFileSync(join(fixtures, "normalised", "golden.json"), "utf8"));

function paddedBatch(model: Model): Batch {
  return model.batch(
    golden.input_ids.map((row, b) => row.filter((_, t) => golden.attention_mask[b][t] === 1)),
    { paddingSide: "left" },
  );
}

/** Compares where the tokens are: padding is zero in the reference. */
function agrees(found: Tensor, wanted: Tensor, what: string, tolerance = TOLERANCE): void {
  const width = wanted.data.length / 16;
  const drift = deviation(found, wanted, (i) => golden.attention_mask.flat()[Math.floor(i / width)] === 1);
  assert.ok(drift <= tolerance, `${what}: ${drift.toExponential(2)} > ${tolerance}`);
}

for (const name of ["normalised", "plain"]) {
  describe(`experts, ${name}`, () => {
    const reference = readSafetensors(join(fixtures, name, "golden.safetensors"));
    const raw = rawConfig(name);
    let model: Model;
    let batch: Batch;
    before(async () => {
      model = await open(name);
      batch = paddedBatch(model);
    });
    after(() => model.close());
    const named = (prefix: string): string[] =>
      [...reference.keys()].filter((n) => n.startsWith(prefix)).map((n) => n.slice(prefix.length));

    it("router, weights, choice, inner values and output are transformers'", async () => {
      const hooks = named("run/").filter((n) => n !== "logits");
      assert.equal(hooks.length, 2 * 4 + 2 * 3);
      const { cache, logits } = await model.run(batch, { capture: hooks });
      for (const hook of hooks) {
        const wanted = reference.get(`run/${hook}`)!;
        assert.deepEqual(cache.get(hook).shape, wanted.shape, hook);
        agrees(cache.get(hook), wanted, hook, hook.endsWith("indices") ? 0 : TOLERANCE);
      }
      agrees(logits!, reference.get("run/logits")!, "logits");
    });

    it("hooks are listed in the order in which they are computed", () => {
      const own = model.hooks.filter((h) => h.startsWith("blocks.0.")).slice(-9);
      assert.deepEqual(
        own.map((h) => h.slice("blocks.0.".length)),
        [
          "ln2.hook_normalized",
          "mlp.hook_in",
          "mlp.hook_router_logits",
          "mlp.hook_expert_weights",
          "mlp.hook_expert_indices",
          "mlp.hook_post",
          "mlp.hook_out",
          "hook_mlp_out",
          "hook_resid_post",
        ],
      );
      assert.ok(model.hooks.includes("blocks.1.mlp.hook_pre"), "block 1 has a dense MLP");
      assert.ok(!model.hooks.includes("blocks.1.mlp.hook_router_logits"));
    });

    it("float64 agrees more closely than float32 has to", async () => {
      const exact = await open(name, { float: "float64" });
      agrees((await exact.run(batch)).logits!, reference.get("run/logits")!, "logits", 5e-6);
      await exact.close();
    });

    const value = (edit: string): Tensor => reference.get(`edits/${edit}/value`)!;
    const edits: Record<string, Edits> = {
      router: { "blocks.0.mlp.hook_router_logits": edit.add(value("router"), { positions: [4, 5, 6] }) },
      weights: { "blocks.2.mlp.hook_expert_weights": edit.fill(value("weights"), { positions: [5, 7] }) },
      all: { "blocks.0.mlp.hook_expert_weights": edit.fill(value("all"), { positions: [6] }) },
      post: { "blocks.0.mlp.hook_post": edit.add(value("post"), { positions: [3, 6] }) },
      mlp_out: { "blocks.2.hook_mlp_out": edit.zero({ positions: [7] }) },
    };
    for (const [edit, given] of Object.entries(edits)) {
      it(`logits under the edit "${edit}"`, async () => {
        const { logits } = await model.run(batch, { edits: given });
        agrees(logits!, reference.get(`edits/${edit}/logits`)!, edit);
      });
    }

    it("an edit by a closure is an edit by data", async () => {
      const hook = "blocks.0.mlp.hook_post";
      const doubled = (x: Tensor): Tensor => ({ shape: x.shape, data: x.data.map((v) => 2 * v) });
      const one = await model.run(batch, { edits: { [hook]: edit.apply(doubled) } });
      const two = await model.run(batch, { edits: { [hook]: edit.scale(2) } });
      agrees(one.logits!, two.logits!, hook, SAME);
    });

    const frozen: Record<string, string[]> = {
      live: [],
      weights: ["**.hook_expert_weights"],
      post: ["blocks.{0,2}.mlp.hook_post"],
    };
    for (const [group, patterns] of Object.entries(frozen)) {
      it(`derivatives by activations are autograd's (frozen: ${patterns.join() || "nothing"})`, async () => {
        const hooks = named(`gradients/${group}/`);
        assert.ok(hooks.length >= 8, `${hooks.length} hooks`);
        const metric = logitDifference(...golden.difference);
        const { gradients: found } = await gradients(model, batch, [metric, metric], {
          wrt: hooks,
          frozen: patterns,
        });
        for (const hook of hooks) {
          for (const target of [0, 1]) {
            agrees(at0(found.get(hook), target), reference.get(`gradients/${group}/${hook}`)!, hook);
          }
        }
      });
    }

    it("derivatives are those of finite differences, in float64", async () => {
      const exact = await open(name, { float: "float64" });
      const metric = logitDifference(...golden.difference);
      const step = 1e-5;
      for (const local of ["hook_resid_pre", "mlp.hook_router_logits", "mlp.hook_post", "hook_mlp_out"]) {
        const hook = `blocks.0.${local}`;
        const { gradients: found } = await gradients(exact, batch, [metric], { wrt: [hook] });
        const d = at0(found.get(hook), 0);
        const direction = d.data.map((_, i) => Math.sin(3 * i + 1));
        const shifted = async (by: number): Promise<number> => {
          const shift = { shape: d.shape, data: direction.map((v) => v * by) };
          const { logits } = await exact.run(batch, { edits: { [hook]: edit.add(shift) }, logits: "last" });
          return metric.value(logits!).reduce((a, b) => a + b, 0);
        };
        const measured = ((await shifted(step)) - (await shifted(-step))) / (2 * step);
        const real = (i: number): boolean =>
          golden.attention_mask.flat()[Math.floor((16 * i) / d.data.length)] === 1;
        const predicted = d.data.reduce((sum, v, i) => sum + (real(i) ? v * direction[i] : 0), 0);
        assert.ok(Math.abs(measured - predicted) < 1e-6 * Math.max(1, Math.abs(measured)), hook);
      }
      await exact.close();
    });

    it("training: loss, balance and derivatives by weights are transformers'", async () => {
      const balance = raw.router_aux_loss_coef as number;
      const weights: Weights = readSafetensors(join(fixtures, name, "model.safetensors"));
      await trainingAgrees(raw, weights, balance, (n) => reference.get(`loss/${n}`)!);
      const plain = await Trainer.open(raw, { threads: 1 });
      const { loss } = await plain.gradients(weights, nextTokens(batch));
      agreesNumber(loss, reference.get("loss/cross_entropy")!.data[0], "cross-entropy alone");
      await plain.close();
    });

    if (name === "normalised") {
      it("training with the experts in one tensor, as Qwen3-VL-MoE is saved", async () => {
        const weights: Weights = readSafetensors(join(fixtures, name, "linear.safetensors"));
        const config = { ...raw, model_type: "qwen3_vl_moe_text" };
        const wanted = (n: string): Tensor =>
          reference.get(`loss/linear/${n}`) ?? reference.get(`loss/${n}`)!;
        await trainingAgrees(config, weights, raw.router_aux_loss_coef as number, wanted);
      });
    }

    async function trainingAgrees(
      config: Record<string, unknown>,
      weights: Weights,
      routerAuxLossCoef: number,
      wanted: (name: string) => Tensor,
    ): Promise<void> {
      const trainer = await Trainer.open(config, { threads: 1, routerAuxLossCoef });
      const found = await trainer.gradients(weights, nextTokens(batch));
      agreesNumber(found.loss, wanted("value").data[0], "loss");
      agreesNumber(found.routerAuxLoss!, wanted("balance").data[0], "balance");
      for (const [weight, data] of found.weights) {
        const drift = deviation({ data, shape: wanted(weight).shape }, wanted(weight));
        assert.ok(drift <= TOLERANCE, `${weight}: ${drift.toExponential(2)}`);
      }
      assert.deepEqual([...found.weights.keys()].sort(), [...weights.keys()].sort());
      await trainer.close();
    }

    for (const layout of ["linear", "transposed"]) {
      it(`the same logits from experts in one tensor, ${layout}`, async () => {
        const folder = stored(name, layout);
        const other = await loadModel(folder, { threads: 1 });
        agrees((await other.run(batch)).logits!, (await model.run(batch)).logits!, layout, SAME);
        const metric = logitDifference(...golden.difference);
        const wrt = ["blocks.0.hook_resid_pre"];
        const { gradients: found } = await gradients(other, batch, [metric], { wrt });
        agrees(at0(found.get(wrt[0]), 0), reference.get(`gradients/live/${wrt[0]}`)!, wrt[0]);
        await other.close();
      });
    }
  });
}

/** A checkpoint's folder with the weights of one of its other files. */
function stored(name: string, file: string): string {
  const folder = join(scratch, `${name}-${file}`);
  mkdirSync(folder, { recursive: true });
  cpSync(join(fixtures, name, "config.json"), join(folder, "config.json"));
  cpSync(join(fixtures, name, `${file}.safetensors`), join(folder, "model.safetensors"));
  return folder;
}

function agreesNumber(found: number, wanted: number, what: string): void {
  assert.ok(Math.abs(found - wanted) <= TOLERANCE * Math.abs(wanted), `${what}: ${found}, not ${wanted}`);
}

function nextTokens(batch: Batch): { batch: Batch; targets: Int32Array; lossWeights: Float32Array } {
  const { inputIds, attentionMask, seqLength: time } = batch;
  const last = (i: number): boolean => i % time === time - 1;
  return {
    batch,
    targets: inputIds.map((_, i) => (last(i) ? 0 : inputIds[i + 1])),
    lossWeights: Float32Array.from(attentionMask, (m, i) => (m && !last(i) && attentionMask[i + 1] ? 1 : 0)),
  };
}

describe("experts at work", () => {
  let model: Model;
  let batch: Batch;
  let plain: Tensor;
  before(async () => {
    model = await open("normalised");
    batch = paddedBatch(model);
    plain = (await model.run(batch)).logits!;
  });
  after(() => model.close());

  /** The model with a store that says which experts are read. */
  async function watched(limit: number): Promise<{ model: Model; reads: string[] }> {
    const streamed = await open("normalised", { memory: 20_000, cache: false });
    const reads: string[] = [];
    const checkpoint = {
      ...streamed.engine.checkpoint,
      read: (name: string, into?: Float32Array) => {
        reads.push(name);
        return streamed.engine.checkpoint.read(name, into);
      },
    };
    const experts = new ExpertStore(checkpoint, "float32", limit);
    return { model: new Model({ ...streamed.engine, experts }, undefined, streamed.path), reads };
  }

  it("streamed, only the chosen experts are read, once for all tokens", async () => {
    const { model: streamed, reads } = await watched(0);
    assert.equal(streamed.engine.resident, false);
    const indices = [0, 2].map((l) => `blocks.${l}.mlp.hook_expert_indices`);
    const rows = [[7, 9, 11]];
    const { cache, logits } = await streamed.run(streamed.batch(rows), { capture: indices });
    const chosen = [0, 2].flatMap((l, i) =>
      [...new Set(cache.get(indices[i]).data)].map((e) => `model.layers.${l}.mlp.experts.${e}.`),
    );
    assert.ok(chosen.length < 12, "not every expert is chosen");
    const wanted = chosen.flatMap((e) => ["gate", "up", "down"].map((m) => `${e}${m}_proj.weight`));
    assert.deepEqual([...reads].sort(), wanted.sort());
    agrees(logits!, (await model.run(model.batch(rows))).logits!, "logits", SAME);
    await streamed.close();
  });

  it("experts that were read stay within their limit of memory", async () => {
    const one = 3 * 12 * 16 * 4;
    const { model: streamed, reads } = await watched(4 * one);
    const tokens = streamed.batch([[7]]);
    await streamed.run(tokens);
    const first = reads.length;
    assert.equal(first, 2 * 2 * 3, "two experts of two blocks");
    await streamed.run(tokens);
    assert.equal(reads.length, first, "all four are still held");
    await streamed.run(paddedBatch(streamed));
    const before = reads.length;
    await streamed.run(tokens);
    assert.ok(reads.length > before, "others had taken their place");
    await streamed.close();
  });

  it("runs beside each other do not take each other's experts", async () => {
    const { model: streamed } = await watched(0);
    const alone = (await streamed.run(batch)).logits!;
    const together = await Promise.all(
      [batch, model.batch([[30, 5, 22]]), batch].map((b) => streamed.run(b)),
    );
    assert.deepEqual(together[0].logits!.data, alone.data);
    assert.deepEqual(together[2].logits!.data, alone.data);
    await streamed.close();
  });

  it("queries in parts give the same, and the experts run on all of them together", async () => {
    const { model: streamed, reads } = await watched(0);
    const parts = new Model({ ...streamed.engine, workBytes: 1 }, undefined, streamed.path);
    agrees((await parts.run(batch)).logits!, plain, "logits", SAME);
    assert.equal(new Set(reads).size, reads.length, "no expert is read twice");
    await streamed.close();
  });

  for (const [how, calls, change] of [
    ["in one call of each block", 2, {}],
    ["in several calls", 6, { workBytes: 6_000 }],
    ["each in a call of its own", 11, { workBytes: 1 }],
    ["one at a time, streamed", 11, { resident: false }],
  ] as const) {
    it(`experts give the same ${how}, forwards and backwards`, async () => {
      const engine = { ...model.engine, ...change };
      let made = 0;
      const use: Model["engine"]["pool"]["use"] = (request, work) =>
        model.engine.pool.use(request, (session) => {
          const run: typeof session.run = (feeds, outputs) => {
            if (/expert.* forward/.test(request.key)) made++;
            return session.run(feeds, outputs);
          };
          return work({ ...session, run });
        });
      const pool = Object.assign(Object.create(model.engine.pool), { use });
      const other = new Model({ ...engine, pool }, undefined, model.path);
      agrees((await other.run(batch)).logits!, plain, "logits", SAME);
      assert.equal(made, calls);
      const wrt = "blocks.0.hook_resid_pre";
      const metric = logitDifference(...golden.difference);
      const { gradients: found } = await gradients(other, batch, [metric], { wrt: [wrt] });
      const reference = readSafetensors(join(fixtures, "normalised", "golden.safetensors"));
      agrees(at0(found.get(wrt), 0), reference.get(`gradients/live/${wrt}`)!, wrt);
    });
  }

  it("padding on the other side changes nothing", async () => {
    const rows = golden.input_ids.map((row, b) => row.filter((_, t) => golden.attention_mask[b][t] === 1));
    const right = (await model.run(model.batch(rows, { paddingSide: "right" }))).logits!;
    const [, time, vocabulary] = plain.shape;
    rows.forEach((row, b) => {
      const length = row.length * vocabulary;
      const [l, r] = [(b + 1) * time * vocabulary - length, b * time * vocabulary];
      const drift = deviation(
        { data: right.data.slice(r, r + length), shape: [length] },
        { data: plain.data.slice(l, l + length), shape: [length] },
      );
      assert.ok(drift <= SAME, `row ${b}: ${drift}`);
    });
  });

  it("a sweep of edits gives what separate runs give", async () => {
    const metric = logitDifference(...golden.difference);
    const points: Edits[] = [
      { "blocks.0.mlp.hook_router_logits": edit.add(1.5, { positions: [6] }) },
      { "blocks.2.mlp.hook_expert_weights": edit.scale(0.5, { positions: [7] }) },
      { "blocks.2.mlp.hook_post": edit.zero({ positions: [6, 7] }) },
      {
        "blocks.1.hook_resid_pre": edit.zero({ positions: [5] }),
        "blocks.2.hook_mlp_out": edit.zero({ rows: [1] }),
      },
      { "blocks.0.hook_mlp_out": edit.at({ positions: [3, 4] }, { kind: "mean" }) },
    ];
    const { values } = await sweep(model, batch, { over: points, edit: (p) => p as Edits, metric });
    for (const [i, edits] of points.entries()) {
      const { logits } = await model.run(batch, { edits, logits: "last" });
      const naive = metric.value(logits!);
      for (let b = 0; b < 2; b++) {
        assert.ok(Math.abs(values.data[2 * i + b] - naive[b]) < 1e-5, `point ${i}, row ${b}`);
      }
    }
  });

  it("direct logit attribution counts the experts' output, and heads beside it", async () => {
    const metric = logitDifference(...golden.difference);
    const whole = await directLogitAttribution(model, batch, metric);
    assert.equal(whole.labels.length, 7);
    const heads = await directLogitAttribution(model, batch, metric, { by: "head" });
    for (let b = 0; b < 2; b++) {
      const of = (a: typeof whole, label: RegExp): number =>
        a.labels.reduce((sum, name, i) => sum + (label.test(name) ? a.values.data[2 * i + b] : 0), 0);
      assert.ok(Math.abs(of(whole, /./) - whole.total[b]) < 1e-4, `row ${b}`);
      assert.ok(Math.abs(of(whole, /0\.attn$/) - of(heads, /0\.attn\.\d$/)) < 1e-4, `heads, row ${b}`);
    }
  });

  it("attribution patching of the router's logits is close to patching them a little", async () => {
    const metric = logitDifference(...golden.difference);
    const clean = model.batch([[7, 9, 11, 30, 5, 22]]);
    const hook = "blocks.2.mlp.hook_router_logits";
    const { cache, logits } = await model.run(clean, { capture: [hook], logits: "last" });
    const { gradients: found } = await gradients(model, clean, [metric], { wrt: [hook] });
    const nudge = cache.get(hook).data.map((v) => 1e-2 * Math.cos(v));
    const moved = await model.run(clean, {
      edits: { [hook]: edit.add({ shape: cache.get(hook).shape, data: nudge }) },
      logits: "last",
    });
    const predicted = found.get(hook).data.reduce((sum, g, i) => sum + g * nudge[i], 0);
    const measured = metric.value(moved.logits!)[0] - metric.value(logits!)[0];
    assert.ok(Math.abs(measured) > 1e-4, "the nudge shows");
    assert.ok(Math.abs(measured - predicted) < 0.05 * Math.abs(measured), `${measured}, ${predicted}`);
  });

  it("generation goes on as whole runs do, edited or not, a block skipped or not", async () => {
    const changed = {
      "blocks.0.mlp.hook_expert_weights": edit.scale(1.7),
      "blocks.2.mlp.hook_post": edit.scale(-1),
    };
    for (const [edits, skipLayers] of [
      [{}, []],
      [changed, []],
      [changed, [1]],
    ] as [Edits, number[]][]) {
      const rows = [
        [7, 9, 11, 30],
        [19, 4],
      ];
      const generated = await model.generate(model.batch(rows), {
        maxNewTokens: 6,
        eosTokenIds: [],
        edits,
        skipLayers,
      });
      for (let step = 0; step < 6; step++) {
        const { logits } = await model.run(model.batch(rows), { edits, skipLayers, logits: "last" });
        const best = rows.map((_, b) => {
          const own = logits!.data.subarray(b * 40, (b + 1) * 40);
          return own.indexOf(Math.max(...own));
        });
        assert.deepEqual(
          generated.map((g) => g.ids[step]),
          best,
          `step ${step}`,
        );
        rows.forEach((row, b) => {
          row.push(best[b]);
        });
      }
    }
  });

  it("captures go to a file, and while tokens are generated", async () => {
    const capture = ["blocks.0.mlp.hook_*", "blocks.0.hook_mlp_out"];
    const path = join(scratch, "captures.safetensors");
    const filed = await model.run(batch, { capture, captureTo: path });
    const kept = await model.run(batch, { capture });
    assert.equal(kept.cache.names.length, 7);
    for (const name of kept.cache.names) assert.deepEqual(filed.cache.get(name), kept.cache.get(name), name);
    filed.cache.close();
    const [row] = await model.generate(model.batch([[7, 9]]), { maxNewTokens: 2, capture, eosTokenIds: [] });
    assert.deepEqual(row.steps[1].get("blocks.0.mlp.hook_expert_indices").shape, [1, 1, 2]);
    assert.deepEqual(row.steps[1].get("blocks.0.mlp.hook_post").shape, [1, 1, 2, 12]);
  });

  it("16-bit experts are read from where they lie: the float32 copy has them where all fit into memory", async () => {
    const folder = join(scratch, "half");
    cpSync(join(fixtures, "normalised"), folder, { recursive: true });
    const source = readSafetensors(join(folder, "model.safetensors"));
    writeFileSync(join(folder, "model.safetensors"), asBfloat16(source));
    const cache = join(scratch, "cache");
    const little = { threads: 1, memory: 20_000 };
    const half = await loadModel(folder, { ...little, cache });
    const rounded: Weights = new Map(
      [...half.engine.checkpoint.weights.keys()].map((n) => [n, half.weight(n)]),
    );
    saveCheckpoint(join(scratch, "rounded"), rawConfig("normalised"), rounded);
    const whole = await loadModel(join(scratch, "rounded"), little);
    const tokens = half.batch([[7, 9, 11]]);
    const { logits } = await whole.run(tokens);
    assert.deepEqual((await half.run(tokens)).logits!.data, logits!.data);
    const roomy = await loadModel(folder, { threads: 1, cache });
    agrees((await roomy.run(tokens)).logits!, logits!, "all experts at once", SAME);
    const stored = (model: Model, name: string): { dtype: string; copied: boolean } => {
      const { dtype, file } = model.engine.checkpoint.weights.get(`model.layers.0.mlp.${name}.weight`)!;
      return { dtype, copied: file.startsWith(cache) };
    };
    assert.deepEqual(stored(half, "experts.3.up_proj"), { dtype: "BF16", copied: false });
    assert.deepEqual(stored(half, "gate"), { dtype: "F32", copied: true });
    assert.deepEqual(stored(roomy, "experts.3.up_proj"), { dtype: "F32", copied: true });
    for (const model of [half, whole, roomy]) await model.close();
  });

  it("training lowers the loss, and what it saves runs sparsely as it was trained densely", async () => {
    const raw: Record<string, unknown> = { ...rawConfig("plain"), initializer_range: 0.2 };
    const weights = initialWeights(raw, 5);
    const trainer = await Trainer.open(raw, { threads: 1, routerAuxLossCoef: 0.01 });
    const data = nextTokens(batch);
    const losses: number[] = [];
    await train(trainer, weights, () => data, {
      steps: 40,
      learningRate: () => 0.02,
      onStep: (_, loss) => losses.push(loss),
    });
    assert.ok(losses[39] < losses[0] / 3, `${losses[0]} → ${losses[39]}`);
    const folder = join(scratch, "trained");
    saveCheckpoint(folder, raw, weights);
    const trained = await loadModel(folder, { threads: 1 });
    const { logits } = await trained.run(batch);
    const { loss, routerAuxLoss } = await trainer.gradients(weights, data);
    const crossEntropy = meanCrossEntropy(logits!, data);
    agreesNumber(crossEntropy + 0.01 * routerAuxLoss!, loss, "loss");
    await trainer.close();
    await trained.close();
  });
});

/** Mean −log p of the counted targets. */
function meanCrossEntropy(
  { data, shape }: Tensor,
  { targets, lossWeights }: { targets: Int32Array; lossWeights: Float32Array },
): number {
  const vocabulary = shape[2];
  let [total, n] = [0, 0];
  lossWeights.forEach((count, t) => {
    if (count === 0) return;
    const row = Array.from(data.subarray(t * vocabulary, (t + 1) * vocabulary));
    total += Math.log(row.reduce((sum, v) => sum + Math.exp(v), 0)) - row[targets[t]];
    n++;
  });
  return total / n;
}

/** A safetensors file of the same tensors in bfloat16, by cutting their bits. */
function asBfloat16(tensors: ReadonlyMap<string, Tensor>): Uint8Array {
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [name, { data, shape }] of tensors) {
    const bits = new Uint32Array(new Float32Array(data).buffer);
    const part = Buffer.from(Uint16Array.from(bits, (b) => b >>> 16).buffer);
    header[name] = { dtype: "BF16", shape, data_offsets: [offset, offset + part.length] };
    offset += part.length;
    parts.push(part);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

describe("experts that cannot be", () => {
  const rejects = async (change: Record<string, unknown>, pattern: RegExp): Promise<void> => {
    const folder = mkdtempSync(join(scratch, "bad-"));
    cpSync(join(fixtures, "normalised"), folder, { recursive: true });
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...rawConfig("normalised"), ...change }));
    await assert.rejects(loadModel(folder), pattern);
  };

  it("more experts for a token than there are", () =>
    rejects({ num_experts_per_tok: 7 }, /7 experts.*There are 6/s));
  it("an activation that is not known", () => rejects({ hidden_act: "swish9" }, /activation "swish9"/));
  it("a number of experts that is none", () =>
    rejects({ num_local_experts: -1 }, /"num_local_experts": -1.*positive integer/s));
  it("more experts than the checkpoint holds", () =>
    rejects({ num_local_experts: 8 }, /mlp\.gate\.weight" has the shape \(6, 16\).*\(8, 16\)/s));
  it("fewer experts than the checkpoint holds, with a router of that size", async () => {
    const folder = mkdtempSync(join(scratch, "bad-"));
    const tensors = readSafetensors(join(fixtures, "normalised", "model.safetensors"));
    const short: Weights = new Map(
      [...tensors].map(([n, t]) =>
        n.endsWith("mlp.gate.weight") ? [n, { shape: [5, 16], data: t.data.slice(0, 80) }] : [n, t],
      ),
    );
    saveCheckpoint(folder, { ...rawConfig("normalised"), num_local_experts: 5 }, short);
    await assert.rejects(loadModel(folder), /holds the weight "model\.layers\.0\.mlp\.experts\.5\./);
  });
  it("experts of another size", () =>
    rejects(
      { moe_intermediate_size: 13 },
      /experts\.0\.gate_proj\.weight" has the shape \(12, 16\).*\(13, 16\)/s,
    ));
  it("joined experts of another size", async () => {
    const folder = stored("normalised", "transposed");
    writeFileSync(
      join(folder, "config.json"),
      JSON.stringify({ ...rawConfig("normalised"), moe_intermediate_size: 13 }),
    );
    await assert.rejects(loadModel(folder), /experts\.gate_up_proj" has the shape \(6, 16, 24\)/);
  });
  it("dense layers that cannot be", () =>
    rejects({ mlp_only_layers: [-1] }, /mlp_only_layers.*whole numbers of zero or more/s));
  it("a dense layer whose weights are experts", () =>
    rejects({ mlp_only_layers: [0, 1] }, /lacks the weight "model\.layers\.0\.mlp\.(gate|up|down)_proj/));

  it("edits, derivatives and captures of what has none", async () => {
    const model = await open("normalised");
    const batch = paddedBatch(model);
    const indices = "blocks.0.mlp.hook_expert_indices";
    await assert.rejects(
      model.run(batch, { edits: { [indices]: edit.fill(1) } }),
      /cannot be edited.*hook_expert_weights/s,
    );
    await assert.rejects(
      gradients(model, batch, [logitDifference(3, 8)], { wrt: [indices] }),
      /no derivative.*hook_router_logits/s,
    );
    await assert.rejects(
      gradients(model, batch, [logitDifference(3, 8)], {
        wrt: ["blocks.0.mlp.hook_post"],
        frozen: ["blocks.0.hook_mlp_out"],
      }),
      /Nothing depends/,
    );
    const everyone = { "blocks.0.mlp.hook_expert_weights": edit.fill(0.1, { positions: [6] }) };
    for (const capture of [indices, "blocks.0.mlp.hook_post"]) {
      await assert.rejects(
        model.run(batch, { edits: everyone, capture: [capture] }),
        /room for 2 experts.*column 6/s,
      );
    }
    const { cache } = await model.run(batch, {
      edits: { "blocks.0.mlp.hook_expert_weights": edit.zero({ positions: [6] }) },
      capture: [indices, "blocks.0.hook_mlp_out"],
    });
    const row = (x: Tensor, t: number): number[] => [
      ...x.data.subarray((t * x.data.length) / 16, ((t + 1) * x.data.length) / 16),
    ];
    assert.deepEqual(row(cache.get(indices), 6), [-1, -1], "no expert");
    assert.ok(row(cache.get("blocks.0.hook_mlp_out"), 6).every((v) => v === 0));
    await model.close();
  });
});

it("a checkpoint says how its experts lie, whichever file it is", async () => {
  for (const [file, layout] of [
    ["model", "separate"],
    ["linear", "linear"],
    ["transposed", "transposed"],
  ]) {
    const checkpoint = openCheckpoint(stored("plain", file));
    const model = await open("plain");
    assert.equal(expertLayout(checkpoint, placeOf(model.engine, 0)), layout);
    checkpoint.close();
    await model.close();
  }
});
