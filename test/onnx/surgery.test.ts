import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { openOnnx } from "../../lib/onnx/index.js";
import { bytesOrigin, fileOrigin } from "../../lib/onnx/source.js";
import { encodeField } from "../../lib/onnx/splice-bytes.js";
import { type Cut, patch, scanOrigin } from "../../lib/onnx/splice-graph.js";
import { statedTypes } from "../../lib/onnx/types.js";
import { fixture, float, floats, modelBytes, node, numbers, onnx, using, weight } from "./fixtures.js";

const work = mkdtempSync(join(tmpdir(), "onnx-surgery-"));
after(() => rmSync(work, { recursive: true }));

function cut(outputs: string[], captured: string[] = [], edited: string[] = []): Cut {
  return { outputs: new Set(outputs), captured: new Set(captured), edited: new Set(edited), fed: new Set() };
}

describe("the patched model", () => {
  it("holds references to its weights, wherever they lie", () => {
    for (const path of [fixture("vision.onnx"), fixture("external", "vision.onnx")]) {
      const scanned = scanOrigin(fileOrigin(path));
      const { bytes } = patch(scanned, statedTypes(scanned), cut(["last_hidden_state"]));
      const { graph } = onnx.ModelProto.decode(bytes);
      const inside = graph?.initializer?.reduce((sum, { rawData }) => sum + (rawData?.length ?? 0), 0) ?? 0;
      const outside = graph?.initializer?.filter(({ dataLocation }) => dataLocation === 1) ?? [];
      assert.ok(
        outside.length > 8 && inside < 16_000,
        `${inside} bytes inside, ${outside.length} weights outside`,
      );
      // 28,000 floats lie in the file; the rest is the graph.
      assert.ok(bytes.length < 50_000, `${bytes.length} bytes`);
      // What a reference names is what the file holds there.
      for (const { externalData, dims } of outside) {
        const entry = Object.fromEntries(externalData!.map(({ key, value }) => [key, value]));
        const file = join(path, "..", entry.location!);
        const values = dims!.reduce((product: number, size) => product * Number(size), 1);
        assert.equal(Number(entry.length), 4 * values);
        assert.ok(Number(entry.offset) + Number(entry.length) <= statSync(file).size);
      }
    }
  });

  it("keeps what a later ONNX says in fields that onnx-proto does not know", async () => {
    const plain = { input: [float("x", 2)], output: [float("y", 2)] };
    const bytes = modelBytes({ ...plain, node: [node("Neg", ["x"], ["a"]), node("Neg", ["a"], ["y"])] });
    const later = Uint8Array.from([...bytes, ...encodeField(14, encodeField(1, "metadata key"))]);
    const scanned = scanOrigin(bytesOrigin(later, undefined));
    const patched = patch(scanned, statedTypes(scanned), cut(["y"], ["a"]));
    assert.ok(Buffer.from(patched.bytes).includes("metadata key"));

    // A function attribute with a default (ONNX 1.13): without it the call would not know its alpha.
    const attribute = onnx.AttributeProto.encode({ name: "alpha", type: 1, f: 0.5 }).finish();
    const leaky = onnx.NodeProto.encode({
      opType: "LeakyRelu",
      input: ["p"],
      output: ["q"],
      attribute: [{ name: "alpha", type: 1, refAttrName: "alpha" }],
    }).finish();
    const body = [
      encodeField(1, "Leaky"),
      encodeField(10, "mine"),
      encodeField(4, "p"),
      encodeField(5, "q"),
      encodeField(7, leaky),
      encodeField(9, onnx.OperatorSetIdProto.encode({ domain: "", version: 17 }).finish()),
      encodeField(11, attribute),
    ];
    const calling = modelBytes(
      { ...plain, node: [node("Leaky", ["x"], ["a"], { domain: "mine" }), node("Neg", ["a"], ["y"])] },
      {
        opsetImport: [
          { domain: "", version: 17 },
          { domain: "mine", version: 1 },
        ],
      },
    );
    const withFunction = Buffer.concat([calling, encodeField(25, Buffer.concat(body))]);
    await using(openOnnx(withFunction, { threads: 1 }), async (model) => {
      const { captures, outputs } = await model.run(
        { x: floats([-4, 6]) },
        { capture: "a", edits: { a: { add: 1 } } },
      );
      assert.deepEqual(numbers(captures.a), [-1, 7]);
      assert.deepEqual(numbers(outputs.y), [1, -7]);
    });
  });

  it("reads a graph that comes in pieces, unsorted, with weights in every form", async () => {
    const part = (graph: object): Uint8Array =>
      encodeField(7, onnx.GraphProto.encode(onnx.GraphProto.create(graph)).finish());
    const head = onnx.ModelProto.encode(
      onnx.ModelProto.fromObject({
        irVersion: 8,
        opsetImport: [{ domain: "", version: 17 }],
        graph: { name: "g" },
      }),
    ).finish();
    const many = new Array(2000).fill(0.5);
    const path = join(work, "pieces.onnx");
    writeFileSync(
      path,
      Buffer.concat([
        head,
        part({ output: [float("y", 2)], node: [node("Add", ["sum", "few"], ["y"])] }),
        part({ input: [float("x", 2)], initializer: [weight("many", many)] }),
        part({
          node: [node("ReduceSum", ["many"], ["total"]), node("Add", ["x", "total"], ["sum"])],
          initializer: [{ name: "few", dims: [2], dataType: 1, floatData: [1, 2] }],
        }),
      ]),
    );
    await using(openOnnx(path, { threads: 1 }), async (model) => {
      const x = floats([1, 2]);
      const { outputs, captures } = await model.run({ x }, { capture: ["sum", "total"] });
      assert.deepEqual(
        [numbers(outputs.y), numbers(captures.sum), numbers(captures.total)],
        [[1002, 1004], [1001, 1002], [1000]],
      );
      const edits = { few: { scale: 2 }, many: { scale: 2 }, sum: { add: -1 } };
      assert.deepEqual(numbers((await model.run({ x }, { edits })).outputs.y), [2002, 2005]);
    });
  });

  it('drops a weight\'s explicit "not external"', async () => {
    // Written out when a tensor was external once; after the reference it would take it back.
    const explicit = { ...weight("w", new Array(2000).fill(1)), dataLocation: 0 };
    const graph = {
      input: [float("x", 2000)],
      node: [node("Mul", ["x", "w"], ["y"])],
      output: [float("y", 2000)],
    };
    const path = join(work, "explicit.onnx");
    const bytes = modelBytes({ ...graph, initializer: [explicit] });
    assert.ok(Buffer.from(bytes).includes(Buffer.of(14 * 8, 0)), "the field is there");
    writeFileSync(path, bytes);
    await using(openOnnx(path, { threads: 1 }), async (model) => {
      const { outputs } = await model.run(
        { x: floats(new Array(2000).fill(3)) },
        { edits: { w: { scale: 2 } } },
      );
      assert.deepEqual(new Set(numbers(outputs.y)), new Set([6]));
    });
  });

  it("finds a subgraph's weights in a side file behind a link", async () => {
    const entry = (key: string, value: string): object => ({ key, value });
    const outside = {
      name: "w",
      dims: [2],
      dataType: 1,
      dataLocation: 1,
      externalData: [entry("location", "w.bin")],
    };
    const branch = (op: string, to: string, initializer: object[]): object => ({
      name: to,
      node: [node(op, ["x", "w"].slice(0, 1 + initializer.length), [to])],
      initializer,
      output: [float(to, 2)],
    });
    const attribute = [
      { name: "then_branch", type: 5, g: branch("Add", "t", [outside]) },
      { name: "else_branch", type: 5, g: branch("Neg", "e", []) },
    ];
    const flag = { name: "flag", type: { tensorType: { elemType: 9, shape: {} } } };
    const blobs = join(work, "blobs");
    mkdirSync(blobs);
    writeFileSync(join(blobs, "b2"), Buffer.from(Float32Array.of(10, 20).buffer));
    const graph = {
      input: [float("x", 2), flag],
      node: [node("If", ["flag"], ["y"], { attribute })],
      output: [float("y", 2)],
    };
    writeFileSync(join(blobs, "a1"), modelBytes(graph));
    symlinkSync(join(blobs, "a1"), join(work, "linked.onnx"));
    symlinkSync(join(blobs, "b2"), join(work, "w.bin"));
    await using(openOnnx(join(work, "linked.onnx"), { threads: 1 }), async (model) => {
      const feeds = { x: floats([1, 2]), flag: { shape: [], data: Uint8Array.of(1) } };
      const { outputs } = await model.run(feeds, { edits: { x: { scale: 3 } } });
      assert.deepEqual(numbers(outputs.y), [13, 26]);
    });
  });

  it("runs on from the file it was opened from, not from a copy", async () => {
    const path = join(work, "moved.onnx");
    cpSync(fixture("vision.onnx"), path);
    await using(openOnnx(path, { threads: 1 }), async (model) => {
      rmSync(path);
      const feeds = { pixel_values: floats(new Array(3072).fill(0), [1, 3, 32, 32]) };
      await assert.rejects(model.run(feeds), /There is no file/);
    });
  });
});
