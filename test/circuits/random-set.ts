/** Transcoders of random weights, for tests that need some and not good ones. */
import {
  initialTranscoderWeights,
  type TranscoderSet,
  type TranscoderSpec,
  transcodersFrom,
} from "../../lib/circuits/index.js";
import { seeded } from "../../lib/index.js";

export function randomTranscoders(spec: TranscoderSpec, seed: number): TranscoderSet {
  const random = seeded(seed);
  const sample = Array.from({ length: spec.layers }, () => ({
    data: Float32Array.from({ length: spec.width }, () => random.normal() * 0.1),
    shape: [1, spec.width],
  }));
  const weights = initialTranscoderWeights(spec, { inputs: sample, outputs: sample }, seed);
  for (const [name, { data }] of weights)
    if (name.includes("W_dec")) for (let i = 0; i < data.length; i++) data[i] = random.normal();
  return transcodersFrom(spec, weights, { model: "random", hookIn: "mlp.hook_in", hookOut: "mlp.hook_out" });
}

/** Random skip connections, so strong that what goes along them is a good part of every edge. */
export function withSkips(set: TranscoderSet, seed: number): TranscoderSet {
  const random = seeded(seed);
  const layers = set.layers.map((own) => {
    const { width } = own;
    const data = Float32Array.from(
      { length: width * width },
      () => (0.5 * random.normal()) / Math.sqrt(width),
    );
    return { ...own, skip: { data, shape: [width, width] } };
  });
  return { ...set, layers, close: () => {} };
}
