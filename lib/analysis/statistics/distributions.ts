import { ModalscopeError } from "../../errors.js";

/**
 * Quantile of the standard normal distribution, to about 16 digits (Wichura 1988, algorithm AS 241, PPND16).
 * @param p above 0 and below 1.
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1))
    throw new ModalscopeError(`The normal quantile was asked at ${p}.`, "It lies between 0 and 1.");
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * polynomial(centreTop, r)) / polynomial(centreBottom, r);
  }
  const r = Math.sqrt(-Math.log(Math.min(p, 1 - p)));
  const x =
    r <= 5
      ? polynomial(middleTop, r - 1.6) / polynomial(middleBottom, r - 1.6)
      : polynomial(tailTop, r - 5) / polynomial(tailBottom, r - 5);
  return q < 0 ? -x : x;
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, c) => sum * x + c, 0);
}

const centreTop = [
  3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987,
  67265.7709270087, 33430.57558358813, 2509.0809287301227,
];
const centreBottom = [
  1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
  28729.085735721943, 5226.495278852546,
];
const middleTop = [
  1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
  0.2417807251774506, 0.022723844989269184, 0.0007745450142783414,
];
const middleBottom = [
  1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
  0.0005475938084995345, 1.0507500716444169e-9,
];
const tailTop = [
  6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487, 0.026532189526576124,
  0.0012426609473880784, 0.000027115555687434876, 2.0103343992922881e-7,
];
const tailBottom = [
  1, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133,
  0.000018463183175100548, 1.421511758316446e-7, 2.0442631033899397e-15,
];

/** Beyond this many degrees of freedom the expansion about the normal quantile is exact to 1e-12. */
const EXPANDED_FROM = 2000;

/**
 * Quantile of Student's t distribution, to about 1e-12: the finite series of its distribution function (Abramowitz &
 * Stegun 26.7.3 and 26.7.4) inverted by bisection; from 2000 degrees of freedom on the expansion about the normal
 * quantile (26.7.5).
 * @param p above 0 and below 1. @param df degrees of freedom, a whole number from 1 on.
 * @throws ModalscopeError when either is out of its range.
 */
export function studentQuantile(p: number, df: number): number {
  if (!(Number.isInteger(df) && df >= 1))
    throw new ModalscopeError(`Student's t was asked for ${df} degrees of freedom.`, "They are 1, 2, 3 …");
  const z = normalQuantile(p);
  if (df >= EXPANDED_FROM) return expandedStudent(z, df);
  if (p === 0.5) return 0;
  const within = Math.abs(2 * p - 1);
  let high = 2;
  while (studentWithin(high, df) < within) high *= 2;
  let low = 0;
  for (let i = 0; i < 100 && high - low > 1e-14 * high; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, df) < within) low = middle;
    else high = middle;
  }
  return (Math.sign(p - 0.5) * (low + high)) / 2;
}

/** `P(|T| ≤ t)`. */
function studentWithin(t: number, df: number): number {
  const angle = Math.atan(t / Math.sqrt(df));
  const cosine = Math.cos(angle);
  const odd = df % 2 === 1;
  let term = odd ? cosine : 1;
  let sum = df === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k <= df - 2; k += 2) {
    term *= ((k - 1) / k) * cosine * cosine;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}

function expandedStudent(z: number, df: number): number {
  const z2 = z * z;
  return (
    z *
    (1 +
      (z2 + 1) / (4 * df) +
      ((5 * z2 + 16) * z2 + 3) / (96 * df ** 2) +
      (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * df ** 3))
  );
}

/** Binomial probabilities `P(X = 0 … n)`. */
export function binomial(n: number, p: number): Float64Array {
  const out = new Float64Array(n + 1);
  if (p <= 0 || p >= 1) {
    out[p <= 0 ? 0 : n] = 1;
    return out;
  }
  let log = n * Math.log(1 - p);
  for (let k = 0; k <= n; k++) {
    out[k] = Math.exp(log);
    log += Math.log((n - k) / (k + 1)) + Math.log(p / (1 - p));
  }
  return out;
}

/**
 * Upper tail `P(Z > x)` of the standard normal distribution, to about 1e-13 of its value: the power series near 0, the
 * continued fraction of Mills' ratio beyond (Abramowitz and Stegun 26.2.11 and 26.2.14).
 */
export function normalTail(x: number): number {
  if (x < 0) return 1 - normalTail(-x);
  const density = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let k = 3; term > 1e-17 * sum; k += 2) {
      term *= (x * x) / k;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = x;
  for (let k = 80; k > 0; k--) fraction = x + k / fraction;
  return density / fraction;
}

/**
 * Digamma function `ψ(x) = d log Γ(x)/dx` to about 1e-14: recurrence up to 12, then the asymptotic series
 * (Abramowitz and Stegun 6.3.5 and 6.3.18).
 * @param x above 0.
 */
export function digamma(x: number): number {
  if (!(x > 0))
    throw new ModalscopeError(`The digamma function was asked at ${x}.`, "It is computed above 0.");
  let shift = 0;
  let y = x;
  for (; y < 12; y++) shift -= 1 / y;
  const square = 1 / (y * y);
  return shift + Math.log(y) - 0.5 / y - square * polynomial(digammaSeries, square);
}

const digammaSeries = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12];
