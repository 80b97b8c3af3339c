import assert from "node:assert/strict";
import { it } from "node:test";
import { emitOnnx } from "../../../lib/model/graph/emit-onnx.js";
import { input } from "../../../lib/model/graph/node.js";
import * as ops from "../../../lib/model/graph/ops.js";
import { createSession } from "../../../lib/runtime/session.js";

it("an axis is taken apart in groups, of which some are empty", async () => {
  const x = input("x", ["batch", "rows", 2]);
  const counts = input("counts", [3], "int64");
  const groups = [0, 1, 2].map((i) => ops.splitPart(x, counts, -2, i, `rows of ${i}`));
  const ones = input("ones", [3, 2]);
  const graph = {
    ...Object.fromEntries(groups.map((g, i) => [`group ${i}`, g])),
    // Sums of each row, three times: an empty group must keep its other lengths.
    ...Object.fromEntries(groups.map((g, i) => [`product ${i}`, ops.linear(g, ones)])),
    joined: ops.concat(groups, -2, "rows"),
  };
  const session = await createSession(emitOnnx(graph, { float: "float32", bind: () => ({ kind: "input" }) }));
  const data = Float32Array.from({ length: 20 }, (_, i) => i);
  const feeds = {
    x: { type: "float32", dims: [2, 5, 2], data },
    counts: { type: "int64", dims: [3], data: BigInt64Array.of(2n, 0n, 3n) },
    ones: { type: "float32", dims: [3, 2], data: new Float32Array(6).fill(1) },
  };
  const found = await session.run(feeds, Object.keys(graph));
  const is = (name: string, dims: number[], values: number[]): void => {
    assert.deepEqual(found[name].dims, dims, name);
    assert.deepEqual([...(found[name].data as Float32Array)], values, name);
  };
  is("group 0", [2, 2, 2], [0, 1, 2, 3, 10, 11, 12, 13]);
  is("group 1", [2, 0, 2], []);
  is("group 2", [2, 3, 2], [4, 5, 6, 7, 8, 9, 14, 15, 16, 17, 18, 19]);
  is("product 0", [2, 2, 3], [1, 1, 1, 5, 5, 5, 21, 21, 21, 25, 25, 25]);
  is("product 1", [2, 0, 3], []);
  is("joined", [2, 5, 2], [...data]);
  await session.release();
});
