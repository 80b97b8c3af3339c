import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type OnnxModel, openOnnx } from "../../lib/onnx/index.js";
import {
  deviation,
  filledWith,
  fixture,
  float,
  goldens,
  modelBytes,
  node,
  numbers,
  using,
} from "./fixtures.js";

// The goldens are float64's. PyTorch's own float32 run drifts from them by 7e-6, onnxruntime's by up to 1.1e-5.
const tolerance = 2e-5;

/** The exporter's names of what PyTorch's hooks saw. */
const tensors: Record<string, string> = {
  embeddings: "/embeddings/Add_output_0",
  "layers.0.norm1": "/encoder/layers.0/layer_norm1/LayerNormalization_output_0",
  "layers.0.q_proj": "/encoder/layers.0/self_attn/q_proj/Add_output_0",
  "layers.0.probabilities": "/encoder/layers.0/self_attn/Softmax_output_0",
  "layers.0.fc2": "/encoder/layers.0/mlp/fc2/Add_output_0",
  "layers.0": "/encoder/layers.0/Add_1_output_0",
  "layers.1.norm1": "/encoder/layers.1/layer_norm1/LayerNormalization_output_0",
  "layers.1.q_proj": "/encoder/layers.1/self_attn/q_proj/Add_output_0",
  "layers.1.probabilities": "/encoder/layers.1/self_attn/Softmax_output_0",
  "layers.1.fc2": "/encoder/layers.1/mlp/fc2/Add_output_0",
  "layers.1": "/encoder/layers.1/Add_1_output_0",
};

const golden = goldens("vision.safetensors");
const feeds = { pixel_values: golden.pixel_values };

async function checkAll(model: OnnxModel): Promise<void> {
  const { outputs, captures } = await model.run(feeds, { capture: Object.values(tensors) });
  assert.ok(deviation(outputs.last_hidden_state, golden.plain) < tolerance, "last_hidden_state");
  for (const [name, tensor] of Object.entries(tensors)) {
    const drift = deviation(captures[tensor], golden[name]);
    assert.ok(drift < tolerance, `${name} drifts by ${drift}`);
  }
}

describe("captures of a vision tower exported by PyTorch, against PyTorch's hooks", () => {
  const copy = mkdtempSync(join(tmpdir(), "onnx-"));
  before(() => cpSync(fixture("external"), join(copy, "real"), { recursive: true }));
  after(() => rmSync(copy, { recursive: true }));

  it("from a file with its weights inside", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1 }), checkAll));

  it("from a file with its weights in a side file", () =>
    using(openOnnx(fixture("external", "vision.onnx"), { threads: 1 }), checkAll));

  it("from a link into a folder that holds both, as model caches keep them", () => {
    symlinkSync(join(copy, "real", "vision.onnx"), join(copy, "link.onnx"));
    return using(openOnnx(join(copy, "link.onnx"), { threads: 1 }), checkAll);
  });

  it("from links to files of other names", () => {
    const [blobs, snapshot] = [join(copy, "blobs"), join(copy, "snapshot")];
    cpSync(fixture("external", "vision.onnx"), join(blobs, "a1"));
    cpSync(fixture("external", "weights", "vision.bin"), join(blobs, "b2"));
    mkdirSync(join(snapshot, "weights"), { recursive: true });
    symlinkSync(join(blobs, "a1"), join(snapshot, "vision.onnx"));
    symlinkSync(join(blobs, "b2"), join(snapshot, "weights", "vision.bin"));
    return using(openOnnx(join(snapshot, "vision.onnx"), { threads: 1 }), checkAll);
  });

  it("from bytes, with and without a side file", async () => {
    await using(openOnnx(readFileSync(fixture("vision.onnx")), { threads: 1 }), checkAll);
    const bytes = readFileSync(fixture("external", "vision.onnx"));
    await using(openOnnx(bytes, { threads: 1, folder: fixture("external") }), checkAll);
    await assert.rejects(openOnnx(bytes), /keeps weights in a side file.*no folder/s);
  });

  it("with weights mapped instead of repacked", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1, prepack: false }), checkAll));

  it("each tensor alone is what all of them together are", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1, sessions: 1 }), async (model) => {
      const all = await model.run(feeds, { capture: "**" });
      assert.equal(Object.keys(all.captures).length, model.tensors().length);
      for (const name of [
        "/encoder/layers.1/mlp/activation_fn/Tanh_output_0",
        "/embeddings/Shape_output_0",
      ]) {
        const { outputs, captures } = await model.run(feeds, { capture: name, outputs: [] });
        assert.deepEqual(Object.keys(outputs), []);
        assert.ok(deviation(captures[name], all.captures[name]) < tolerance, name);
      }
      // The runtime fuses GELU's nine nodes into one when nobody looks inside.
      const plain = await model.run(feeds);
      assert.ok(deviation(plain.outputs.last_hidden_state, golden.plain) < tolerance);
      assert.deepEqual(plain.captures, {});
    }));
});

describe("element types", () => {
  const expected = goldens("types.safetensors");
  const { half, small, ...inner } = expected;

  it("come out in arrays that hold them, as the ONNX reference computes", () =>
    using(openOnnx(fixture("types.onnx"), { threads: 1 }), async (model) => {
      assert.deepEqual(
        model.inputs.map(({ name, dtype, shape }) => [name, dtype, shape]),
        [
          ["half", "float16", ["n", 3]],
          ["small", "int8", [3]],
        ],
      );
      const { outputs, captures } = await model.run({ half, small }, { capture: ["doubled", "sum"] });
      assert.deepEqual(Object.keys(outputs), ["out/float64", "out/float16"]);
      assert.equal(deviation(outputs["out/float16"], inner["out/float16"]), 0);
      assert.ok(numbers(outputs["out/float64"]).every((value) => value === -Infinity));
      assert.equal(deviation(captures.doubled, inner.doubled), 0);
      assert.equal(deviation(captures.sum, inner.sum), 0);
      const cast = await model.run({ half, small }, { capture: "as/*", outputs: [] });
      const names = Object.keys(inner).filter((name) => name.startsWith("as/"));
      assert.deepEqual(Object.keys(cast.captures).sort(), names.sort());
      for (const name of names) assert.equal(deviation(cast.captures[name], inner[name]), 0, name);
    }));

  it("strings and sequences are listed with why they cannot be captured", async () => {
    await using(openOnnx(fixture("types.onnx"), { threads: 1 }), async (model) => {
      const [text] = model.tensors("as/string");
      assert.equal(text.capturable, false);
      assert.match(text.why ?? "", /No numeric array holds its type, string/);
      await assert.rejects(
        model.run({ half, small }, { capture: "as/string" }),
        /"as\/string" cannot be captured/,
      );
      await assert.rejects(model.run({ half, small }, { outputs: ["as/string"] }), /cannot be fetched/);
    });
    await using(openOnnx(fixture("iris.onnx"), { threads: 1 }), async (model) => {
      const [bags] = model.tensors("probabilities");
      assert.match(bags.why ?? "", /It is a sequence, not a tensor/);
      const { outputs } = await model.run({ float_input: filledWith([3, 2], 1) });
      assert.deepEqual(Object.keys(outputs), ["label"]);
    });
  });

  it("bfloat16, which the runtime cannot name, is widened where the file states it", async () => {
    const to = (type: number): object => ({ attribute: [{ name: "to", type: 2, i: type }] });
    const bytes = modelBytes({
      input: [float("x", 2)],
      node: [node("Cast", ["x"], ["narrow"], to(16)), node("Cast", ["narrow"], ["y"], to(1))],
      output: [float("y", 2)],
      valueInfo: [{ name: "narrow", type: { tensorType: { elemType: 16 } } }],
    });
    await using(openOnnx(bytes, { threads: 1 }), async (model) => {
      const x = { shape: [2], data: Float32Array.of(1.00390625, -3) }; // 1 + 2^-8: half of a bfloat16 step
      const { captures } = await model.run({ x }, { capture: "narrow" });
      assert.deepEqual(numbers(captures.narrow), [1, -3]);
    });
  });
});
