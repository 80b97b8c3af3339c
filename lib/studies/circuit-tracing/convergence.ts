/** Late convergence: from which layer do an image and the words for it activate the same features? */
import { encodeFeatures, type FeatureRun } from "../../circuits/index.js";
import { seeded } from "../../random.js";
import {
  animals,
  asMessage,
  inWords,
  planets,
  type SyntheticTask,
  type VisualTask,
} from "../../tasks/index.js";
import type { Convergence } from "./measurements.js";
import { eachChunk } from "./runs.js";
import { drawFor, type Subject } from "./subject.js";

const PAIRINGS = 5;

/** By layer, activation on each feature at an image's tokens, and the features that the words for it activate. */
interface Seen {
  readonly activation: readonly ReadonlyMap<number, number>[];
  readonly words: readonly ReadonlySet<number>[];
}

export async function measureConvergence(subject: Subject): Promise<Convergence> {
  const seen = [...(await seenOf(subject, planets)), ...(await seenOf(subject, animals))];
  const random = seeded(subject.seed);
  const order = seen.map((_, i) => i);
  const paired = Array.from({ length: PAIRINGS }, () => {
    const other = random.shuffle([...order]);
    const rows = seen.map((own, i) => sharedBy(own, seen[other[i]]));
    return subject.model.layers.map((l) => rows.reduce((sum, row) => sum + row[l], 0) / rows.length);
  });
  return { joint: seen.map((own) => sharedBy(own, own)), paired };
}

/** By layer, the share of an image's activation that lies on features of some words. */
function sharedBy({ activation }: Seen, { words }: Seen): number[] {
  return activation.map((own, l) => {
    let [shared, all] = [0, 0];
    for (const [feature, value] of own) {
      all += value;
      if (words[l].has(feature)) shared += value;
    }
    return all > 0 ? shared / all : 0;
  });
}

async function seenOf<Scene>(subject: Subject, synthetic: SyntheticTask<Scene>): Promise<Seen[]> {
  const { model, set, samples } = subject;
  const tasks = drawFor(subject, synthetic, {
    types: ["name"],
    count: Math.ceil(samples / 2),
    split: "heldout",
  });
  const out: Seen[] = [];
  await eachChunk(subject, tasks, async ({ first, batch }) => {
    const words = tasks.slice(first, first + batch.size).map((task): VisualTask => inWords(synthetic, task));
    const twins = await model.prepare(words.map((task) => [asMessage(task)]));
    const image = byFeature(await encodeFeatures(model, batch, set), batch.visual);
    const text = byFeature(await encodeFeatures(model, twins, set), twins.passage);
    image.forEach((activation, row) => {
      out.push({ activation, words: text[row].map((own) => new Set(own.keys())) });
    });
  });
  return out;
}

/** By row and layer, the sum of each active feature's activation over some columns. */
function byFeature(
  { batch, tokens, layers }: FeatureRun,
  columns: readonly (readonly number[])[],
): Map<number, number>[][] {
  const counted = columns.map((own) => new Set(own));
  const out = Array.from({ length: batch.size }, () => layers.map(() => new Map<number, number>()));
  tokens.forEach(({ row, column }, t) => {
    if (!counted[row].has(column)) return;
    for (const [l, { offsets, ids, values }] of layers.entries())
      for (let i = offsets[t]; i < offsets[t + 1]; i++)
        out[row][l].set(ids[i], (out[row][l].get(ids[i]) ?? 0) + values[i]);
  });
  return out;
}
