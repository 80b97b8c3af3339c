import assert from "node:assert/strict";
import { describe, it } from "node:test";
import onnxProto from "onnx-proto";
import { encodeOnnx } from "../lib/onnx-messages.js";

const { onnx } = onnxProto;

/** A model with every field that the library writes, zeros and empty text among them. */
const model = {
  irVersion: 10,
  opsetImport: [
    { domain: "", version: 21 },
    { domain: "com.microsoft", version: 1 },
  ],
  graph: {
    name: "modalscope",
    node: [
      {
        opType: "Attend",
        domain: "com.microsoft",
        name: "first",
        input: ["a", "", "größe"],
        output: ["b"],
        attribute: [
          { name: "i", type: 2, i: -1 },
          { name: "zero", type: 2, i: 0 },
          { name: "wide", type: 2, i: 2 ** 53 },
          { name: "f", type: 1, f: 0.1 },
          { name: "s", type: 3, s: Buffer.from("none") },
          { name: "ints", type: 7, ints: [0, -1, 300] },
        ],
      },
    ],
    initializer: [
      { name: "scalar", dims: [], dataType: 1, rawData: new Uint8Array(4) },
      {
        name: "weight",
        dims: [896, 4864],
        dataType: 1,
        dataLocation: 1,
        externalData: [{ key: "offset", value: "4096" }],
      },
    ],
    input: [
      {
        name: "a",
        type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 3 }, { dimParam: "tokens" }] } } },
      },
    ],
    output: [{ name: "b" }],
    valueInfo: [{ name: "v", type: { tensorType: { elemType: 7, shape: { dim: [] } } } }],
  },
};

describe("ONNX messages", () => {
  it("are the bytes that onnx-proto writes for the same model", () => {
    const theirs = onnx.ModelProto.encode(onnx.ModelProto.create(model as never)).finish();
    assert.deepEqual(Buffer.from(encodeOnnx("ModelProto", model)), Buffer.from(theirs));
  });

  it("are read by onnx-proto as what was written", () => {
    const { graph } = onnx.ModelProto.decode(encodeOnnx("ModelProto", model));
    assert.deepEqual(graph?.node?.[0].input, ["a", "", "größe"]);
    assert.deepEqual(
      graph?.node?.[0].attribute?.map(({ i, ints }) => [Number(i), ints?.map(Number)]),
      [
        [-1, []],
        [0, []],
        [2 ** 53, []],
        [0, []],
        [0, []],
        [0, [0, -1, 300]],
      ],
    );
    assert.deepEqual(graph?.initializer?.[1].dims?.map(Number), [896, 4864]);
  });
});
