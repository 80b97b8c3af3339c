import type { Tensor } from "../../tensor.js";

/** Values (…, batch) less the clean run's (batch). */
export function lessClean({ data, shape }: Tensor<Float64Array>, clean: Float64Array): Tensor<Float64Array> {
  return { data: data.map((value, i) => value - clean[i % clean.length]), shape };
}
