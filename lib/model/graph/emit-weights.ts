/** Weights in an emitted model, and products by them. */
import { type Node, nameOf } from "./node.js";
import { bytesOf, type ExternalData, elementTypes, type Form, type OnnxWriter } from "./onnx-writer.js";
import { planesOf, type QuantisedWeight } from "./quantised.js";

/** Source of a weight in an emitted model. */
export type WeightBinding =
  | { readonly kind: "input" }
  /** float32 data inside a file that the runtime maps. */
  | ({ readonly kind: "file" } & ExternalData)
  | { readonly kind: "inline"; readonly data: Float32Array | Float64Array }
  /** A matrix that only `linear` reads. */
  | { readonly kind: "quantised"; readonly matrix: QuantisedWeight };

export interface WeightOptions {
  readonly bind: (name: string) => WeightBinding;
  /** Takes the data of quantised weights by the location that the model names; left out, they are in the model's bytes. */
  readonly external?: Map<string, Uint8Array>;
  /**
   * For a graph that is large and whose weights are inputs: names the lengths of all values, without which the runtime
   * compares each with all that are free to plan its memory, and takes products by weights without reshaping.
   */
  readonly training?: boolean;
}

/** What the operators of a quantised matrix need to know of it. */
interface QuantisedForm {
  readonly block: number;
  readonly int8: boolean;
  /** Of each plane. */
  readonly bits: readonly number[];
  readonly hasConstants: boolean;
}

/** Forms of the operations that read weights. */
export function weightForms({ bind, external, training }: WeightOptions): Readonly<Record<string, Form>> {
  const quantised = new Map<string, QuantisedForm>();
  return {
    Weight: (to, n) =>
      to.once(nameOf(n), () => {
        const name = nameOf(n);
        const binding = bind(name);
        const dims = n.shape as number[];
        if (binding.kind === "input") to.input(n);
        else if (binding.kind === "quantised")
          quantised.set(name, quantisedWeight(to, n, binding.matrix, external));
        else if (binding.kind === "inline")
          to.tensor(name, dims, to.elementType("float"), bytesOf(binding.data));
        else to.tensor(name, dims, elementTypes.float, binding);
      }),
    Linear(to, n, inputs) {
      const [x, w] = n.inputs;
      const [input, matrix, bias] = inputs;
      const form = w.op === "Weight" ? quantised.get(nameOf(w)) : undefined;
      const biased = (y: string): string => (bias ? to.emit("Add", [y, bias]) : y);
      if (form === undefined && training && x.shape.length > 2)
        return biased(to.emit("FusedMatMul", [input, matrix], { transB: 1 }));
      const rows = to.flat(input, x.shape);
      const y = form
        ? biased(quantisedLinear(to, rows, w, form))
        : to.emit("Gemm", [rows, ...inputs.slice(1)], { transB: 1 });
      return to.unflat(y, input, x.shape, w.shape[0] as number);
    },
    LinearTransposed(to, n, [input, matrix]) {
      const [g, w] = n.inputs;
      if (training && g.shape.length > 2) return to.emit("MatMul", [input, matrix]);
      const y = to.emit("Gemm", [to.flat(input, g.shape), matrix]);
      return to.unflat(y, input, g.shape, w.shape[1] as number);
    },
  };
}

function quantisedWeight(
  to: OnnxWriter,
  n: Node,
  matrix: QuantisedWeight,
  external?: Map<string, Uint8Array>,
): QuantisedForm {
  const name = nameOf(n);
  const [rows, columns] = n.shape as number[];
  const { block } = matrix;
  const { planes, constants } = planesOf(matrix);
  const dims = [rows, columns / block];
  const declare = (of: string, lengths: number[], dataType: number, data: Uint8Array): void => {
    external?.set(of, data);
    const held = external && { location: of, offset: 0, byteLength: data.byteLength };
    to.tensor(of, lengths, dataType, held ?? data);
  };
  planes.forEach(({ bits, data, scales }, p) => {
    declare(`${name}.${p}`, [...dims, (block * bits) / 8], elementTypes.uint8, data);
    declare(`${name}.${p}.scales`, dims, elementTypes.float, bytesOf(scales));
  });
  if (constants !== undefined) declare(`${name}.constants`, dims, elementTypes.float, bytesOf(constants));
  return {
    block,
    int8: matrix.int8 ?? false,
    bits: planes.map(({ bits }) => bits),
    hasConstants: constants !== undefined,
  };
}

/** x · Wᵀ with a quantised W, of x (tokens, in). */
function quantisedLinear(to: OnnxWriter, x: string, w: Node, form: QuantisedForm): string {
  const { block, int8, bits, hasConstants } = form;
  const name = nameOf(w);
  const [N, K] = w.shape as number[];
  // Level 4: the inputs are rounded to 8 bits.
  const attributes = { K, N, block_size: block, accuracy_level: int8 ? 4 : 0 };
  const terms = bits.map((n, p) =>
    to.emit("MatMulNBits", [x, `${name}.${p}`, `${name}.${p}.scales`], { ...attributes, bits: n }),
  );
  if (hasConstants) {
    // Without any rows, as an expert has that no token goes to, the runtime's sums lose an axis unless it is kept.
    const blocks = to.emit("Reshape", [x, to.integers([0, K / block, block])]);
    const totals = to.emit("ReduceSum", [blocks, to.integers([-1])], { keepdims: 1 });
    const sums = to.emit("Reshape", [totals, to.integers([0, K / block])]);
    terms.push(to.emit("Gemm", [sums, `${name}.constants`], { transB: 1 }));
  }
  return terms.reduce((a, b) => to.emit("Add", [a, b]));
}
