/** What evidence is taken from: curves of captions, their stages, tokens and states. */
import { type Matrix, type PathSteps, segment } from "../../analysis/index.js";
import type { Tensor } from "../../tensor.js";
import type { EvolutionData, SkippedCaptions } from "./data.js";

/** Bits below which a mean change is none: keeps ratios finite where a caption does not change at all. */
const LEAST_CHANGE = 1e-6;

/** Does a rival lead the token at a state between the critical block and its first mutation, or else the last block? */
export function rivalLeads({ exit, tokens, mutations, critical, blocks }: EvolutionData, t: number): boolean {
  const until = range(critical + 1, blocks).find((b) => at(mutations.mutated, b, t) === 1) ?? blocks - 1;
  const rivals = exit.candidates[t].slice(1, 1 + tokens.rivals[t]);
  return range(critical + 1, until + 1).some((s) =>
    rivals.some(({ probability }) => probability[s] > at(exit.probability, s, t)),
  );
}

/** Mean change by block of each caption's tokens, `(captions)` of `(blocks)`. */
export function captionCurves(data: EvolutionData, change: Matrix): Float64Array[] {
  return perCaption(data).map((tokens) =>
    Float64Array.from({ length: data.blocks }, (_, b) => mean(tokens.map((t) => at(change, b, t)))),
  );
}

/** log2 of the mean change from block 1 to the critical one over that behind it. */
export const fallOf =
  ({ critical }: EvolutionData) =>
  (curve: Float64Array): number =>
    Math.log2(
      (mean(curve.subarray(1, critical + 1)) + LEAST_CHANGE) /
        (mean(curve.subarray(critical + 1)) + LEAST_CHANGE),
    );

/** Means of three stages by caption, and how much of the error of two a third one removes. */
export interface HalfStages {
  readonly means: readonly number[];
  /** Mean change of the first stage over the captions that it was cut on. */
  readonly scale: number;
  readonly removed: number;
}

/** Stages cut on the mean curve of one half of the captions, measured on each caption of the other; both ways round. */
export function stagesOfHalves(curves: readonly Float64Array[]): HalfStages[] {
  const side = (parity: number): Float64Array[] =>
    curves.filter((_, i) => i % 2 === parity).map((curve) => curve.subarray(1));
  return [0, 1].flatMap((parity) => {
    const from = side(1 - parity);
    const curve = from[0].map((_, b) => mean(from.map((own) => own[b])));
    const [two, three] = [2, 3].map((segments) => segment(curve, { segments }).starts);
    const scale = Math.max(meansOf(curve, three)[0], LEAST_CHANGE);
    return side(parity).map((own) => {
      const whole = errorOf(own, two);
      return { means: meansOf(own, three), scale, removed: whole > 0 ? 1 - errorOf(own, three) / whole : 0 };
    });
  });
}

function partsOf(curve: Float64Array, starts: readonly number[]): Float64Array[] {
  return starts.map((start, k) => curve.subarray(start, starts[k + 1] ?? curve.length));
}

const meansOf = (curve: Float64Array, starts: readonly number[]): number[] =>
  partsOf(curve, starts).map(mean);

/** Squared error of a caption's own means in the given stages, per degree of freedom. */
function errorOf(curve: Float64Array, starts: readonly number[]): number {
  const error = partsOf(curve, starts).reduce((sum, part) => {
    const level = mean(part);
    return sum + part.reduce((own, value) => own + (value - level) ** 2, 0);
  }, 0);
  return error / (curve.length - starts.length);
}

export function skipOf(
  { skips }: EvolutionData,
  name: string,
):
  | { readonly own: SkippedCaptions; readonly control?: SkippedCaptions; readonly because: string }
  | { readonly own?: undefined; readonly control?: undefined; readonly because: string } {
  const found = skips.find(({ own }) => own.plan.name === name);
  return found
    ? { ...found, because: "there are not as many other blocks to skip" }
    : { because: "the plan skips nothing here, or was not run" };
}

export const isHierarchical = ({ longest, medianStep }: PathSteps, times: number): boolean =>
  longest.share > times * medianStep;

/** Token numbers by caption, of captions with two tokens or more. */
export function perCaption({ tokens }: EvolutionData): number[][] {
  const found = new Map<number, number[]>();
  tokens.caption.forEach((c, t) => {
    const own = found.get(c);
    if (own) own.push(t);
    else found.set(c, [t]);
  });
  return [...found.values()].filter((own) => own.length > 1);
}

/** Some items of `(states, items, width)`. */
export function columnsOf({ data, shape: [depth, count, width] }: Tensor, items: readonly number[]): Tensor {
  const out = new Float32Array(depth * items.length * width);
  for (let s = 0; s < depth; s++)
    items.forEach((item, i) => {
      const from = (s * count + item) * width;
      out.set(data.subarray(from, from + width), (s * items.length + i) * width);
    });
  return { data: out, shape: [depth, items.length, width] };
}

/** The states after the first block: its step, off the embedding, is long in any model. */
export function withoutEmbedding({ data, shape: [depth, count, width] }: Tensor): Tensor {
  return { data: data.subarray(count * width), shape: [depth - 1, count, width] };
}

export const at = ({ data, shape }: Matrix, row: number, column: number): number =>
  data[row * shape[1] + column];

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}
