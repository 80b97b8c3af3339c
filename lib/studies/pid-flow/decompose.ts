/** From measurements to decompositions: Gaussianisation, tests of joint normality, atoms with joint resamples. */
import {
  couplingFlow,
  gaussianise,
  type JointNormality,
  jointNormality,
  type PidBootstrap,
  type PidSamples,
  pidBootstrap,
} from "../../analysis/index.js";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, type OptionChecks, oneOf, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { type Measurements, samplesAt, type TaskMeasurement } from "./measurements.js";

export interface DecomposeOptions extends TaskOptions {
  /**
   * `"ranks"`: normal scores on given or independent axes, kept where held-out information rises. `"coupling"`: coupling flows
   * trained on the pairwise likelihood, which take a minute for each state of a large set. `"none"`. Default `"ranks"`.
   */
  readonly flow?: "ranks" | "coupling" | "none";
  /** Resamples of the bootstrap. Default 60. */
  readonly draws?: number;
  /** Default 0. */
  readonly seed?: number;
}

/** One task: decompositions with the samples and tests that they rest on. */
export interface TaskDecomposition {
  readonly task: string;
  readonly clusters: readonly string[];
  /** By state, Gaussianised. */
  readonly samples: readonly PidSamples[];
  readonly normality: readonly JointNormality[];
  /** Sets are states. */
  readonly pids: PidBootstrap;
}

/** The last state of one task: clean, with the route cut, with the control, on the same questions. */
export interface KnockoutDecomposition {
  readonly task: string;
  readonly clusters: readonly string[];
  readonly normality: readonly JointNormality[];
  /** Sets: clean, cut, control. */
  readonly pids: PidBootstrap;
  readonly right: Readonly<Record<"clean" | "cut" | "control", readonly boolean[]>>;
}

/** A checkpoint decomposed. */
export interface Decomposition {
  readonly depths: readonly number[];
  readonly tasks: readonly TaskDecomposition[];
  readonly variant: readonly TaskDecomposition[];
  readonly twins: readonly (readonly TaskDecomposition[])[];
  readonly variantTwins: readonly (readonly TaskDecomposition[])[];
  readonly knockouts: readonly KnockoutDecomposition[];
  /** Tasks that could not be decomposed, and why. */
  readonly refused: readonly { readonly task: string; readonly why: string }[];
}

export const DECOMPOSE_OPTIONS: OptionChecks<DecomposeOptions> = {
  ...TASK_OPTIONS,
  flow: oneOf("ranks", "coupling", "none"),
  draws: integer(1),
  seed: integer(),
};

/** Decomposes every task at every state. A task that is refused (too few rows, a constant source) is named, with the reason. */
export async function decompose(
  { tasks, depths, variant = [], twins = [], variantTwins = [] }: Measurements,
  options: DecomposeOptions = {},
): Promise<Decomposition> {
  checkOptions("decompose", options, DECOMPOSE_OPTIONS);
  const refused: { task: string; why: string }[] = [];
  const kept = async <T>(
    all: readonly TaskMeasurement[],
    what: string,
    made: (own: TaskMeasurement) => Promise<T>,
  ): Promise<T[]> => {
    const out: T[] = [];
    for (const own of all) {
      options.signal?.throwIfAborted();
      try {
        out.push(await made(own));
      } catch (error) {
        if (!(error instanceof ModalscopeError)) throw error;
        refused.push({ task: `${own.task}${what}`, why: error.message });
      }
      options.onProgress?.(out.length, all.length, `decompose${what}`);
    }
    return out;
  };
  const whole = (own: TaskMeasurement): Promise<TaskDecomposition> => decomposeTask(own, options);
  const edited = tasks.filter(({ cut, control }) => cut && control);
  const decomposed = await kept(tasks, "", whole);
  const others = await kept(variant, ", variant", whole);
  const each = async (all: readonly (readonly TaskMeasurement[])[], what: string) => {
    const out: TaskDecomposition[][] = [];
    for (const one of all) out.push(await kept(one, what, whole));
    return out;
  };
  const twinsOf = await each(twins, ", twin");
  const variantTwinsOf = await each(variantTwins, ", twin of the variant");
  const knockouts = await kept(edited, ", knockout", (own) => decomposeKnockout(own, options));
  return {
    depths,
    tasks: decomposed,
    variant: others,
    twins: twinsOf,
    variantTwins: variantTwinsOf,
    knockouts,
    refused,
  };
}

async function decomposeTask(
  { task, clusters, clean }: TaskMeasurement,
  options: DecomposeOptions,
): Promise<TaskDecomposition> {
  const raw = clean.vision.map((_, state) => samplesAt(clean, state));
  const { samples, ...found } = await decomposeSets(raw, clusters, options);
  return { task, clusters, samples, ...found };
}

async function decomposeKnockout(
  { task, clusters, clean, cut, control }: TaskMeasurement,
  options: DecomposeOptions,
): Promise<KnockoutDecomposition> {
  const runs = [clean, cut!, control!];
  const raw = runs.map((run) => samplesAt(run, run.vision.length - 1));
  const { normality, pids } = await decomposeSets(raw, clusters, options);
  const [a, b, c] = runs.map(({ right }) => right);
  return { task, clusters, normality, pids, right: { clean: a, cut: b, control: c } };
}

async function decomposeSets(
  raw: readonly PidSamples[],
  clusters: readonly string[],
  { flow = "ranks", draws = 60, seed = 0, signal }: DecomposeOptions,
): Promise<Pick<TaskDecomposition, "samples" | "normality" | "pids">> {
  const own = new Set(clusters).size < clusters.length ? clusters : undefined;
  const samples: PidSamples[] = [];
  for (const set of raw)
    samples.push(
      flow === "none"
        ? set
        : flow === "ranks"
          ? gaussianise(set, { clusters: own, seed, folds: FOLDS }).samples
          : (await couplingFlow(set, { clusters: own, seed, signal })).samples,
    );
  return {
    samples,
    normality: samples.map((set) => jointNormality(set, { seed })),
    pids: pidBootstrap(samples, { clusters: own, draws, seed }),
  };
}

/** Parts of the rows for Gaussianisation: four cost half of what eight do, and a hundredth of a bit. */
const FOLDS = 4;
