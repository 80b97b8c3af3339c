import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  readTranscoders,
  reconstruct,
  type SparseFeatures,
  type TranscoderSet,
  toDense,
  writeTranscoders,
} from "../../lib/circuits/index.js";
import { loadModel, readSafetensors, type Tensor, writeSafetensors } from "../../lib/index.js";
import { readSafetensorsHeader } from "../../lib/model/checkpoint/index.js";
import { packageRoot } from "../../lib/package-root.js";
import { at0 } from "../../lib/tensor.js";

const fixtures = join(packageRoot(), "test/fixtures/transcoders");
const scratch = mkdtempSync(join(tmpdir(), "modalscope-transcoders-"));
after(() => rmSync(scratch, { recursive: true }));

const FOLDERS = [
  "relu",
  "relu-bfloat16",
  "jumprelu-skip",
  "topk",
  "cross-relu",
  "cross-jumprelu",
  "gemma-scope",
  "gemma-scope-2",
  "gemma-scope-2-cross",
];

interface Computed {
  readonly features: Tensor;
  readonly output: Tensor;
}

/**
 * Features (layers, tokens, features) and outputs (layers, tokens, width) of inputs (layers, tokens, width).
 */
async function compute(set: TranscoderSet, x: Tensor): Promise<Computed> {
  const inputs = set.layers.map(({ layer }) => at0(x, layer));
  const features: SparseFeatures[] = [];
  for (const layer of set.layers) features.push(await layer.encode(inputs[layer.layer]));
  const output = set.layers.map(({ layer }) => reconstruct(set, layer, { features, inputs }));
  return { features: stacked(features.map(toDense)), output: stacked(output) };
}

function stacked(parts: readonly Tensor[]): Tensor {
  const data = new Float32Array(parts.length * parts[0].data.length);
  parts.forEach((part, i) => {
    data.set(part.data, i * part.data.length);
  });
  return { data, shape: [parts.length, ...parts[0].shape] };
}

function assertClose(got: Tensor, wanted: Tensor, tolerance: number): void {
  assert.deepEqual(got.shape, wanted.shape);
  const worst = got.data.reduce((most, x, i) => Math.max(most, Math.abs(x - wanted.data[i])), 0);
  assert.ok(worst <= tolerance, `max |difference| ${worst}`);
}

describe("transcoders from circuit-tracer's files", () => {
  for (const folder of FOLDERS) {
    it(`${folder}: features and outputs are those that circuit-tracer computes`, async () => {
      const set = readTranscoders(join(fixtures, folder));
      const golden = readSafetensors(join(fixtures, folder, "golden.safetensors"));
      const { features, output } = await compute(set, golden.get("x")!);
      assertClose(features, golden.get("features")!, 1e-5);
      assertClose(output, golden.get("output")!, 1e-5);
      set.close();
    });

    it(`${folder}: what is written computes the same when it is read again`, async () => {
      const set = readTranscoders(join(fixtures, folder));
      const copy = join(scratch, folder);
      writeTranscoders(copy, set);
      const again = readTranscoders(copy);
      const x = readSafetensors(join(fixtures, folder, "golden.safetensors")).get("x")!;
      assert.deepEqual(await compute(again, x), await compute(set, x));
      assert.deepEqual(again.layers[0].activation, set.layers[0].activation);
      set.close();
      again.close();
    });
  }

  it("written in bfloat16, they are to the bit what circuit-tracer writes in it", () => {
    const set = readTranscoders(join(fixtures, "relu"));
    const folder = join(scratch, "rounded");
    writeTranscoders(folder, set, { dtype: "bfloat16" });
    set.close();
    for (const { layer } of set.layers) {
      const [own, theirs] = [folder, join(fixtures, "relu-bfloat16")].map((f) => {
        const path = join(f, `layer_${layer}.safetensors`);
        assert.ok([...readSafetensorsHeader(path).tensors.values()].every(({ dtype }) => dtype === "BF16"));
        return readSafetensors(path);
      });
      assert.deepEqual(own, theirs);
    }
    assert.throws(
      () => writeTranscoders(folder, set, { dtype: "float16" as never }),
      /dtype.*"float32" or "bfloat16"/s,
    );
  });

  it("a row of a decoder is the same whether the whole is held or only that row is read", () => {
    const set = readTranscoders(join(fixtures, "cross-relu"));
    const whole = readSafetensors(join(fixtures, "cross-relu/W_dec_0.safetensors")).get("W_dec_0")!;
    const [, targets, width] = whole.shape;
    const rows = set.layers[0].decoderRows([7, 8, 3], 2);
    assert.deepEqual(rows.shape, [3, width]);
    [7, 8, 3].forEach((feature, i) => {
      const at = (feature * targets + 2) * width;
      assert.deepEqual(rows.data.slice(i * width, (i + 1) * width), whole.data.slice(at, at + width));
    });
    assert.throws(() => set.layers[1].decoderRows([0], 0), /Features of layer 1 do not write to layer 0/);
    assert.throws(() => set.layers[0].decoderRows([20]), /Layer 0 has no feature 20/);
    set.close();
  });
});

describe("a set that is too large to hold", () => {
  it("is encoded in parts, and gives single rows of its decoder, from the file", async () => {
    const [features, width] = [70_000, 64];
    const folder = mkdtempSync(join(scratch, "large-"));
    // Feature f reads element 0 with the weight f mod 1009, and writes f to each element.
    const encoder = new Float32Array(features * width);
    const decoder = new Float32Array(features * width);
    for (let f = 0; f < features; f++) {
      encoder[f * width] = f % 1009;
      decoder.fill(f, f * width, (f + 1) * width);
    }
    const shape = [features, width];
    writeSafetensors(join(folder, "layer_0.safetensors"), {
      W_enc: { data: encoder, shape },
      W_dec: { data: decoder, shape },
      b_enc: { data: new Float32Array(features), shape: [features] },
      b_dec: { data: new Float32Array(width), shape: [width] },
    });
    cpSync(join(fixtures, "topk/config.yaml"), join(folder, "config.yaml"));
    const set = readTranscoders(folder);
    const x = new Float32Array(width);
    x[0] = 1;
    const { ids, values } = await set.layers[0].encode({ data: x, shape: [1, width] });
    // Of the 69 features with the largest weight, 1008, those of the lowest numbers.
    assert.deepEqual([...ids], [1008, 2017, 3026, 4035]);
    assert.deepEqual([...values], [1008, 1008, 1008, 1008]);
    const rows = set.layers[0].decoderRows([69_999, 3, 4, 0]).data;
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => rows[i * width + 63]),
      [69_999, 3, 4, 0],
    );
    set.close();
    assert.throws(() => set.layers[0].decoderRows([1]), /was closed/);
  });
});

/** A changed copy of a fixture; `change` is given its folder. */
function spoiled(folder: string, change: (folder: string) => unknown): string {
  const copy = mkdtempSync(join(scratch, "bad-"));
  cpSync(join(fixtures, folder), copy, { recursive: true });
  change(copy);
  return copy;
}

const config =
  (from: string | RegExp, to: string) =>
  (folder: string): void => {
    const path = join(folder, "config.yaml");
    const text = readFileSync(path, "utf8");
    assert.notEqual(text.replace(from, to), text);
    writeFileSync(path, text.replace(from, to));
  };

const replaceTensor =
  (file: string, name: string, change: (x: Tensor) => Tensor) =>
  (folder: string): void => {
    const tensors = readSafetensors(join(folder, file));
    tensors.set(name, change(tensors.get(name)!));
    writeSafetensors(join(folder, file), Object.fromEntries(tensors));
  };

const half = (x: Tensor): Tensor => ({
  data: x.data.slice(x.data.length / 2),
  shape: [x.shape[0] / 2, ...x.shape.slice(1)],
});

/** A change that puts a value among the others. */
const withOne =
  (odd: number) =>
  ({ data, shape }: Tensor): Tensor => ({ data: data.map((value, i) => (i === 3 ? odd : value)), shape });
const withNaN = withOne(Number.NaN);

describe("the k of TopK", () => {
  const activationOf = (change: (folder: string) => void): unknown => {
    const set = readTranscoders(spoiled("topk", change));
    set.close();
    return set.layers[0].activation;
  };

  it("is taken under each of its names, with the ReLU before it that the name's own loader has", () => {
    assert.deepEqual(activationOf(config("activation: topk\n", "")), { kind: "topk", k: 4, signed: true });
    assert.deepEqual(activationOf(config("k: 4", "top_k: 4")), { kind: "topk", k: 4, signed: false });
    assert.deepEqual(activationOf(config("k: 4", "k: 4\nrelu_before_topk: true")), {
      kind: "topk",
      k: 4,
      signed: false,
    });
  });

  it("keeps the k largest of a token, and says what the next was", async () => {
    const set = readTranscoders(spoiled("topk", config("k: 4", "top_k: 4")));
    const x = readSafetensors(join(fixtures, "topk/golden.safetensors")).get("x")!;
    const all = readTranscoders(join(fixtures, "relu"));
    const [kept, pre] = [set.layers[0], all.layers[0]];
    const ids = Array.from({ length: kept.features }, (_, i) => i);
    const { data: w } = kept.encoderRows(ids);
    const bias = kept.encoderBias(ids);
    const got = await kept.encode(at0(x, 0));
    for (let t = 0; t < 5; t++) {
      const scores = ids.map((f) => {
        let sum = bias[f];
        for (let j = 0; j < 6; j++) sum += w[f * 6 + j] * x.data[t * 6 + j];
        return Math.max(0, sum);
      });
      const order = [...ids].sort((a, b) => scores[b] - scores[a]);
      const own = [...got.ids.slice(got.offsets[t], got.offsets[t + 1])];
      assert.deepEqual(
        own,
        order.slice(0, 4).sort((a, b) => a - b),
      );
      assert.ok(Math.abs(got.leftOut[t] - scores[order[4]]) < 1e-6);
    }
    assert.equal(pre.activation.kind, "relu");
    set.close();
    all.close();
  });
});

describe("transcoders that are refused", () => {
  const cases: readonly [
    what: string,
    folder: string,
    change: (folder: string) => unknown,
    message: RegExp,
  ][] = [
    ["no config", "relu", (f) => rmSync(join(f, "config.yaml")), /cannot be read. There is no such file/],
    ["another kind", "relu", config("transcoder_set", "crosscoder"), /model_kind is "crosscoder"/],
    ["an activation of no kind", "topk", config("topk", "softmax"), /unknown activation "softmax"/],
    ["TopK without k", "topk", config("k: 4\n", ""), /TopK needs its k/],
    ["a k of no size", "topk", config("k: 4", "k: 0"), /TopK needs its k/],
    ["more than there is", "topk", config("k: 4", "k: 21"), /TopK keeps 21 of its features, and it has 20/],
    ["YAML that is none", "relu", config("scan", "[scan"), /is not YAML|it is not YAML/],
    ["a missing layer", "relu", (f) => rmSync(join(f, "layer_1.safetensors")), /lacks layer 1/],
    [
      "a cut-off file",
      "relu",
      (f) => truncateSync(join(f, "layer_1.safetensors"), 900),
      /not a sound safetensors/,
    ],
    [
      "a cut-off .npz",
      "gemma-scope",
      (f) => truncateSync(join(f, "layer_1/params.npz"), 900),
      /not a sound .npz/,
    ],
    [
      "a listed file that is not there",
      "gemma-scope",
      (f) => rmSync(join(f, "layer_1"), { recursive: true }),
      /Download it/,
    ],
    [
      "a decoder of fewer features",
      "relu",
      replaceTensor("layer_2.safetensors", "W_dec", half),
      /W_dec has the shape \(10, 6\), and beside the other tensors it must be \(20, 6\)/,
    ],
    [
      "a decoder of another layer",
      "cross-relu",
      (f) => {
        const tensors = readSafetensors(join(f, "W_dec_1.safetensors"));
        writeSafetensors(join(f, "W_dec_0.safetensors"), { W_dec_0: tensors.get("W_dec_1")! });
      },
      /W_dec_0 has the shape \(20, 2, 6\)/,
    ],
    [
      "a bias that is no number",
      "relu",
      replaceTensor("layer_2.safetensors", "b_enc", withNaN),
      /b_enc.*NaN/,
    ],
    [
      "a bias that is infinite",
      "relu",
      replaceTensor("layer_2.safetensors", "b_dec", withOne(-Infinity)),
      /b_dec has values that are no finite numbers \(-Infinity\)/,
    ],
    [
      "thresholds beside ReLU",
      "jumprelu-skip",
      config("model_kind", "activation: relu\nmodel_kind"),
      /the config says relu/,
    ],
  ];
  for (const [what, folder, change, message] of cases)
    it(what, () => assert.throws(() => readTranscoders(spoiled(folder, change)), message));

  it("an encoder with a value that is no number, when it is first read", async () => {
    const set = readTranscoders(spoiled("relu", replaceTensor("layer_1.safetensors", "W_enc", withNaN)));
    const x = at0(readSafetensors(join(fixtures, "relu/golden.safetensors")).get("x")!, 0);
    await set.layers[0].encode(x);
    await assert.rejects(
      set.layers[1].encode(x),
      /layer_1.safetensors holds no sound.*W_enc has values.*NaN/s,
    );
    assert.throws(() => set.layers[1].encoderRows([0]), /W_enc has values/);
    set.close();
  });

  it("a decoder with an infinite value, when it is first read", () => {
    const change = replaceTensor("layer_1.safetensors", "W_dec", withOne(Infinity));
    const set = readTranscoders(spoiled("relu", change));
    assert.equal(set.layers[0].decoderRows([0]).data.length, set.layers[0].width);
    assert.throws(() => set.layers[1].decoderRows([5]), /layer_1.*W_dec has values.*\(Infinity\)/s);
    set.close();
  });

  it("not an infinite threshold: it switches a feature off", () => {
    const name = "activation_function.threshold";
    const set = readTranscoders(
      spoiled("jumprelu-skip", replaceTensor("layer_1.safetensors", name, withOne(Infinity))),
    );
    const { activation } = set.layers[1];
    assert.equal(activation.kind === "jumprelu" && activation.threshold[3], Infinity);
    set.close();
  });

  it("those of another model, before anything is computed", async () => {
    const model = await loadModel("tiny-gemma3", { threads: 1 });
    const open = (change: (folder: string) => void): void => {
      readTranscoders(spoiled("relu", change), { model }).close();
    };
    assert.throws(() => open(() => {}), /They have 3 layers, and the model 12/);
    await model.close();
  });
});
