import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { emitOnnx } from "../../../lib/model/graph/emit-onnx.js";
import { input, type Node, ops, pullback, type Shape } from "../../../lib/model/graph/index.js";
import { trainedMixture } from "../../../lib/model/nn/experts.js";
import {
  activation,
  attention,
  type Experts,
  layerNorm,
  type ModuleContext,
  rmsNorm,
  rotateHeads,
} from "../../../lib/model/nn/layers.js";
import { seeded } from "../../../lib/random.js";
import { createSession, type Value } from "../../../lib/runtime/session.js";

/** Both are float64, and take the same steps in another order. */
const TOLERANCE = 1e-9;
const FLOAT32_TOLERANCE = 1e-5;

type Layer = (ctx: ModuleContext, x: readonly Node[]) => Node;

interface Case {
  readonly shapes: readonly Shape[];
  readonly layer: Layer;
  readonly causal?: boolean;
  /** Given instead of random numbers, by the operand's place. */
  readonly given?: Readonly<Record<number, (random: ReturnType<typeof seeded>) => number[]>>;
  /** Operands without a derivative. */
  readonly constants?: readonly number[];
  /** The runtime's own norms and rotations know their scales in float32 only. */
  readonly float?: "float32";
}

const sizes: Record<string, number> = { batch: 2, time: 7, two: 2, one: 1 };
const lengths = (shape: Shape): number[] => shape.map((d) => (typeof d === "number" ? d : sizes[d]));

const plain: ModuleContext = {
  hook: (_, x) => x,
  weight: (name, shape) => input(name, shape),
  mixture: () => assert.fail("no experts here"),
};

/** 0 where a query attends, −1e9 where it does not: later keys, and the first key of the second row. */
function causalMask(time: number): number[] {
  return Array.from({ length: 2 * time * time }, (_, at) => {
    const [row, query, key] = [Math.floor(at / time ** 2), Math.floor(at / time) % time, at % time];
    return key > query || (row === 1 && key === 0 && query > 0) ? -1e9 : 0;
  });
}

function attentionOf(
  time: "time" | "two" | "one" | "batch",
  [heads, kvHeads]: readonly [number, number],
  causal: boolean,
): Case {
  const one = (n: number): Shape => ["batch", time, n, 4];
  const mask = causal ? ["batch", 1, time, time] : [1, 1, 1, 1];
  return {
    shapes: [one(heads), one(kvHeads), one(kvHeads), mask],
    layer: (ctx, [q, k, v, mask]) => attention(ctx, { q, k, v }, { mask }, { scale: 0.5 }),
    causal,
    given: { 3: () => (causal ? causalMask(sizes[time]) : [0]) },
    constants: [3],
  };
}

const cases: Record<string, Case> = {
  "an RMS norm": {
    shapes: [["batch", "time", 6], [6]],
    layer: (ctx, [x, gain]) => rmsNorm(ctx, "norm", x, { gain, eps: 1e-3 }),
    float: "float32",
  },
  "an RMS norm of heads": {
    shapes: [["batch", "time", 3, 4], [4]],
    layer: (ctx, [x, gain]) => rmsNorm(ctx, "norm", x, { gain, eps: 1e-3 }),
    float: "float32",
  },
  "a layer norm": {
    shapes: [["batch", "time", 6], [6], [6]],
    layer: (ctx, [x, gain, bias]) => layerNorm(ctx, "norm", x, { gain, bias, eps: 1e-3 }),
    float: "float32",
  },
  "a rotation": {
    shapes: [
      ["batch", "time", 3, 4],
      ["batch", "time", 4],
      ["batch", "time", 4],
    ],
    layer: (ctx, [x, cos, sin]) => rotateHeads(ctx, "q", x, { cos, sin }),
    // The halves of a head turn by the same angles.
    given: { 1: (random) => halves(random, 14), 2: (random) => halves(random, 14) },
    constants: [1, 2],
    float: "float32",
  },
  "attention, causal": attentionOf("time", [2, 2], true),
  "attention, causal, grouped heads": attentionOf("time", [6, 2], true),
  "attention of two tokens, fewer than pieces": attentionOf("two", [6, 2], true),
  "attention of one token": attentionOf("one", [2, 2], true),
  "attention on everything": attentionOf("time", [2, 2], false),
  "attention on everything, grouped heads": attentionOf("time", [4, 2], false),
};

function halves(random: ReturnType<typeof seeded>, heads: number): number[] {
  return Array.from({ length: heads }, () => [random.normal(), random.normal()]).flatMap((a) => [...a, ...a]);
}

/** A value and its derivatives by some operands, for the same random operands and cotangent. */
async function evaluated(
  y: Node,
  operands: readonly Node[],
  wrt: readonly Node[],
  values: readonly Value[],
  training: boolean,
): Promise<Record<string, Value>> {
  const float = values[0].type as "float32" | "float64";
  const g = input("g", y.shape);
  const derivatives = pullback(new Map([[y, g]]), wrt);
  const outputs = Object.fromEntries(derivatives.map((d, i) => [`d ${operands.indexOf(wrt[i])}`, d!]));
  const bytes = emitOnnx({ y, ...outputs }, { float, bind: () => ({ kind: "input" }), training });
  const session = await createSession(bytes, { threads: 1 });
  try {
    const random = seeded(5);
    const dims = y.shape.map((d) => (typeof d === "number" ? d : sizes[d]));
    const feeds = Object.fromEntries(values.map((value, i) => [`x${i}`, value]));
    return await session.run({ ...feeds, g: drawn(dims, float, () => random.normal()) }, [
      "y",
      ...Object.keys(outputs),
    ]);
  } finally {
    await session.release();
  }
}

function drawn(dims: readonly number[], type: "float32" | "float64", next: () => number): Value {
  const numbers = Array.from({ length: dims.reduce((a, b) => a * b, 1) }, next);
  return { type, dims, data: type === "float32" ? Float32Array.from(numbers) : Float64Array.from(numbers) };
}

function assertSame(
  found: Readonly<Record<string, Value>>,
  expected: Readonly<Record<string, Value>>,
  tolerance: number,
): void {
  for (const [name, { data, dims }] of Object.entries(expected)) {
    assert.deepEqual(found[name].dims, dims, `shape of ${name}`);
    const own = found[name].data as Float64Array;
    (data as Float64Array).forEach((v, i) => {
      assert.ok(
        Math.abs(own[i] - v) <= tolerance * Math.max(1, Math.abs(v)),
        `${name}[${i}]: ${own[i]}, ${v}`,
      );
    });
  }
}

describe("layers for training have the values and derivatives of the plain ones", () => {
  for (const [name, { shapes, layer, causal = false, given = {}, constants = [], float }] of Object.entries(
    cases,
  )) {
    it(name, async () => {
      const operands = shapes.map((shape, i) => input(`x${i}`, shape));
      const wrt = operands.filter((_, i) => !constants.includes(i));
      const random = seeded(name.length);
      const values = shapes.map((shape, i) => {
        const own = given[i]?.(random);
        let at = 0;
        return drawn(lengths(shape), float ?? "float64", () => own?.[at++] ?? random.normal());
      });
      const [expected, found] = await Promise.all(
        [plain, { ...plain, training: { causal } }].map((ctx) =>
          evaluated(layer(ctx, operands), operands, wrt, values, ctx.training !== undefined),
        ),
      );
      assertSame(found, expected, float ? FLOAT32_TOLERANCE : TOLERANCE);
    });
  }
});

describe("chosen experts have the values and derivatives of all experts with weights of zero", () => {
  const [count, topK, expertDim, hidden] = [5, 2, 3, 4];
  const shapes: readonly Shape[] = [
    ["batch", "time", hidden],
    ["batch", "time", count],
    [count, 2 * expertDim, hidden],
    [count, hidden, expertDim],
  ];
  const experts = (checkpointLayout: Experts["checkpointLayout"]): Experts => ({
    count,
    topK,
    expertDim,
    normalised: true,
    hidden_act: "silu",
    checkpointLayout,
  });

  /** Σₑ weightₑ · expertₑ(x), every expert on every token. */
  function everyExpert([x, weights, gateUp, down]: readonly Node[]): Node {
    const each = Array.from({ length: count }, (_, e) => {
      const own = (matrices: Node, out: number, inner: number): Node =>
        ops.reshape(ops.slice(matrices, -3, e, e + 1), [out, inner]);
      const both = ops.linear(x, own(gateUp, 2 * expertDim, hidden));
      const [gate, up] = [0, expertDim].map((start) => ops.slice(both, -1, start, start + expertDim));
      const post = ops.mul(activation("silu")(gate), up);
      return ops.mul(ops.linear(post, own(down, hidden, expertDim)), ops.slice(weights, -1, e, e + 1));
    });
    return each.reduce((a, b) => ops.add(a, b));
  }

  /** Two different experts for each token; the last has none. */
  function routes(random: ReturnType<typeof seeded>): number[] {
    return Array.from({ length: 14 }, (_, token) => {
      const own = new Array<number>(count).fill(0);
      own[token % 4] = 0.2 + random.uniform();
      own[(token + 1 + (token % 3)) % 4] = 0.2 + random.uniform();
      return own;
    }).flat();
  }

  for (const float of ["float64", "float32"] as const) {
    it(`with the matrices of all experts in one weight, ${float}`, async () => {
      const operands = shapes.map((shape, i) => input(`x${i}`, shape));
      const random = seeded(8);
      const values = shapes.map((shape, i) => {
        const own = i === 1 ? routes(random) : undefined;
        let at = 0;
        return drawn(lengths(shape), float, () => own?.[at++] ?? random.normal());
      });
      const names: Record<string, Node> = {
        "mlp.experts.gate_up_proj": operands[2],
        "mlp.experts.down_proj": operands[3],
      };
      const ctx: ModuleContext = { ...plain, weight: (name) => names[name], training: { causal: true } };
      const [x, weights] = operands;
      const found = await evaluated(
        trainedMixture(ctx, x, weights, experts("linear")),
        operands,
        operands,
        values,
        true,
      );
      const expected = await evaluated(everyExpert(operands), operands, operands, values, false);
      // The choice is a constant: what weights of zero would have given is no derivative here.
      const chosen = Array.from(values[1].data as Float64Array);
      const byWeight = Float64Array.from(expected["d 1"].data as Float64Array, (v, i) =>
        chosen[i] === 0 ? 0 : v,
      );
      assertSame(
        found,
        { ...expected, "d 1": { ...expected["d 1"], data: byWeight } },
        float === "float32" ? FLOAT32_TOLERANCE : TOLERANCE,
      );
    });
  }
});
