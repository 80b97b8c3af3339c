/** The experiments that look and change nothing: geometry, attention, probes, routing. */
import {
  linearProbe,
  type Probe,
  type ProbeOptions,
  routerEntropy,
  routingOverlap,
  tokensAt,
} from "../../analysis/index.js";
import type { Batch, Model } from "../../model/index.js";
import { attentionFlow, expertChoicesByGroup } from "../../model/methods/index.js";
import { seeded } from "../../random.js";
import type { VisualTask } from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";
import type { Untestable } from "../index.js";
import { meanOver } from "./drawing.js";
import { type GeometryOptions, geometryOf } from "./geometry.js";
import { carriedOn, countsOf } from "./measure-answers.js";
import type { Flow, Geometry, Probes, Routing, Rows } from "./parts.js";
import { blindTasks, bySample, messages, type Subject, samplesOf, tasksOf } from "./subject.js";

/** Visual and text tokens of an image or a question that geometry looks at: all states are held in memory. */
const MOST_TOKENS = 64;

const states = (model: Model): string[] => model.layers.map((l) => `blocks.${l}.hook_resid_post`);

/** Geometry of visual and text tokens. */
export async function measureGeometry(
  { model, samples, rowsPerCall }: Subject,
  options: GeometryOptions = {},
): Promise<Geometry | Untestable> {
  if (samples.length < 4) return { untestable: `${samples.length} images say nothing of geometry` };
  const [visual, text] = await tokensOf(model, inParts(tasksOf(samples), rowsPerCall), (batch) => [
    batch.visual.map(spaced),
    textOf(batch).map(spaced),
  ]);
  const [textOnly] = await tokensOf(model, inParts(blindTasks(samples), rowsPerCall), (batch) => [
    textOf(batch).map(spaced),
  ]);
  return geometryOf({ visual, text, textOnly }, options);
}

/** By group of columns and block, each sample's tokens. The states of one part at a time are held whole. */
async function tokensOf(
  model: Model,
  parts: readonly (readonly VisualTask[])[],
  groupsOf: (batch: Batch) => readonly (readonly (readonly number[])[])[],
): Promise<Tensor[][][]> {
  const hooks = states(model);
  const found: Tensor[][][][] = [];
  for (const tasks of parts) {
    const batch = await model.prepare(messages(tasks));
    const { cache } = await model.run(batch, { capture: hooks, logits: "none" });
    found.push(groupsOf(batch).map((columns) => hooks.map((hook) => tokensAt(cache.get(hook), columns))));
  }
  return found[0].map((group, g) => group.map((_, l) => found.flatMap((part) => part[g][l])));
}

/** The items in order, at most so many in a part. */
function inParts<T>(items: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / most) }, (_, i) =>
    items.slice(i * most, (i + 1) * most),
  );
}

/** Tokens that are not visual. */
function textOf({ tokenPositions, visual }: Batch): number[][] {
  return tokenPositions.map((columns, b) => {
    const seen = new Set(visual[b]);
    return columns.filter((c) => !seen.has(c));
  });
}

/** At most so many columns, evenly spaced. */
function spaced(columns: readonly number[]): number[] {
  const count = Math.min(columns.length, MOST_TOKENS);
  return Array.from({ length: count }, (_, i) => columns[Math.floor((i * columns.length) / count)]);
}

/** Attention between text and image. */
export async function measureFlow({ model, samples, rowsPerCall }: Subject): Promise<Flow> {
  const parts: Omit<Flow, "grades" | "clusters">[] = [];
  for (const tasks of inParts(tasksOf(samples), rowsPerCall)) {
    const batch = await model.prepare(messages(tasks));
    const { share, even, layers } = await attentionFlow(model, batch, {
      routes: ["Image→Text", "Text→Image"],
    });
    const size = layers.length * batch.size;
    const route = (r: number): Rows =>
      bySample({ data: share.data.subarray(r * size, (r + 1) * size), shape: [layers.length, batch.size] });
    parts.push({ toImage: route(0), even: Array.from(even.data.subarray(0, batch.size)), toText: route(1) });
  }
  return {
    ...samplesOf(samples),
    toImage: parts.flatMap(({ toImage }) => toImage),
    even: parts.flatMap(({ even }) => even),
    toText: parts.flatMap(({ toText }) => toText),
  };
}

/** Fewest samples of a label: one for each fold. */
const FOLDS = 5;
const SHUFFLES = 5;

/** Probes on the last token of questions that all ask the same. */
export async function measureProbes({ model, probes }: Subject, seed: number): Promise<Probes | Untestable> {
  const counts = new Map<string, number>();
  for (const { label } of probes) counts.set(label, (counts.get(label) ?? 0) + 1);
  const own = probes.filter(({ label }) => counts.get(label)! >= FOLDS);
  if (new Set(own.map(({ label }) => label)).size < 2)
    return { untestable: `fewer than ${FOLDS} images of two kinds` };
  const batch = await model.prepare(messages(own.map(({ task }) => task)));
  const capture = ["hook_embed", ...states(model)].map((hook) => ({ hook, positions: "last" as const }));
  const { cache } = await model.run(batch, { capture, logits: "none" });
  const labels = own.map(({ label }) => label);
  const options = { folds: FOLDS, shuffles: SHUFFLES, least: 2 * FOLDS, seed };
  const found = capture.map(({ hook }) => {
    const features = lastStates(cache.get(hook));
    return probed(features, labels, options);
  });
  const last = lastStates(cache.get(states(model)[model.layers.length - 1]));
  const control = probed(last, seeded(seed).shuffle(labels), { ...options, shuffles: 1 });
  return {
    ...samplesOf(own.map(({ task }) => ({ task, grade: "easy" }))),
    right: own.map((_, i) => found.map(({ correct }) => correct[i])),
    control: Array.from(control.correct),
    chance: found.map(({ chance }) => chance),
  };
}

function probed(
  features: Tensor,
  labels: readonly string[],
  options: ProbeOptions,
): Pick<Probe, "chance"> & { readonly correct: ArrayLike<number> } {
  return allAlike(features) ? commonest(labels) : linearProbe(features, labels, options);
}

/** Up to the rounding of floats: before the first block the last token is the same one in every question. */
function allAlike({ data, shape: [, width] }: Tensor): boolean {
  const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return data.every((value, i) => Math.abs(value - data[i % width]) <= 1e-6 * largest);
}

/** Guesses when nothing can be read: the commonest label. */
function commonest(labels: readonly string[]): {
  readonly correct: readonly number[];
  readonly chance: number;
} {
  const count = (label: string): number => labels.filter((own) => own === label).length;
  const most = labels.reduce((best, label) => (count(label) > count(best) ? label : best));
  return { correct: labels.map((label) => (label === most ? 1 : 0)), chance: count(most) / labels.length };
}

function lastStates({ data, shape: [size, , width] }: Tensor): Tensor {
  return { data, shape: [size, width] };
}

/** Shuffles of the kinds of token, and draws of equally many of both. */
const OVERLAP = { draws: 19, subsamples: 10 } as const;

/** Experts of visual and text tokens, block by block. */
export async function measureRouting({ model, samples }: Subject, seed: number): Promise<Routing> {
  const batch = await model.prepare(messages(tasksOf(samples)));
  const groups = { visual: batch.visual, text: textOf(batch) };
  const { visual, text } = await expertChoicesByGroup(model, batch, groups);
  const overlaps = samples.map((_, b) =>
    visual.map((own, l) =>
      routingOverlap(own.chosen[b], text[l].chosen[b], { experts: own.experts, seed, ...OVERLAP }),
    ),
  );
  const rows = (measure: "jaccard" | "divergence"): Rows =>
    overlaps.map((own) => own.map((overlap) => overlap[measure].value));
  const floor = (measure: "jaccard" | "divergence"): Rows =>
    Array.from({ length: OVERLAP.draws }, (_, d) =>
      visual.map((_, l) => meanOver(overlaps.map((own) => own[l][measure].null[d]))),
    );
  const entropy = (kind: typeof visual): number[] =>
    kind.map(({ logits }) => meanOver(logits.map((own) => meanOver(Array.from(routerEntropy(own))))));
  const perToken = visual[0].chosen[0].shape[1];
  return {
    jaccard: rows("jaccard"),
    divergence: rows("divergence"),
    jaccardFloor: floor("jaccard"),
    divergenceFloor: floor("divergence"),
    entropy: { visual: entropy(visual), text: entropy(text) },
    carriedOn: carriedOn(visual.map(countsOf), 2 * perToken),
  };
}
