import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openOnnx } from "../../lib/onnx/index.js";
import { fixture, float, floats, modelBytes, node, using, weight } from "./fixtures.js";

describe("a vision tower's list", () => {
  it("has each tensor's operator, node, type and shape, inferred where the file states none", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1 }), async (model) => {
      assert.deepEqual([model.producer, model.opset], ["pytorch", 17]);
      assert.deepEqual(model.inputs, [
        { name: "pixel_values", dtype: "float32", shape: ["batch", 3, 32, 32], optional: false },
      ]);
      assert.deepEqual(
        model.outputs.map(({ name, dtype }) => [name, dtype]),
        [["last_hidden_state", "float32"]],
      );
      const [conv] = model.tensors("/embeddings/patch_embedding/Conv_output_0");
      assert.deepEqual(conv, {
        name: "/embeddings/patch_embedding/Conv_output_0",
        op: "Conv",
        node: "/embeddings/patch_embedding/Conv",
        from: [
          "/embeddings/Cast_output_0",
          "embeddings.patch_embedding.weight",
          "embeddings.patch_embedding.bias",
        ],
        dtype: "float32",
        shape: ["batch", 32, 4, 4],
        capturable: true,
        editable: true,
        why: undefined,
      });
      const [shape] = model.tensors("/embeddings/Shape_output_0");
      assert.deepEqual([shape.dtype, shape.shape, shape.editable], ["int64", [4], false]);
      const position = model.weights.find(({ name }) => name === "embeddings.position_embedding.weight");
      assert.deepEqual(position, {
        name: "embeddings.position_embedding.weight",
        dtype: "float32",
        shape: [16, 32],
      });
      // Constants are weights.
      assert.ok(model.tensors().every(({ op }) => op !== "Constant"));
      assert.ok(model.weights.some(({ name }) => name === "/embeddings/Constant_output_0"));
    }));

  it("is picked from by name, glob and regular expression", () =>
    using(openOnnx(fixture("vision.onnx"), { threads: 1 }), async (model) => {
      const names = (pattern: string | RegExp): string[] => model.tensors(pattern).map(({ name }) => name);
      const softmax = [0, 1].map((i) => `/encoder/layers.${i}/self_attn/Softmax_output_0`);
      assert.deepEqual(names("**/Softmax_output_0"), softmax);
      assert.deepEqual(names("/encoder/*/self_attn/Softmax*"), softmax);
      assert.deepEqual(names("/encoder/layers.?/**/Softmax_output_?"), softmax);
      assert.deepEqual(names(/layers\.1.*Softmax/g), softmax.slice(1));
      // "*" stays in its folder, and a dot is a dot.
      assert.deepEqual(names("/encoder/*/Add_output_0").length, 2);
      assert.throws(
        () => names("/encoder/layersx0/self_attn/Softmax_output_0"),
        /Did you mean "\/encoder\/layers.0\/self_attn\/Softmax_output_0"/,
      );
      assert.throws(() => names("*Softmax*"), /No tensor is called "\*Softmax\*"/);
    }));

  it("without inference has what the file states, and says what is not known", () =>
    using(openOnnx(fixture("vision.onnx"), { infer: false }), async (model) => {
      const [output] = model.tensors("last_hidden_state");
      assert.equal(output.dtype, "float32");
      const [inner] = model.tensors("/embeddings/Add_output_0");
      assert.deepEqual([inner.dtype, inner.capturable], [undefined, false]);
      assert.match(inner.why ?? "", /type is not known/);
    }));
});

describe("subgraphs and functions", () => {
  it("are listed with why their tensors cannot be captured; the main graph's can", () =>
    using(openOnnx(fixture("control.onnx"), { threads: 1 }), async (model) => {
      const main = model.tensors().filter(({ capturable }) => capturable);
      const mainNames = ["hidden", "branch", "looped", "scanned", "scanned_rows", "doubled", "y"];
      assert.deepEqual(
        main.map(({ name }) => name),
        mainNames,
      );
      const hidden = model.tensors().filter(({ capturable }) => !capturable);
      const hiddenNames = ["inner", "inner2", "sum_out", "go_out", "total", "row_out", "a2", "b"];
      assert.deepEqual(hidden.map(({ name }) => name).sort(), hiddenNames.sort());
      const why = Object.fromEntries(hidden.map((tensor) => [tensor.name, tensor.why]));
      assert.match(why.inner ?? "", /subgraph \(\/choose\/then_branch of the If node\)/);
      assert.match(why.sum_out ?? "", /subgraph \(\/loop\/body of the Loop node\)/);
      assert.match(why.a2 ?? "", /function "local.Twice"/);
      const x = { x: floats([1, 1, 1, 1]) };
      await assert.rejects(
        model.run(x, { capture: "inner" }),
        /"inner" cannot be captured\. It is inside of a subgraph/,
      );
    }));
});

describe("inputs", () => {
  const bytes = modelBytes({
    input: [float("x", "n", 2), float("gain", 2)],
    initializer: [weight("gain", [3, 4])],
    node: [node("Mul", ["x", "gain"], ["y"])],
    output: [float("y", "n", 2)],
  });

  it("with a value of their own need not be fed", () =>
    using(openOnnx(bytes, { threads: 1 }), async (model) => {
      assert.deepEqual(
        model.inputs.map(({ name, optional }) => [name, optional]),
        [
          ["x", false],
          ["gain", true],
        ],
      );
      const x = floats([1, 1], [1, 2]);
      assert.deepEqual([...(await model.run({ x })).outputs.y.data], [3, 4]);
      assert.deepEqual([...(await model.run({ x, gain: floats([5, 6]) })).outputs.y.data], [5, 6]);
      const edited = await model.run({ x, gain: floats([5, 6]) }, { edits: { gain: { scale: 2 } } });
      assert.deepEqual([...edited.outputs.y.data], [10, 12]);
    }));

  it("that do not fit are refused", () =>
    using(openOnnx(bytes, { threads: 1 }), async (model) => {
      const x = floats([1, 1], [1, 2]);
      await assert.rejects(model.run({}), /input "x" is missing\. The model takes float32 \(n, 2\)/);
      await assert.rejects(model.run({ x, gian: x }), /no input "gian"\. Did you mean "gain"/);
      await assert.rejects(
        model.run({ x: floats([1, 1]) }),
        /"x" has the shape \(2\)\. The model takes \(n, 2\)/,
      );
      await assert.rejects(
        model.run({ x: { shape: [1, 2], data: Float32Array.of(1) } }),
        /1 values for the shape/,
      );
      await assert.rejects(
        model.run({ x: { shape: [1, 2], data: Int32Array.of(1, 2) } }),
        /with a Float32Array.*given Int32Array/,
      );
      await assert.rejects(model.run({ x }, { outputs: [] }), /Nothing is asked for/);
      await assert.rejects(model.run({ x }, { outputs: ["z"] }), /no output "z"/);
    }));
});

describe("calls", () => {
  it("stop at a signal, report their progress, and end with the model", async () => {
    const model = await openOnnx(fixture("control.onnx"), { threads: 1 });
    const feeds = {
      x: floats([1, 2, 3, 4]),
      flag: { shape: [], data: Uint8Array.of(0) },
      rows: floats(new Array(8).fill(1), [2, 4]),
    };
    const steps: string[] = [];
    await model.run(feeds, { onProgress: (done, total, label) => steps.push(`${done}/${total} ${label}`) });
    assert.deepEqual(steps, ["0/2 opening a session", "1/2 running", "2/2 done"]);
    const stop = new AbortController();
    const stopped = model.run(feeds, {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    await assert.rejects(stopped, /enough/);
    // Calls at the same time wait for each other, one session or more.
    const [a, b] = await Promise.all([model.run(feeds, { capture: "hidden" }), model.run(feeds)]);
    assert.deepEqual(a.outputs.y.data, b.outputs.y.data);
    const some = await model.run(feeds, { outputs: ["scanned_rows"] });
    assert.deepEqual(Object.keys(some.outputs), ["scanned_rows"]);
    const all = await model.run(feeds);
    assert.deepEqual(all.outputs, b.outputs);
    await model.close();
    await assert.rejects(model.run(feeds), /is closed/);
  });
});
