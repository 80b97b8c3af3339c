/** Sums in images: where can the result be read first? */
import { linearProbe } from "../../analysis/index.js";
import { seeded } from "../../random.js";
import { type SumScene, sums, type VisualTask } from "../../tasks/index.js";
import type { Activity } from "./activity.js";
import type { Arithmetic, Part } from "./measurements.js";
import { activitiesOf, imageColumns, lastColumns } from "./runs.js";
import { drawFor, type Subject } from "./subject.js";

const RESULTS = ["plus", "minus", "times", "divided"] as const;
const FOLDS = 5;

/** The numbers and the operation: sums of the same ones stay together, so that a probe is tried on other sums. */
const sumOf = ({ annotation: { left, operation, right } }: VisualTask<SumScene>): string =>
  `${left}${operation}${right}`;

/** Probes of the result, trained on some sums and tried on others, by layer. */
export async function measureArithmetic(subject: Subject): Promise<Part<Arithmetic>> {
  const { model, set, seed } = subject;
  const drawn = drawFor(subject, sums, { types: RESULTS, count: 2 * subject.samples, split: "heldout" });
  const pairs = new Map<string, Set<string>>();
  for (const task of drawn)
    pairs.set(task.answers[0], (pairs.get(task.answers[0]) ?? new Set()).add(sumOf(task)));
  const tasks = drawn.filter(({ answers: [result] }) => pairs.get(result)!.size >= FOLDS);
  if (tasks.length < 2 * FOLDS || new Set(tasks.map(({ answers: [result] }) => result)).size < 2)
    return { untestable: `too few sums with the same result among ${drawn.length}` };
  const [image, last] = await activitiesOf(subject, tasks, [imageColumns, lastColumns]);
  const labels = tasks.map(({ answers: [result] }) => result);
  const clusters = tasks.map(sumOf);
  const read = (of: Activity, layer: number, truth: readonly string[]): number[] => {
    const features = {
      data: Float64Array.from(of[layer]),
      shape: [tasks.length, set.layers[layer].features] as const,
    };
    const options = { folds: FOLDS, shuffles: 1, clusters, least: 2 * FOLDS, seed };
    return Array.from(linearProbe(features, truth, options).correct);
  };
  const bySample = (rows: readonly (readonly number[])[]): number[][] =>
    tasks.map((_, i) => rows.map((row) => row[i]));
  const half = Math.floor(model.layers.length / 2);
  return {
    image: bySample(model.layers.map((l) => read(image, l, labels))),
    last: bySample(model.layers.map((l) => read(last, l, labels))),
    shuffled: read(image, half, shuffledBySum(clusters, labels, seed)),
    clusters,
  };
}

/** Every sum with another one's result: those of the same numbers stay together. */
function shuffledBySum(clusters: readonly string[], labels: readonly string[], seed: number): string[] {
  const resultOf = new Map(clusters.map((sum, i) => [sum, labels[i]]));
  const results = seeded(seed).shuffle([...resultOf.values()]);
  const moved = new Map([...resultOf.keys()].map((sum, i) => [sum, results[i]]));
  return clusters.map((sum) => moved.get(sum)!);
}
