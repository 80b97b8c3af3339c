import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type OnnxEdit, type OnnxModel, openOnnx } from "../../lib/onnx/index.js";
import type { Tensor } from "../../lib/tensor.js";
import {
  deviation,
  filledWith,
  fixture,
  float,
  floats,
  goldens,
  modelBytes,
  node,
  numbers,
  using,
  weight,
} from "./fixtures.js";

// As for the captures: float32 against float64.
const tolerance = 2e-5;
const golden = goldens("vision.safetensors");
const feeds = { pixel_values: golden.pixel_values };
const mlp = "/encoder/layers.0/mlp/fc2/Add_output_0";
const softmax = "/encoder/layers.1/self_attn/Softmax_output_0";
const embeddings = "/embeddings/Add_output_0";

/** `{ scale, add }` that puts `values` in the place of patch 3, and leaves the other fifteen. */
function onePatch(values: Tensor): OnnxEdit {
  const scale = filledWith([16, 1], 1);
  scale.data[3] = 0;
  const add = filledWith([1, 16, 32], 0);
  add.data.set(values.data, 3 * 32);
  return { scale, add };
}

const addend = golden.addend as Tensor;
const patch = onePatch(golden.patch as Tensor);

const edits: Record<string, Record<string, OnnxEdit>> = {
  scaled: { [mlp]: { scale: -0.5 } },
  zeroed: { [mlp]: { scale: 0 } },
  added: { [mlp]: { add: addend } },
  uniform: { [softmax]: { replace: 1 / 16 } },
  patch: { [embeddings]: patch },
  both: { [embeddings]: patch, "**/layers.0/mlp/fc2/Add_output_0": { scale: 2, add: addend } },
  input: { pixel_values: { scale: 0.25, add: 0.5 } },
  weight: { "encoder.layers.0.layer_norm1.weight": { scale: 0.5 } },
};

async function checkEdits(model: OnnxModel): Promise<void> {
  for (const [name, edit] of Object.entries(edits)) {
    const { outputs } = await model.run(feeds, { edits: edit });
    const drift = deviation(outputs.last_hidden_state, golden[`edit.${name}`]);
    assert.ok(drift < tolerance, `${name} drifts by ${drift}`);
    const effect = deviation(outputs.last_hidden_state, golden.plain);
    assert.ok(effect > 0.01, `${name} changes the output by ${effect} only: the golden shows nothing`);
  }
}

describe("edits of a vision tower, against the same edits by PyTorch's hooks", () => {
  it("of inner tensors, inputs and weights", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1 }), checkEdits));

  it("with the weights in a side file", () =>
    using(openOnnx(fixture("external", "vision.onnx"), { threads: 1 }), checkEdits));

  it("all in one prepared session", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1, sessions: 1 }), async (model) => {
      const names = [mlp, embeddings, softmax, "pixel_values", "encoder.layers.0.layer_norm1.weight"];
      await model.prepare({
        capture: mlp,
        edits: Object.fromEntries(names.map((name) => [name, { scale: 1 }])),
      });
      await checkEdits(model);
      const plain = await model.run(feeds, { capture: mlp });
      assert.ok(deviation(plain.outputs.last_hidden_state, golden.plain) < tolerance);
      assert.ok(deviation(plain.captures[mlp], golden["layers.0.fc2"]) < tolerance);
    }));

  it("a captured tensor that is edited comes out edited", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1 }), async (model) => {
      const { captures } = await model.run(feeds, { capture: mlp, edits: { [mlp]: { add: addend } } });
      const expected = numbers(golden["layers.0.fc2"]).map((x, i) => x + addend.data[i % 32]);
      assert.ok(deviation(captures[mlp], floats(expected, [2, 16, 32])) < tolerance);
    }));
});

describe("edits by hand", () => {
  /** y = log(x)·w + b, with x = 0 and −1 among the values: −∞ and NaN. */
  const bytes = modelBytes({
    input: [float("x", "n")],
    initializer: [weight("w", [2], [1]), weight("b", [10], [1])],
    node: [
      node("Log", ["x"], ["log"], { name: "log" }),
      node("Mul", ["log", "w"], ["product"]),
      node("Add", ["product", "b"], ["y"]),
    ],
    output: [float("y", "n")],
  });
  const x = floats([1, 0, -1]);

  it("x·0 is 0 where x is infinite or not a number", () =>
    using(openOnnx(bytes, { threads: 1 }), async (model) => {
      const zeroed = await model.run({ x }, { edits: { log: { scale: 0 } } });
      assert.deepEqual(numbers(zeroed.outputs.y), [10, 10, 10]);
      const replaced = await model.run({ x }, { edits: { log: { replace: 3 } } });
      assert.deepEqual(numbers(replaced.outputs.y), [16, 16, 16]);
      const part = { scale: floats([1, 0, 0]), add: floats([5, 6, 7]) };
      assert.deepEqual(numbers((await model.run({ x }, { edits: { log: part } })).outputs.y), [20, 22, 24]);
      const plain = await model.run({ x });
      assert.deepEqual(numbers(plain.outputs.y), [10, -Infinity, NaN]);
    }));

  it("an output, a weight and an input", () =>
    using(openOnnx(bytes, { threads: 1 }), async (model) => {
      const y = await model.run({ x: floats([1, Math.E]) }, { edits: { y: { scale: 2, add: 1 } } });
      assert.deepEqual(numbers(y.outputs.y), [21, 25]);
      const w = await model.run(
        { x: floats([1, Math.E]) },
        { edits: { w: { replace: 7 }, x: { replace: 1 } } },
      );
      assert.deepEqual(numbers(w.outputs.y), [10, 10]);
    }));

  it("reach what subgraphs take from around them", () =>
    using(openOnnx(fixture("control.onnx"), { threads: 1 }), async (model) => {
      const control = {
        x: floats([1, 2, 3, 4]),
        flag: { shape: [], data: Uint8Array.of(1) },
        rows: floats([1, 1, 1, 1, 2, 2, 2, 2], [2, 4]),
      };
      // hidden = h; If gives h², Loop 4h, Scan 4h + 1 + 2, the function twice that: y = h² + 8h + 6.
      const y = (h: number): number => h * h + 8 * h + 6;
      const plain = await model.run(control, { capture: ["hidden", "looped"] });
      const hidden = [1.5, 1, 3, 6];
      assert.deepEqual(numbers(plain.captures.hidden), hidden);
      assert.deepEqual(
        numbers(plain.captures.looped),
        hidden.map((h) => 4 * h),
      );
      assert.deepEqual(numbers(plain.outputs.y), hidden.map(y));
      const edited = await model.run(control, { edits: { hidden: { scale: 2, add: -1 } } });
      assert.deepEqual(
        numbers(edited.outputs.y),
        hidden.map((h) => y(2 * h - 1)),
      );
      const looped = await model.run(control, { edits: { looped: { scale: 0 } } });
      assert.deepEqual(
        numbers(looped.outputs.y),
        hidden.map((h) => h * h + 6),
      );
    }));

  it("float16 is edited in float32, float64 in float64", () =>
    using(openOnnx(fixture("types.onnx"), { threads: 1 }), async (model) => {
      const types = {
        half: floats([1, 2, 3, 4, 5, 6], [2, 3]),
        small: { shape: [3], data: Int32Array.of(0, 0, 0) },
      };
      const run = await model.run(types, {
        capture: ["as/float64", "doubled"],
        edits: { half: { add: 1 }, doubled: { scale: 2 }, "as/float64": { add: 1e-12 } },
      });
      const doubled = [8, 12, 16, 20, 24, 28];
      assert.deepEqual(numbers(run.captures.doubled), doubled);
      assert.deepEqual(
        numbers(run.captures["as/float64"]),
        doubled.map((d) => d + 1e-12),
      );
    }));

  it("opset 8, which has no Where, is edited too; opset 6 is not", async () => {
    const old = (version: number): Uint8Array =>
      modelBytes(
        {
          input: [float("x", 2)],
          node: [node("Neg", ["x"], ["n"]), node("Exp", ["n"], ["y"])],
          output: [float("y", 2)],
        },
        { irVersion: 3, opsetImport: [{ domain: "", version }] },
      );
    await using(openOnnx(old(8), { threads: 1 }), async (model) => {
      const { outputs } = await model.run({ x: floats([1, 2]) }, { edits: { n: { scale: 0 } } });
      assert.deepEqual(numbers(outputs.y), [1, 1]);
    });
    await using(openOnnx(old(6), { threads: 1 }), async (model) => {
      await assert.rejects(
        model.run({ x: floats([1, 2]) }, { edits: { n: { scale: 0 } } }),
        /too old to be edited/,
      );
    });
  });

  it("names that the surgery would take for its own are left alone", async () => {
    const taken = modelBytes({
      input: [float("x", 2)],
      node: [
        node("Neg", ["x"], ["a"]),
        node("Add", ["a", "x"], ["modalscope/unedited/a"]),
        node("Add", ["a", "modalscope/unedited/a"], ["y"]),
      ],
      output: [float("y", 2)],
    });
    await using(openOnnx(taken, { threads: 1 }), async (model) => {
      const { outputs } = await model.run({ x: floats([1, 2]) }, { edits: { a: { replace: 5 } } });
      assert.deepEqual(numbers(outputs.y), [11, 12]);
    });
  });
});

describe("what cannot be edited says why", () => {
  const refused: [string, Record<string, unknown>, RegExp][] = [
    [
      "a misspelt tensor",
      { "/encoder/layers.0/mlp/fc2/Ad_output_0": { scale: 0 } },
      /Did you mean ".*fc2\/Add_output_0"/,
    ],
    ["an integer tensor", { "/embeddings/Shape_output_0": { scale: 0 } }, /Edits compute with floats.*int64/],
    ["an empty edit", { [mlp]: {} }, /is empty/],
    ["a misspelt key", { [mlp]: { factor: 2 } }, /has "factor"/],
    ["replace with scale", { [mlp]: { replace: 1, scale: 2 } }, /both replace and scale/],
    [
      "values that are no floats",
      { [mlp]: { add: { shape: [1], data: Int32Array.of(1) } } },
      /neither a number nor a float/,
    ],
    [
      "values that do not fill their shape",
      { [mlp]: { add: { shape: [3], data: Float32Array.of(1) } } },
      /1 values for the shape \(3\)/,
    ],
    [
      "a shape that does not broadcast",
      { [mlp]: { add: filledWith([31], 0) } },
      /shape \(31\).*The tensor has/,
    ],
    ["a shape of a higher rank", { [mlp]: { add: filledWith([1, 1, 1, 32], 0) } }, /shape \(1, 1, 1, 32\)/],
    ["two edits of one tensor", { [mlp]: { scale: 1 }, "**/fc2/Add_output_0": { scale: 2 } }, /edited twice/],
  ];
  it("in a vision tower", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1 }), async (model) => {
      for (const [what, edit, message] of refused) {
        const run = model.run(feeds, { edits: edit as Record<string, OnnxEdit> });
        await assert.rejects(run, { name: "ModalscopeError", message }, what);
      }
    }));

  it("a shape that only the run knows not to fit", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1 }), async (model) => {
      // The batch is open in the file; the feeds have 2.
      const three = filledWith([3, 1, 1], 0);
      await assert.rejects(
        model.run(feeds, { edits: { [mlp]: { add: three } } }),
        /edit of ".*fc2.*" does not fit/,
      );
      const one = { pixel_values: { shape: [1, 3, 32, 32], data: golden.pixel_values.data.slice(0, 3072) } };
      await assert.rejects(model.run(one, { edits: { [mlp]: { add: three } } }), /enlarged it/);
    }));

  it("a tensor inside of a subgraph", () =>
    using(openOnnx(fixture("control.onnx"), { threads: 1 }), async (model) => {
      await assert.rejects(
        model.run({}, { edits: { sum_out: { scale: 0 } } }),
        /inside of a subgraph \(\/loop\/body/,
      );
    }));
});
