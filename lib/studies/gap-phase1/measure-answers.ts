/** The experiments that change what a model sees and look at its answers. */
import { jaccard, mostUsed } from "../../analysis/index.js";
import { logProb, sweep } from "../../model/index.js";
import {
  type Corruption,
  type Expert,
  type ExpertChoices,
  expertChoicesByGroup,
  expertSilencing,
  firstTokenRight,
  type Injections,
  pruningPlans,
  truncation,
} from "../../model/methods/index.js";
import { callback, checkOptions, list, listOf, number, oneOf, required } from "../../options.js";
import { LAYERS } from "../../study-options.js";
import type { VisualTask } from "../../tasks/index.js";
import { sizeMatchedSets, type Untestable } from "../index.js";
import { blocksBetween, nearestBlock, READOUT, truncationBlocks } from "./depths.js";
import type { Pruning, Silencing, Tracing, Truncated, Truncation, TruncationKind, Twins } from "./parts.js";
import { atPoints } from "./shares.js";
import {
  ask,
  blindTasks,
  bySample,
  type GapSample,
  inCalls,
  messages,
  partners,
  type Subject,
  samplesOf,
  tasksOf,
} from "./subject.js";

/** 1 for each question that is answered right. */
export async function rightAnswers(
  { model, ...calls }: Pick<Subject, "model" | "rowsPerCall" | "store">,
  name: string,
  tasks: readonly VisualTask[],
): Promise<readonly number[]> {
  const { clean } = await inCalls(calls, name, tasks.length, async (from, to) => {
    const { batch, answers } = await ask(model, tasks.slice(from, to));
    const { logits } = await model.run(batch, { logits: "last" });
    return { rows: [], clean: Array.from(firstTokenRight(answers).value(logits!)) };
  });
  return clean;
}

export type TracingCorruption = "image" | "noise" | "zero" | "mean";

/** Noise as a multiple of the tokens' spread: Meng et al.'s three. */
const NOISE = 3;

/**
 * Causal tracing: log p(answer) with the visual tokens corrupted from each block on; by default with another image's.
 * Images without another one of as many tokens, among those that run together, are left out.
 */
export async function measureTracing(
  { model, samples, heldOut, ...calls }: Subject,
  options: {
    readonly kind?: TracingCorruption;
    readonly layers?: readonly number[];
    readonly injections?: Injections;
    /** `truncation`, or `restoration`. */
    readonly method?: typeof truncation;
  } = {},
): Promise<Tracing | Untestable> {
  checkOptions("measureTracing", options, {
    kind: oneOf("image", "noise", "zero", "mean"),
    layers: LAYERS,
    injections: oneOf("corrupted", "clean"),
    method: callback,
  });
  const { kind = "image", layers = model.layers, injections, method = truncation } = options;
  const tasks = tasksOf(samples);
  const name = `tracing-${method.name}-${kind}-${injections ?? ""}`;
  const asked = { count: tasks.length, points: layers };
  const { rows } = await atPoints(calls, name, asked, async (blocks, from, to) => {
    const own = tasks.slice(from, to);
    const { batch, answers } = await ask(model, own);
    const swapped = partners(batch);
    const images = own.map((task, b) => ({ ...task, images: own[swapped[b]].images }));
    const corruption: Corruption =
      kind === "image"
        ? { kind, from: await model.prepare(messages(images)) }
        : kind === "noise"
          ? { kind, times: NOISE }
          : replacement(kind, heldOut);
    const { delta, clean } = await method(model, batch, {
      corruption,
      metric: logProb(answers),
      layers: blocks,
      injections,
    });
    const alone = (b: number): boolean => kind === "image" && swapped[b] === b;
    return { rows: bySample(delta).map((row, b) => (alone(b) ? [] : row)), clean: Array.from(clean) };
  });
  const kept = samples.flatMap((_, i) => (rows[i].length > 0 ? [i] : []));
  if (kept.length === 0) return { untestable: "no two images have as many visual tokens" };
  return { ...samplesOf(kept.map((i) => samples[i])), delta: kept.map((i) => rows[i]) };
}

/** The replacement of visual tokens in truncation; means are over held-out questions. */
function replacement(kind: TruncationKind, heldOut: readonly GapSample[]): Corruption {
  return kind === "mean" ? { kind, prompts: messages(tasksOf(heldOut)) } : { kind };
}

/** Answers with visual tokens truncated, by replacement and block. */
export async function measureTruncation(
  subject: Subject,
  options: { readonly kinds: readonly TruncationKind[]; readonly layers?: readonly number[] },
): Promise<Truncation> {
  checkOptions("measureTruncation", options, {
    kinds: required(listOf(oneOf("mean", "zero", "hidden"), 1), "a list of kinds"),
    layers: LAYERS,
  });
  const { kinds, layers } = options;
  const { model, samples, heldOut } = subject;
  const blocks = model.layers.length;
  const tasks = tasksOf(samples);
  const by: Partial<Record<TruncationKind, Truncated>> = {};
  let right: readonly number[] = [];
  for (const kind of kinds) {
    const own = layers ?? (kind === "mean" ? truncationBlocks(blocks) : placesOfStep(blocks));
    const asked = { count: tasks.length, points: own };
    const found = await atPoints(subject, `truncation-${kind}`, asked, async (points, from, to) => {
      const { batch, answers } = await ask(model, tasks.slice(from, to));
      const { values, clean } = await truncation(model, batch, {
        corruption: replacement(kind, heldOut),
        metric: firstTokenRight(answers),
        layers: points,
      });
      return { rows: bySample(values), clean: Array.from(clean) };
    });
    by[kind] = { layers: own, right: found.rows };
    right = found.clean;
  }
  const blind = await rightAnswers(subject, "blind", blindTasks(samples));
  return { ...samplesOf(samples), blocks, right, blind, by };
}

/** Blocks that a step is looked for at by the other replacements: half of the depth, and the window. */
const placesOfStep = (blocks: number): number[] =>
  truncationBlocks(blocks).filter((l) => l >= nearestBlock(24, blocks));

/**
 * Answers to text-only twins with their passage's tokens truncated, beside what their images gave.
 * @param given.blind by question, what was answered without its image
 */
export async function measureTwins(
  subject: Subject,
  given: { readonly image: Truncated; readonly blind: readonly number[] },
): Promise<Twins | Untestable> {
  const { image, blind } = given;
  const { model, samples, heldOut } = subject;
  const withTwin = samples.flatMap(({ twin }, i) => (twin ? [{ twin, i }] : []));
  const others = heldOut.filter(({ twin }) => twin);
  if (withTwin.length < 2 || others.length === 0)
    return { untestable: "the data set does not say in words what its images show" };
  const own = withTwin.map(({ i }) => samples[i]);
  const { layers } = image;
  const prompts = messages(others.map(({ twin }) => twin!));
  const asked = { count: own.length, points: layers };
  const text = await atPoints(subject, "twins", asked, async (points, from, to) => {
    const { batch, answers } = await ask(
      model,
      withTwin.slice(from, to).map(({ twin }) => twin),
    );
    const { values, clean } = await truncation(model, batch, {
      corruption: { kind: "mean", prompts },
      metric: firstTokenRight(answers),
      layers: points,
      tokens: ({ passage }) => passage,
    });
    return { rows: bySample(values), clean: Array.from(clean) };
  });
  return {
    ...samplesOf(own),
    blocks: model.layers.length,
    right: text.clean,
    blind: withTwin.map(({ i }) => blind[i]),
    text: { layers, right: text.rows },
    image: { layers, right: withTwin.map(({ i }) => image.right[i]) },
  };
}

/**
 * Answers with some of the visual tokens up to the window, by rule and share.
 * @param options.halfTruncated by question, what is answered without visual tokens from half of the depth on; NaN while
 * only a share of the points is measured
 */
export async function measurePruning(
  subject: Subject,
  options: { readonly halfTruncated: readonly number[]; readonly keep?: readonly number[] },
): Promise<Pruning> {
  checkOptions("measurePruning", options, {
    halfTruncated: required(list, "a list of numbers"),
    keep: listOf(number(0, 1), 1),
  });
  const { halfTruncated, keep = [0.5] } = options;
  const { model, samples } = subject;
  const tasks = tasksOf(samples);
  const until = nearestBlock(36, model.layers.length);
  const planned = { rules: PRUNING_RULES, keep, from: [1], until };
  // What a plan costs is that of a usual question.
  const costs = await pruningPlans(model, (await ask(model, tasks.slice(0, 1))).batch, planned);
  const asked = { count: tasks.length, points: [...costs.keys()] };
  const { rows, clean } = await atPoints(subject, "pruning", asked, async (points, from, to) => {
    const { batch, answers } = await ask(model, tasks.slice(from, to));
    const plans = await pruningPlans(model, batch, planned);
    const found = await sweep(model, batch, {
      over: points.map((p) => plans[p]),
      edit: ({ edits }) => edits,
      metric: firstTokenRight(answers),
    });
    return { rows: bySample(found.values), clean: Array.from(found.clean) };
  });
  return {
    ...samplesOf(samples),
    right: clean,
    halfTruncated,
    plans: costs.map(({ rule, keep: share, equivalentTokens, compute }, p) => ({
      rule: rule.kind,
      keep: share,
      right: rows.map((row) => row[p]),
      equivalentTokens,
      compute,
    })),
  };
}

const PRUNING_RULES = [{ kind: "random" }, { kind: "attention" }, { kind: "grid" }] as const;

/** Size-matched sets of experts to silence. */
const RANDOM_SETS = 5;

/**
 * Answers lost without the experts that visual tokens use most in the window, beside random ones of the same blocks and
 * load; the experts are chosen on other questions.
 */
export async function measureSilencing(subject: Subject, blind: readonly number[]): Promise<Silencing> {
  const { model, samples } = subject;
  const tasks = tasksOf(samples);
  const { chosen, random } = await windowExperts(subject);
  const sides = [chosen, ...random];
  const sets = sides.flatMap(({ set, complement }) => [set, complement]);
  const asked = { count: tasks.length, points: [...sets.keys()] };
  const { rows, clean } = await atPoints(subject, "silencing", asked, async (points, from, to) => {
    const { batch, answers } = await ask(model, tasks.slice(from, to));
    const found = await expertSilencing(model, batch, {
      sets: points.map((s) => sets[s]),
      metric: firstTokenRight(answers),
    });
    return { rows: bySample(found.values), clean: Array.from(found.clean) };
  });
  const lost = (now: (b: number) => number): number[] =>
    clean.map((right, b) => (right === 1 && now(b) === 0 ? 1 : 0));
  const arms = sides.map((_, s) => ({
    set: lost((b) => rows[b][2 * s]),
    complement: lost((b) => rows[b][2 * s + 1]),
  }));
  return {
    clusters: samplesOf(samples).clusters,
    full: lost((b) => blind[b]),
    chosen: arms[0],
    random: arms.slice(1),
    experts: chosen.set.map(({ layer, expert }) => `${layer}.${expert}`),
  };
}

/** Of each of the window's blocks as many experts as a token has, those that visual tokens use most; and sets like them. */
async function windowExperts({
  model,
  heldOut,
}: Subject): Promise<ReturnType<typeof sizeMatchedSets<Expert>>> {
  const window = blocksBetween(READOUT.from, READOUT.to, model.layers.length);
  const batch = await model.prepare(messages(tasksOf(heldOut)));
  const groups = { visual: batch.visual, all: "all" } as const;
  const { visual, all } = await expertChoicesByGroup(model, batch, groups, { layers: window });
  const loads = all.map(countsOf);
  const items: Expert[] = all.flatMap(({ layer, experts }) =>
    Array.from({ length: experts }, (_, expert) => ({ layer, expert })),
  );
  const chosen = visual.flatMap((choices) => {
    const used = mostUsed(countsOf(choices), choices.chosen[0].shape[1]);
    return items.filter(({ layer, expert }) => layer === choices.layer && used.includes(expert));
  });
  return sizeMatchedSets(items, chosen, {
    count: RANDOM_SETS,
    stratum: ({ layer }) => layer,
    weight: ({ layer, expert }) => loads[window.indexOf(layer)][expert],
  });
}

/** Tokens that each expert was chosen for. */
export function countsOf({ experts, chosen }: ExpertChoices): Float64Array {
  const counts = new Float64Array(experts);
  for (const { data } of chosen) for (const expert of data) if (expert >= 0) counts[expert]++;
  return counts;
}

/** Jaccard index of the most used experts of neighbouring blocks. */
export function carriedOn(loads: readonly Float64Array[], most: number): number[] {
  return loads.slice(1).map((own, l) => jaccard(mostUsed(loads[l], most), mostUsed(own, most)));
}
