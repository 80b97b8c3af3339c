/** Products with an encoder's rows on the runtime. */
import {
  emitOnnx,
  input,
  linear,
  type Node,
  toFloat,
  topKIndices,
  topKValues,
} from "../../model/graph/index.js";
import { createSession, type Session } from "../../runtime/index.js";
import type { Tensor } from "../../tensor.js";

/** The largest of some pre-activations by token, `(tokens, count)` each, the largest first; of equals the first feature. */
export interface Largest {
  readonly values: Float32Array;
  /** Rows of the matrix, as whole numbers. */
  readonly ids: Float32Array;
}

/** x Wᵀ + b on the runtime, opened when it is first needed. */
export interface Products {
  linear(x: Tensor, w: Tensor, b: Float32Array): Promise<Float32Array>;
  /** The `count` largest of each row of it. */
  largest(x: Tensor, w: Tensor, b: Float32Array, count: number): Promise<Largest>;
  close(): void;
}

export function products(): Products {
  const sessions = new Map<number, Promise<Session>>();
  /** @param count 0: all of a row */
  const run = async (
    [x, w, b]: readonly [Tensor, Tensor, Float32Array],
    count: number,
    outputs: readonly string[],
  ): Promise<Float32Array[]> => {
    const session = sessions.get(count) ?? createSession(count === 0 ? linearModel() : largestModel(count));
    sessions.set(count, session);
    const feeds = { x: fed(x), w: fed(w), b: fed({ data: b, shape: [b.length] }) };
    const found = await (await session).run(feeds, outputs);
    return outputs.map((name) => found[name].data as Float32Array);
  };
  return {
    async linear(x, w, b) {
      const [y] = await run([x, w, b], 0, ["y"]);
      return y;
    },
    async largest(x, w, b, count) {
      const [values, ids] = await run([x, w, b], count, ["values", "ids"]);
      return { values, ids };
    },
    close() {
      for (const session of sessions.values()) void session.then((own) => own.release());
      sessions.clear();
    },
  };
}

const fed = ({ data, shape }: Tensor): { type: string; dims: readonly number[]; data: Float32Array } => ({
  type: "float32",
  dims: shape,
  data: data instanceof Float32Array ? data : Float32Array.from(data),
});

function preActivations(): Node {
  const [x, w] = [input("x", ["tokens", "width"]), input("w", ["features", "width"])];
  return linear(x, w, input("b", ["features"]));
}

const emitted = (outputs: Readonly<Record<string, Node>>): Uint8Array =>
  emitOnnx(outputs, { float: "float32", bind: () => ({ kind: "input" }) });

const linearModel = (): Uint8Array => emitted({ y: preActivations() });

function largestModel(count: number): Uint8Array {
  const y = preActivations();
  return emitted({ values: topKValues(y, count), ids: toFloat(topKIndices(y, count)) });
}
