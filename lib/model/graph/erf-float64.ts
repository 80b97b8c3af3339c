import type { OnnxWriter } from "./onnx-writer.js";

/**
 * Chebyshev coefficients of log(erfc(z)/t) + z² in t = 2/(2 + z), z ≥ 0 (Press et al., Numerical Recipes, 3rd ed.,
 * § 6.2.2): off by 5·10⁻¹⁶ at most.
 */
const COEFFICIENTS = [
  -1.3026537197817094, 6.419697923564902e-1, 1.9476473204185836e-2, -9.561514786808631e-3,
  -9.46595344482036e-4, 3.66839497852761e-4, 4.2523324806907e-5, -2.0278578112534e-5, -1.624290004647e-6,
  1.30365583558e-6, 1.5626441722e-8, -8.5238095915e-8, 6.529054439e-9, 5.059343495e-9, -9.91364156e-10,
  -2.27365122e-10, 9.6467911e-11, 2.394038e-12, -6.886027e-12, 8.94487e-13, 3.13092e-13, -1.12708e-13,
  3.81e-16, 7.106e-15, -1.523e-15, -9.4e-17, 1.21e-16, -2.8e-17,
];

/** GELU of elementary operations, exact or in its tanh form: onnxruntime has its own in float32 only. */
export function doubleGelu(to: OnnxWriter, x: string, form: string): string {
  const add = (a: string, b: string): string => to.emit("Add", [a, b]);
  const mul = (a: string, b: string): string => to.emit("Mul", [a, b]);
  const half = mul(x, to.float(0.5));
  if (form !== "tanh") return mul(half, add(doubleErf(to, mul(x, to.float(Math.SQRT1_2))), to.float(1)));
  const cubic = add(x, mul(mul(mul(x, x), x), to.float(0.044715)));
  return mul(half, add(to.emit("Tanh", [mul(cubic, to.float(Math.sqrt(2 / Math.PI)))]), to.float(1)));
}

/** The error function of elementary operations: onnxruntime has its own in float32 only. Returns the result's name. */
export function doubleErf(to: OnnxWriter, x: string): string {
  const add = (a: string, b: string): string => to.emit("Add", [a, b]);
  const sub = (a: string, b: string): string => to.emit("Sub", [a, b]);
  const mul = (a: string, b: string): string => to.emit("Mul", [a, b]);
  const z = to.emit("Abs", [x]);
  const t = to.emit("Div", [to.float(2), add(z, to.float(2))]);
  const twice = sub(mul(t, to.float(4)), to.float(2));
  // Clenshaw's recurrence, from the last coefficient down.
  let [d, before] = [to.float(0), to.float(0)];
  for (const c of COEFFICIENTS.slice(1).reverse())
    [d, before] = [add(sub(mul(twice, d), before), to.float(c)), d];
  const series = mul(to.float(0.5), add(to.float(COEFFICIENTS[0]), mul(twice, d)));
  const exponent = sub(sub(series, before), mul(z, z));
  const positive = sub(to.float(1), mul(t, to.emit("Exp", [exponent])));
  return mul(to.emit("Sign", [x]), positive);
}
