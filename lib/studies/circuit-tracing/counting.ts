/** Counting, and hands with six fingers: the prior, the cut, and what the cut costs elsewhere. */
import type { Batch } from "../../model/index.js";
import { blind, type CountScene, hands, type VisualTask } from "../../tasks/index.js";
import {
  activityOf,
  answers,
  conceptFeatures,
  type EditedRun,
  eachChunk,
  editedRuns,
  imageColumns,
  lastColumns,
  type MatchedFeatures,
  matchedFeatures,
  meanActivity,
  standardised,
} from "./activity.js";
import type { Counting, RandomArms } from "./measurements.js";
import { drawFor, forSamples, layersBetween, type Subject } from "./subject.js";
import { suppression } from "./values.js";

const DISCOVERY = 200;
const LEAST_DISCOVERY = 64;
const THINGS = ["apples", "dots", "stripes"] as const;
const [ONE, SIX, SEVEN, FIVE] = ["1", "6", "7", "5"];

export async function measureCounting(subject: Subject): Promise<Counting> {
  const draw = (
    types: readonly string[],
    count: number,
    split: "train" | "heldout" = "heldout",
  ): VisualTask<CountScene>[] => drawFor(subject, hands, { types, count, split });
  const six = draw(["six"], subject.samples);
  const five = draw(["fingers"], subject.samples);
  const others = draw(THINGS, 2 * subject.samples);
  const seen = draw(["fingers", ...THINGS], forSamples(subject, DISCOVERY, LEAST_DISCOVERY), "train");
  const hand = await handFeatures(subject, seen);
  const [onSix, onFive, onOthers] = [
    await runsOf(subject, six),
    await runsOf(subject, five),
    await runsOf(subject, others),
  ];
  const clean = await onSix();
  const otherLogits = await onOthers();
  const sixes = others.flatMap(({ annotation }, i) => (annotation.count === 6 ? [otherLogits[i]] : []));
  const logit = (row: Float32Array, digit: string): number => row[tokenOf(subject, digit)] - meanOf(row);
  const runs: Float32Array[][] = [];
  for (const { set } of [hand.chosen, ...hand.random]) runs.push(await onSix(set));
  const inArms = <T extends number | boolean>(of: (rows: readonly Float32Array[]) => T[]): RandomArms => {
    const [chosen, ...random] = runs.map(of);
    return { chosen, random };
  };
  const right = (tasks: readonly VisualTask[], rows: readonly Float32Array[]): boolean[] =>
    rows.map((row, i) => answers(subject, row, tasks[i].answers[0]));
  const cut = hand.chosen.set;
  return {
    six: clean.map((row) => logit(row, SIX) - (logit(row, ONE) + logit(row, SEVEN)) / 2),
    counted: sixes.map((row) => logit(row, SIX) - (logit(row, ONE) + logit(row, SEVEN)) / 2),
    right: right(others, otherLogits),
    blind: right(others, await (await runsOf(subject, others.map(blind)))()),
    fall: inArms((rows) => rows.map((row, i) => logit(clean[i], FIVE) - logit(row, FIVE))),
    mended: inArms((rows) => right(six, rows)),
    five: { cut: right(five, await onFive(cut)), clean: right(five, await onFive()) },
    elsewhere: { cut: right(others, await onOthers(cut)), clean: right(others, otherLogits) },
    two: await twoOn(subject, seen, [six, others]),
  };
}

/** Features of a hand at image tokens, in all layers. */
async function handFeatures(
  subject: Subject,
  seen: readonly VisualTask<CountScene>[],
): Promise<MatchedFeatures> {
  const { layers } = subject.model;
  const activity = await activityOf(subject, seen, imageColumns);
  const side = seen.map(({ annotation }) => annotation.counted === "fingers");
  const chosen = conceptFeatures(activity, side, { layers, count: subject.settings.features });
  return matchedFeatures(activity, chosen, { layers, subject, rows: seen.length });
}

/** Last logits of tasks, with features suppressed at their image tokens. */
type Suppressed = (features?: MatchedFeatures["chosen"]["set"]) => Promise<Float32Array[]>;

async function runsOf(subject: Subject, tasks: readonly VisualTask[]): Promise<Suppressed> {
  const chunks: { readonly batch: Batch; readonly runUnder: EditedRun }[] = [];
  await eachChunk(subject, tasks, async ({ batch }) => {
    chunks.push({ batch, runUnder: await editedRuns(subject, batch) });
  });
  return async (features = []) => {
    const rows: Float32Array[] = [];
    for (const { batch, runUnder } of chunks) {
      const own = batch.visual.map(() => features);
      const edits = features.length > 0 ? suppression(subject.set, batch, own, batch.visual) : {};
      rows.push(...(await runUnder(edits)).map((row) => row.slice()));
    }
    return rows;
  };
}

/** Activation of two's features, chosen on other things, on hands and on single other things. */
async function twoOn(
  subject: Subject,
  seen: readonly VisualTask<CountScene>[],
  [six, others]: readonly (readonly VisualTask<CountScene>[])[],
): Promise<Counting["two"]> {
  const activity = await activityOf(subject, seen, lastColumns);
  const side = seen.map(({ annotation: { counted, count } }) =>
    counted === "fingers" ? undefined : count === 2,
  );
  const layers = layersBetween(subject.model, 0, 1);
  const features = conceptFeatures(activity, side, { layers, count: subject.settings.features });
  const single = others.filter(({ annotation }) => annotation.count === 1);
  const tasks = [...six, ...single];
  const { z } = standardised(
    meanActivity(await activityOf(subject, tasks, lastColumns), features, tasks.length),
  );
  return { hands: Array.from(z.subarray(0, six.length)), others: Array.from(z.subarray(six.length)) };
}

function tokenOf({ model }: Subject, word: string): number {
  return model.tokenizer!.encode(word, { add_special_tokens: false })[0];
}

const meanOf = (row: Float32Array): number => row.reduce((sum, value) => sum + value, 0) / row.length;
