import { emitOnnx } from "../../lib/model/graph/emit-onnx.js";
import { input, weight } from "../../lib/model/graph/node.js";
import { linear } from "../../lib/model/graph/ops.js";
import { createSession } from "../../lib/runtime/session.js";

/** The best rate that a large matrix product reaches on this machine, operations per second. */
export async function matmulLimit(threads: number): Promise<number> {
  const n = 2048;
  const data = Float32Array.from({ length: n * n }, (_, i) => Math.sin(i));
  const product = linear(input("x", ["rows", n]), weight("w", [n, n]));
  const session = await createSession(
    emitOnnx({ y: product }, { float: "float32", bind: () => ({ kind: "inline", data }) }),
    { threads },
  );
  const x = { type: "float32", dims: [n, n], data: data.slice() };
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    await session.run({ x }, ["y"]);
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  await session.release();
  return (2 * n ** 3) / best;
}
