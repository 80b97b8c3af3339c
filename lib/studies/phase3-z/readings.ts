/** The study's runs on one checkpoint: patches, shifts, updates, lengthscales and the bridge. */
import {
  absoluteThreshold,
  axisEnergy,
  coordinates,
  fitLengthscales,
  holdOut,
  type KernelSide,
  type Matrix,
  mmdSquared,
  residualRatios,
  type SamplePair,
  stack,
  survivingDimensions,
  takeRows,
  warmStart,
} from "../../analysis/index.js";
import type { TaskOptions } from "../../progress.js";
import type { Grading } from "../../tasks/index.js";
import type { Untestable } from "../evidence.js";
import type { Arm, Part } from "./arms.js";
import type {
  BridgePart,
  LengthscalesPart,
  PatchedSides,
  PatchesPart,
  ShiftsPart,
  UpdatesPart,
} from "./parts.js";
import { type PatchOutcome, patchArms, patchOutcomes } from "./patch.js";
import { STOPS } from "./problems.js";
import { phase3Document } from "./rules.js";
import { allDonorShifts, type ShiftOptions, shiftValues } from "./shift.js";
import type { PooledStates, States } from "./states.js";
import type { Subject } from "./subject.js";

/** Which Z is patched, and how many random subspaces beside it. */
export interface PatchPlan {
  readonly layer: number;
  readonly k: number;
  readonly align?: Arm["align"];
  /** Side of the kernels that Z is taken from. Default the key side. */
  readonly side?: KernelSide;
  readonly randomSets: number;
}

/** Z and its complement, random subspaces and theirs, and everything. */
export function matchedArms({ layer, k, align = "mean", side, randomSets }: PatchPlan): Arm[] {
  const arm = (part: Part, draw?: number): Arm => ({
    layer,
    k,
    part,
    align,
    side,
    ...(draw === undefined ? {} : { draw }),
  });
  const draws = Array.from({ length: randomSets }, (_, i) => i);
  return [arm("Z"), arm("Z⊥"), arm("full"), ...draws.flatMap((i) => [arm("R", i), arm("R⊥", i)])];
}

/** The readings of {@link matchedArms}, in its order. */
function sidesOf<T>(readings: readonly (readonly T[])[], problems: readonly string[]): PatchedSides<T> {
  const [set, complement, full, ...random] = readings;
  return {
    chosen: { set, complement },
    random: random.flatMap((own, i) => (i % 2 === 0 ? [{ set: own, complement: random[i + 1] }] : [])),
    full,
    problems,
  };
}

export interface PatchReading extends TaskOptions {
  readonly problems: readonly string[];
  /** The unpatched answers. */
  readonly clean: readonly Grading[];
  readonly maxNewTokens: number;
  readonly rowsPerCall?: number;
}

/** Generates under every arm, patched from the same problem in Chinese. */
export async function readPatches(
  subject: Subject,
  plan: PatchPlan,
  { problems, clean, maxNewTokens, rowsPerCall, onProgress, signal }: PatchReading,
): Promise<PatchesPart> {
  const options = { maxNewTokens, rowsPerCall, stopStrings: STOPS, onProgress, signal };
  const patched = await patchArms(subject, matchedArms(plan), options);
  const outcomes = patched.map(({ graded }): PatchOutcome[] => patchOutcomes(clean, graded));
  const [set, complement, full] = patched.map(({ graded }) => graded);
  return { ...sidesOf(outcomes, problems), clean, patched: { set, complement, full } };
}

/** Shifts from all donors, under every arm; under Z⊥ where it is drawn. */
export async function readShifts(
  subject: Subject,
  plan: PatchPlan,
  { drawn, ...options }: ShiftOptions & { readonly drawn: boolean },
): Promise<ShiftsPart | Untestable> {
  const known = options.words.filter((own) => own !== undefined).length;
  if (known < 2 || new Set(options.firstTokens).size < 3)
    return { untestable: `${known} problems are answered with their number in words that can be read again` };
  // A random complement holds nearly everything, and a shift asks only what the small subspaces hold.
  const arms = matchedArms(plan).filter(({ part }) => part !== "R⊥" && (drawn || part !== "Z⊥"));
  const shifted = await allDonorShifts(subject, arms, options);
  const under = (part: Part): number[][] =>
    shifted.filter(({ arm }) => arm.part === part).map((own) => shiftValues(own).values);
  const [[z], [complement], [full], random] = [under("Z"), under("Z⊥"), under("full"), under("R")];
  const problems = shiftValues(shifted[0]).clusters.map(String);
  return { z, ...(complement ? { complement } : {}), full, random, problems };
}

/** R(k) of all prompts in both languages. */
export function readUpdates(
  states: Readonly<Record<"en" | "zh", Pick<PooledStates, "means">>>,
  bases: { readonly z: Matrix; readonly random: readonly Matrix[]; readonly others: readonly Matrix[] },
  problems: readonly string[],
): UpdatesPart {
  const { en, zh } = states;
  const means = en.means.map((own, l) => stack([own, zh.means[l]]));
  const [n, d] = means[0].shape;
  const all = { data: stack(means).data, shape: [means.length, n, d] };
  const ratios = (basis: Matrix): number[][] =>
    residualRatios(all, basis).perPrompt.map((row) => Array.from(row));
  return {
    z: ratios(bases.z),
    random: bases.random.map(ratios),
    others: bases.others.map(ratios),
    chance: Math.sqrt(bases.z.shape[0] / (d - bases.z.shape[0])),
    problems: [...problems, ...problems],
    languages: [...problems.map(() => "en" as const), ...problems.map(() => "zh" as const)],
  };
}

/** What lengthscales are fitted on: the tokens of each problem, Chinese and English. */
export interface Clouds {
  readonly fit: readonly SamplePair[];
  readonly heldOut: readonly SamplePair[];
}

/** Tokens of the first problems at a layer, half of them held out. The first token is left out: its norm is an outlier. */
export function cloudsOf({ en, zh }: States, layer: number, count: number, seed: number): Clouds {
  const tail = ({ data, shape: [rows, width] }: Matrix): Matrix => ({
    data: data.subarray(width),
    shape: [rows - 1, width],
  });
  const [english, chinese] = [en, zh].map(({ tokens }) => tokens.get(layer) ?? []);
  const all = english.slice(0, count).map((own, i) => ({ x: tail(chinese[i]), y: tail(own) }));
  const { fit, test } = holdOut(all, { share: 0.5, seed });
  return { fit, heldOut: test };
}

export interface LengthscaleOptions extends TaskOptions {
  readonly basis: Matrix;
  readonly random: readonly Matrix[];
  readonly seed: number;
  /** Fit the objective as the document writes it too, cold and warm, for each λ. */
  readonly asWritten?: boolean;
  /** Tokens of other layers, to be fitted too. */
  readonly layers?: ReadonlyMap<number, Clouds>;
}

/** Fits lengthscales to a plateau, and reads them on the held-out problems and against Z. */
export async function readLengthscales(
  { fit: clouds, heldOut }: Clouds,
  { basis, random, seed, asWritten = false, layers = new Map(), onProgress, signal }: LengthscaleOptions,
): Promise<LengthscalesPart> {
  const { ard, rules } = phase3Document();
  const options = {
    learningRate: ard.learningRate,
    maxSteps: rules.ardCap,
    comparisons: rules.ardComparisons,
    seed,
    onProgress,
    signal,
  };
  const middle = ard.lambdas[Math.floor(ard.lambdas.length / 2)];
  const [fit] = await fitLengthscales(clouds, [{ lambda: middle }], { ...options, holdBandwidth: true });
  const starts = [{ start: "cold" as const }, { start: "warm" as const, log: warmStart(basis) }];
  const tasks = ard.lambdas.flatMap((lambda) => starts.map((own) => ({ lambda, ...own })));
  const fits = asWritten
    ? await fitLengthscales(
        clouds,
        tasks.map((own) => ({ lambda: own.lambda, ...("log" in own ? { start: own.log } : {}) })),
        options,
      )
    : [];
  const sizes: { layer: number; size: number }[] = [];
  for (const [layer, own] of layers) {
    const [there] = await fitLengthscales(own.fit, [{ lambda: middle }], { ...options, holdBandwidth: true });
    const surviving = survivingDimensions(there.lengthscales, absoluteThreshold(there.lengthscales.length));
    sizes.push({ layer, size: surviving.length });
  }
  const [k, d] = basis.shape;
  const shortest = Array.from(fit.lengthscales.keys())
    .sort((a, b) => fit.lengthscales[a] - fit.lengthscales[b])
    .slice(0, k);
  const inShortest = (own: Matrix): number[] => {
    const share = axisEnergy(own);
    return shortest.map((j) => (share[j] * d) / k);
  };
  const mmds = (own: Float64Array): number[] => {
    const raw = own.map((value, j) => value * fit.scales[j]);
    return heldOut.map((pair) => mmdSquared(pair, raw));
  };
  return {
    fit,
    asWritten: fits.map((own, i) => ({ start: tasks[i].start, fit: own })),
    sizes,
    heldOut: { fitted: mmds(fit.lengthscales), equal: mmds(fit.start) },
    overlap: { values: inShortest(basis), nulls: random.map(inShortest) },
    dimensions: d,
    k,
  };
}

/** Mean states in Z's coordinates, the first of each problem's wordings. */
export function readBridge(
  { en, zh }: Readonly<Record<"en" | "zh", Pick<PooledStates, "means">>>,
  layer: number,
  basis: Matrix,
  problems: readonly string[],
): BridgePart {
  const first = problems.flatMap((id, i) => (problems.indexOf(id) === i ? [i] : []));
  const of = (own: Matrix): Matrix => coordinates(takeRows(own, first), basis);
  return { english: of(en.means[layer]), chinese: of(zh.means[layer]) };
}
