/** Counting, and hands with six fingers: the prior, the cut, and what the cut costs elsewhere. */
import type { Edits } from "../../model/index.js";
import { type CountScene, hands, type VisualTask } from "../../tasks/index.js";
import {
  type Activity,
  conceptFeatures,
  type Feature,
  type MatchedFeatures,
  matchedFeatures,
  meanActivity,
  standardised,
} from "./activity.js";
import type { Counting, RandomArms } from "./measurements.js";
import {
  activitiesOf,
  answers,
  askTasks,
  blindLogits,
  type Chunk,
  imageColumns,
  lastColumns,
} from "./runs.js";
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
  const [onImage, atLast] = await activitiesOf(subject, seen, [imageColumns, lastColumns]);
  const hand = handFeatures(subject, seen, onImage);
  const firstLayer = Math.min(...hand.chosen.set.map(({ layer }) => layer));
  const [onSix, onFive, onOthers] = [
    await askTasks(subject, six, { firstLayer, columns: [lastColumns] }),
    await askTasks(subject, five, { firstLayer }),
    await askTasks(subject, others, { firstLayer, columns: [lastColumns] }),
  ];
  const without =
    (features: readonly Feature[]) =>
    ({ batch }: Chunk): Edits =>
      suppression(
        subject.set,
        batch,
        batch.visual.map(() => features),
        batch.visual,
      );
  const clean = onSix.logits;
  const otherLogits = onOthers.logits;
  const sixes = others.flatMap(({ annotation }, i) => (annotation.count === 6 ? [otherLogits[i]] : []));
  const logit = (row: Float32Array, digit: string): number => row[tokenOf(subject, digit)] - meanOf(row);
  const runs: Float32Array[][] = [];
  for (const { set } of [hand.chosen, ...hand.random]) runs.push(await onSix.under(without(set)));
  const inArms = <T extends number | boolean>(of: (rows: readonly Float32Array[]) => T[]): RandomArms => {
    const [chosen, ...random] = runs.map(of);
    return { chosen, random };
  };
  const right = (tasks: readonly VisualTask[], rows: readonly Float32Array[]): boolean[] =>
    rows.map((row, i) => answers(subject, row, tasks[i].answers[0]));
  const cut = without(hand.chosen.set);
  return {
    six: clean.map((row) => logit(row, SIX) - (logit(row, ONE) + logit(row, SEVEN)) / 2),
    counted: sixes.map((row) => logit(row, SIX) - (logit(row, ONE) + logit(row, SEVEN)) / 2),
    right: right(others, otherLogits),
    blind: right(others, await blindLogits(subject, others)),
    fall: inArms((rows) => rows.map((row, i) => logit(clean[i], FIVE) - logit(row, FIVE))),
    mended: inArms((rows) => right(six, rows)),
    five: { cut: right(five, await onFive.under(cut)), clean: right(five, onFive.logits) },
    elsewhere: { cut: right(others, await onOthers.under(cut)), clean: right(others, otherLogits) },
    two: twoOn(subject, { tasks: seen, activity: atLast }, [
      { tasks: six, activity: onSix.activity[0] },
      { tasks: others, activity: onOthers.activity[0] },
    ]),
  };
}

/** Features of a hand at image tokens, in all layers. */
function handFeatures(
  subject: Subject,
  seen: readonly VisualTask<CountScene>[],
  activity: Activity,
): MatchedFeatures {
  const { layers } = subject.model;
  const side = seen.map(({ annotation }) => annotation.counted === "fingers");
  const chosen = conceptFeatures(activity, side, { layers, count: subject.settings.features });
  return matchedFeatures(activity, chosen, { layers, subject, rows: seen.length });
}

/** Tasks with the features' activity at their last tokens. */
interface AtLast {
  readonly tasks: readonly VisualTask<CountScene>[];
  readonly activity: Activity;
}

/** Activation of two's features, chosen on other things, on hands and on single other things. */
function twoOn(subject: Subject, seen: AtLast, [six, others]: readonly AtLast[]): Counting["two"] {
  const side = seen.tasks.map(({ annotation: { counted, count } }) =>
    counted === "fingers" ? undefined : count === 2,
  );
  const layers = layersBetween(subject.model, 0, 1);
  const features = conceptFeatures(seen.activity, side, { layers, count: subject.settings.features });
  const [onHands, onOthers] = [six, others].map(({ tasks, activity }) =>
    meanActivity(activity, features, tasks.length),
  );
  const single = onOthers.filter((_, i) => others.tasks[i].annotation.count === 1);
  const { z } = standardised([...onHands, ...single]);
  return {
    hands: Array.from(z.subarray(0, six.tasks.length)),
    others: Array.from(z.subarray(six.tasks.length)),
  };
}

function tokenOf({ model }: Subject, word: string): number {
  return model.tokenizer!.encode(word, { add_special_tokens: false })[0];
}

const meanOf = (row: Float32Array): number => row.reduce((sum, value) => sum + value, 0) / row.length;
