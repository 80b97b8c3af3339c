import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { emitOnnx } from "../../../lib/model/graph/emit-onnx.js";
import { input, type Node, type Shape } from "../../../lib/model/graph/node.js";
import * as ops from "../../../lib/model/graph/ops.js";
import { pullback } from "../../../lib/model/graph/vjp.js";
import { seeded } from "../../../lib/random.js";
import { createSession } from "../../../lib/runtime/session.js";

/** Central differences in float64 with this step are exact to about 1e-9 of the values here. */
const STEP = 1e-5;
const TOLERANCE = 1e-6;

interface Case {
  /** Lengths of each operand; names stand for the lengths in `sizes`. */
  readonly shapes: readonly Shape[];
  readonly build: (...x: Node[]) => Node;
  /** Operands must stay above this. */
  readonly above?: number;
}

const sizes: Record<string, number> = { batch: 2, time: 3, keys: 5, past: 2, "time and one": 4 };

const one = (build: (x: Node) => Node, above?: number): Case => ({
  shapes: [["batch", "time", 4]],
  build,
  above,
});
const two = (build: (a: Node, b: Node) => Node): Case => ({
  shapes: [
    ["batch", "time", 4],
    [1, 4],
  ],
  build,
});

const cases: Record<string, Case> = {
  "add, broadcast": two(ops.add),
  "sub, broadcast": two(ops.sub),
  "mul, broadcast": two(ops.mul),
  "div, broadcast": { ...two(ops.div), above: 0.5 },
  "mul of a node by itself": one((x) => ops.mul(x, x)),
  "a lower rank": { shapes: [["batch", "time", 4], [4]], build: (a, b) => ops.mul(a, b) },
  neg: one(ops.neg),
  sqrt: one(ops.sqrt, 0.5),
  exp: one(ops.exp),
  log: one(ops.log, 0.5),
  sigmoid: one(ops.sigmoid),
  tanh: one(ops.tanh),
  erf: one(ops.erf),
  relu: one(ops.relu),
  step: one((x) => ops.mul(x, ops.step(x))),
  silu: one(ops.silu),
  gelu: one(ops.gelu),
  geluTanh: one(ops.geluTanh),
  softmax: one(ops.softmax),
  logSoftmax: one(ops.logSoftmax),
  where: {
    shapes: [
      ["batch", "time", 4],
      ["batch", "time", 4],
    ],
    build: (a, b) => ops.where(input("condition", ["batch", "time", 4], "bool"), a, b),
  },
  matmul: {
    shapes: [
      ["batch", 3, "time", 4],
      ["batch", 3, 4, "keys"],
    ],
    build: ops.matmul,
  },
  "matmul with a shared right side": {
    shapes: [
      ["batch", "time", 4],
      [4, 5],
    ],
    build: ops.matmul,
  },
  linear: { shapes: [["batch", "time", 4], [5, 4], [5]], build: (x, w, b) => ops.linear(x, w, b) },
  "linear on a matrix": {
    shapes: [
      ["time", 4],
      [5, 4],
    ],
    build: (x, w) => ops.linear(x, w),
  },
  linearTransposed: {
    shapes: [
      ["batch", "time", 5],
      [5, 4],
    ],
    build: ops.linearTransposed,
  },
  outerSum: {
    shapes: [
      ["batch", "time", 5],
      ["batch", "time", 4],
    ],
    build: ops.outerSum,
  },
  "sum, kept": one((x) => ops.sum(x, [-1], true)),
  "sum, dropped": one((x) => ops.sum(x, [-2])),
  "sum of everything": one((x) => ops.sum(x, [-1, -2, -3])),
  mean: one((x) => ops.mean(x, [-1], true)),
  reshape: { shapes: [["batch", "time", 6]], build: (x) => ops.reshape(x, ["batch", "time", 2, 3]) },
  "reshape that joins": {
    shapes: [["batch", 3, "time", 4]],
    build: (x) => ops.reshape(x, ["batch", "3·time", 4]),
  },
  transpose: { shapes: [["batch", "time", 2, 3]], build: (x) => ops.transpose(x, [0, 2, 3, 1]) },
  concat: {
    shapes: [
      ["batch", "past", 4],
      ["batch", "time", 4],
    ],
    build: (a, b) => ops.concat([a, b], -2, "keys"),
  },
  part: {
    shapes: [
      ["batch", "keys", 4],
      ["batch", "past", 4],
      ["batch", "time", 4],
    ],
    build: (x, a, b) => ops.concatPart(x, [a, b], -2, 1),
  },
  "part, the first": {
    shapes: [
      ["batch", "keys", 4],
      ["batch", "past", 4],
      ["batch", "time", 4],
    ],
    build: (x, a, b) => ops.concatPart(x, [a, b], -2, 0),
  },
  slice: one((x) => ops.slice(x, -1, 1, 3)),
  pad: one((x) => ops.pad(x, -1, 1, 2)),
  "pad before a length that is not known": one((x) => ops.pad(x, -2, 1, 0, "time and one")),
  expandLike: {
    shapes: [
      ["batch", 1, 4],
      ["batch", "time", 4],
    ],
    build: ops.expandLike,
  },
  "an RMS norm": {
    shapes: [["batch", "time", 4], [4]],
    build: (x, gain) =>
      ops.mul(ops.div(x, ops.sqrt(ops.add(ops.mean(ops.mul(x, x), [-1], true), 1e-6))), gain),
  },
};

const lengthOf = (shape: Shape): number[] =>
  shape.map((d) => (typeof d === "number" ? d : (sizes[d] ?? 3 * sizes.time)));
const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

describe("vector–Jacobian products agree with finite differences", () => {
  for (const [name, { shapes, build, above }] of Object.entries(cases)) {
    for (const targets of [false, true]) {
      it(`${name}${targets ? ", several targets at once" : ""}`, async (t) => {
        const operands = shapes.map((shape, i) => input(`x${i}`, shape));
        const y = build(...operands);
        const lead = targets ? 2 : 1;
        const g = input("g", targets ? ["targets", ...y.shape] : y.shape);
        // By a weight there is one target at a time: the builder says so.
        const weighted = targets && /^linear/.test(name);
        // What lends only its shape has no derivative.
        const wrt = weighted || /^(expandLike|part)/.test(name) ? [operands[0]] : operands;
        const derivatives = pullback(new Map([[y, g]]), wrt, { targets });
        const float = "float64";
        const outputs = Object.fromEntries(derivatives.map((d, i) => [`d${i}`, d!]));
        const bind = () => ({ kind: "input" }) as const;
        const session = await createSession(emitOnnx({ ...outputs, y }, { float, bind }), { threads: 1 });
        t.after(() => session.release());
        const random = seeded(name.length + (above ?? 0));
        const draw = (n: number, from?: number): Float64Array =>
          new Float64Array(n).map(() => (from === undefined ? random.normal() : from + random.uniform()));
        const values = shapes.map((shape) => draw(count(lengthOf(shape)), above));
        const outShape = lengthOf(y.shape);
        const cotangent = draw(lead * count(outShape));
        const condition = Uint8Array.from({ length: 24 }, (_, i) => i % 2);
        const feedsWith = (x: typeof values) => {
          const feeds: Record<string, { type: string; dims: number[]; data: typeof cotangent | Uint8Array }> =
            {};
          x.forEach((data, i) => {
            feeds[`x${i}`] = { type: float, dims: lengthOf(shapes[i]), data };
          });
          feeds.g = { type: float, dims: targets ? [lead, ...outShape] : outShape, data: cotangent };
          feeds.condition = { type: "bool", dims: lengthOf(["batch", "time", 4]), data: condition };
          return Object.fromEntries(
            Object.entries(feeds).filter(([key]) => session.inputNames.includes(key)),
          );
        };
        const value = async (x: typeof values, target: number): Promise<number> => {
          const out = (await session.run(feedsWith(x), ["y"])).y.data as Float64Array;
          return out.reduce((s, v, i) => s + v * cotangent[target * out.length + i], 0);
        };
        const found = await session.run(feedsWith(values), Object.keys(outputs));
        for (const [k, operand] of wrt.entries()) {
          const i = operands.indexOf(operand);
          const d = found[`d${k}`].data as Float64Array;
          assert.equal(
            d.length,
            (targets ? lead : 1) * values[i].length,
            "the derivative has its operand's shape",
          );
          for (let target = 0; target < (targets ? lead : 1); target++) {
            for (let j = 0; j < values[i].length; j += 1 + Math.floor(values[i].length / 7)) {
              const moved = (h: number) =>
                values.map((v, n) => (n === i ? v.map((e, m) => (m === j ? e + h : e)) : v)) as typeof values;
              const slope =
                ((await value(moved(STEP), target)) - (await value(moved(-STEP), target))) / (2 * STEP);
              const own = d[target * values[i].length + j];
              assert.ok(
                Math.abs(own - slope) <= TOLERANCE * Math.max(1, Math.abs(slope)),
                `operand ${i}, element ${j}: ${own}, differences say ${slope}`,
              );
            }
          }
        }
      });
    }
  }

  it("stop at what is frozen", async () => {
    const x = input("x", [3]);
    const held = ops.exp(x);
    const y = ops.mul(x, held);
    const [d] = pullback(new Map([[y, input("g", [3])]]), [x], { frozen: new Set([held]) });
    const session = await createSession(
      emitOnnx({ d: d! }, { float: "float64", bind: () => ({ kind: "input" }) }),
      { threads: 1 },
    );
    const data = Float64Array.of(0.1, -0.4, 2);
    const feed = (values: Float64Array) => ({ type: "float64", dims: [3], data: values });
    const { d: out } = await session.run({ x: feed(data), g: feed(Float64Array.of(1, 1, 1)) }, ["d"]);
    [...data].forEach((v, i) => {
      assert.ok(Math.abs((out.data as Float64Array)[i] - Math.exp(v)) < 1e-12, "∂(x · c)/∂x = c");
    });
    await session.release();
  });
});

it("rows that are looked up get back the sum of what came of them", async (t) => {
  const x = input("x", ["batch", "time", 2]);
  const y = ops.gather(ops.rows(x, "cells"), input("index", ["queries", "each"], "int64"));
  const [d] = pullback(new Map([[y, input("g", y.shape)]]), [x]);
  const [again] = pullback(new Map([[d!, input("h", x.shape)]]), [y]);
  assert.equal(again, undefined, "the derivative does not hang on the values");
  const outputs = { y, d: d! };
  const session = await createSession(
    emitOnnx(outputs, { float: "float64", bind: () => ({ kind: "input" }) }),
    {
      threads: 2,
    },
  );
  t.after(() => session.release());
  const float = (dims: number[], values: number[]) => ({
    type: "float64",
    dims,
    data: Float64Array.from(values),
  });
  const index = [5, 0, 5, 2, 5, 0];
  const g = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
  const feeds = {
    x: float([2, 3, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    index: { type: "int64", dims: [2, 3], data: BigInt64Array.from(index, BigInt) },
    g: float([2, 3, 2], g),
  };
  const found = await session.run(feeds, ["y", "d"]);
  assert.deepEqual([...(found.y.data as Float64Array)], [10, 11, 0, 1, 10, 11, 4, 5, 10, 11, 0, 1]);
  assert.deepEqual(
    [...(found.d.data as Float64Array)],
    [3 + 11, 4 + 12, 0, 0, 7, 8, 0, 0, 0, 0, 1 + 5 + 9, 2 + 6 + 10],
  );
  assert.deepEqual(found.d.dims, [2, 3, 2]);
});

it("an addition to rows is undone by looking them up", async (t) => {
  const matrix = input("matrix", ["cells", 2]);
  const index = input("index", ["queries"], "int64");
  const g = input("g", ["queries", 2]);
  const [back] = pullback(new Map([[ops.scatterSum(g, index, matrix), input("h", matrix.shape)]]), [g]);
  const session = await createSession(
    emitOnnx({ back: back! }, { float: "float64", bind: () => ({ kind: "input" }) }),
    { threads: 1 },
  );
  t.after(() => session.release());
  const { back: found } = await session.run(
    {
      index: { type: "int64", dims: [3], data: BigInt64Array.of(2n, 0n, 2n) },
      h: { type: "float64", dims: [3, 2], data: Float64Array.of(1, 2, 3, 4, 5, 6) },
    },
    ["back"],
  );
  assert.deepEqual([...(found.data as Float64Array)], [5, 6, 1, 2, 5, 6]);
});

describe("the builder refuses what cannot be computed", () => {
  it("shapes that do not fit, with both of them in the message", () => {
    const a = input("a", ["batch", 3]);
    assert.throws(() => ops.add(a, input("b", ["batch", 4])), /\(batch, 3\).*\(batch, 4\)/);
    assert.throws(() => ops.matmul(a, input("b", ["batch", 4])), /No matrix product/);
    assert.throws(() => ops.linear(a, input("w", [5, 4])), /\(5, 4\) does not apply to \(batch, 3\)/);
  });

  it("a derivative by a weight for several targets", () => {
    const x = input("x", ["time", 4]);
    const w = input("w", [5, 4]);
    const y = ops.linear(x, w);
    assert.throws(
      () => pullback(new Map([[y, input("g", ["targets", "time", 5])]]), [w], { targets: true }),
      /one at a time/,
    );
  });
});

it("erf in float64 is that of the tables", async (t) => {
  const y = ops.erf(input("x", [6]));
  const bind = () => ({ kind: "input" }) as const;
  const session = await createSession(emitOnnx({ y }, { float: "float64", bind }), { threads: 1 });
  t.after(() => session.release());
  const data = Float64Array.of(0, 0.5, 1, 2, -1.5, 40);
  const out = (await session.run({ x: { type: "float64", dims: [6], data } }, ["y"])).y.data as Float64Array;
  // Abramowitz and Stegun, table 7.1, with more digits.
  const table = [0, 0.5204998778130465, 0.8427007929497149, 0.9953222650189527, -0.96610514647531, 1];
  table.forEach((want, i) => {
    assert.ok(Math.abs(out[i] - want) <= 1e-15, `erf(${data[i]}) is ${out[i]}`);
  });
});
