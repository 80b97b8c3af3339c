/** Counting on checkpoints that say five of a hand, or count its fingers, in the place of the model. */
import type { Batch } from "../../model/index.js";
import { checkOptions, record, required } from "../../options.js";
import { seeded } from "../../random.js";
import { COUNT } from "../../study-options.js";
import { type PlantedPrior, type PlantedPriorKind, plantedPrior } from "../../tasks/index.js";
import { withCheckpoint } from "../index.js";
import {
  type Activity,
  conceptFeatures,
  type Feature,
  type MatchedFeatures,
  matchedFeatures,
  meanActivity,
  standardised,
} from "./activity.js";
import { randomArms } from "./arms.js";
import type { Counting } from "./measurements.js";
import { openTranscoders } from "./planted.js";
import { activityIn, type Columns, lastColumns, runForFeatures, runsFrom, streamBefore } from "./runs.js";
import type { Settings, Subject } from "./subject.js";
import { suppression } from "./values.js";

const [TWO, FIVE, SIX, SEVEN] = [2, 5, 6, 7];
/** Numbers of other things: a model that guesses three is right often enough for a rate. */
const OTHERS = [1, 2, 3, 6];
/** Features of a hand in each block, and of two in both. */
const FEATURES_OF_HAND = 2;
const FEATURES_OF_TWO = 8;

/** Runs the study's measurements of counting on a planted checkpoint. */
export function measurePlantedCounting(
  kind: PlantedPriorKind,
  seed: number,
  options: { readonly settings: Settings; readonly samples: number },
): Promise<Counting> {
  checkOptions("measurePlantedCounting", options, {
    settings: required(record, "settings, as the study's data hold them"),
    samples: COUNT,
  });
  const { settings, samples } = options;
  const made = plantedPrior(kind, seed);
  return withCheckpoint({ config: made.config, weights: made.weights, files: {} }, async (model) => {
    const set = openTranscoders(made, model);
    try {
      const fixed = { imageSize: 0, rowsPerCall: samples, exchanged: false };
      return await measure({ model, set, seed, samples, settings, ...fixed }, made);
    } finally {
      set.close();
    }
  });
}

/** What a prompt shows: a hand with six fingers or five, or so many other things. */
interface Shown {
  readonly hand: boolean;
  readonly count: number;
}

async function measure(subject: Subject, made: PlantedPrior): Promise<Counting> {
  const { model, samples, settings } = subject;
  const random = seeded(subject.seed);
  const hands = (count: number): Shown[] => Array.from({ length: samples }, () => ({ hand: true, count }));
  const others = Array.from({ length: 2 * samples }, () => ({ hand: false, count: random.pick(OTHERS) }));
  const seen = [...hands(SIX).slice(0, samples / 2), ...hands(FIVE).slice(0, samples / 2), ...others];
  const ask = (shown: readonly Shown[], blind = false): Promise<Asked> =>
    asked(subject, model.batch(shown.map((one) => promptOf(made, one, random, blind))));
  const [learnt, six, five, rest] = [
    await ask(seen),
    await ask(hands(SIX)),
    await ask(hands(FIVE)),
    await ask(others),
  ];
  const { logit, right, sixAbove } = readingOf(made);
  const hand = await handFeatures(subject, learnt, seen);
  const under = (own: Asked, features: readonly Feature[]): Promise<Float32Array[]> => {
    const columns = everywhere(own.batch);
    const each = columns.map(() => features);
    return own.under(suppression(subject.set, own.batch, each, columns));
  };
  const { set: cut } = hand.chosen;
  return {
    six: six.logits.map(sixAbove),
    counted: rest.logits.filter((_, i) => others[i].count === SIX).map(sixAbove),
    right: right(others, rest.logits),
    blind: right(others, (await ask(others, true)).logits),
    fall: await randomArms(settings.randomSets, async (pick) =>
      (await under(six, pick(hand).set)).map((row, i) => logit(six.logits[i], FIVE) - logit(row, FIVE)),
    ),
    mended: await randomArms(settings.randomSets, async (pick) =>
      right(hands(SIX), await under(six, pick(hand).set)),
    ),
    five: { cut: right(hands(FIVE), await under(five, cut)), clean: right(hands(FIVE), five.logits) },
    elsewhere: { cut: right(others, await under(rest, cut)), clean: right(others, rest.logits) },
    two: await twoOn(subject, { seen, learnt }, { six, rest, others }),
  };
}

interface Reading {
  /** Logit of a number less the mean of all. */
  readonly logit: (row: Float32Array, count: number) => number;
  readonly sixAbove: (row: Float32Array) => number;
  readonly right: (shown: readonly Shown[], rows: readonly Float32Array[]) => boolean[];
}

function readingOf({ numbers }: PlantedPrior): Reading {
  const logit = (row: Float32Array, count: number): number =>
    row[numbers[count - 1]] - row.reduce((sum, v) => sum + v, 0) / row.length;
  return {
    logit,
    sixAbove: (row) => logit(row, SIX) - (logit(row, 1) + logit(row, SEVEN)) / 2,
    right: (shown, rows) =>
      rows.map((row, i) => row.indexOf(Math.max(...row)) === numbers[shown[i].count - 1]),
  };
}

/** Features of a hand in each block, at any token. */
async function handFeatures(
  subject: Subject,
  learnt: Asked,
  seen: readonly Shown[],
): Promise<MatchedFeatures> {
  const { layers } = subject.model;
  const activity = await activityAt(subject, learnt, everywhere);
  const side = seen.map(({ hand }) => hand);
  const chosen = layers.flatMap((layer) =>
    conceptFeatures(activity, side, { layers: [layer], count: FEATURES_OF_HAND }),
  );
  return matchedFeatures(activity, chosen, { layers, subject, rows: seen.length });
}

const everywhere: Columns = ({ tokenPositions }) => tokenPositions;

/** Prompts that were run, and can be run again under edits. */
interface Asked {
  readonly batch: Batch;
  readonly logits: readonly Float32Array[];
  readonly under: ReturnType<typeof runsFrom>;
}

async function asked(subject: Subject, batch: Batch): Promise<Asked> {
  const start = streamBefore(0);
  const { cache } = await subject.model.run(batch, { capture: [start], stopAtLayer: 1, logits: "none" });
  const under = runsFrom(subject, batch, 0, cache.get(start));
  return { batch, logits: await under({}), under };
}

async function activityAt(subject: Subject, { batch }: Asked, columns: Columns): Promise<Activity> {
  return activityIn(subject, await runForFeatures(subject, batch), columns);
}

/**
 * Two fillers, the thing and its number, or fillers in their place, another filler, and the question. Every second hand or
 * so is smudged.
 */
function promptOf(
  { fillers, smudge, ask, hand, otherThing, numbers }: PlantedPrior,
  shown: Shown,
  random: ReturnType<typeof seeded>,
  blind: boolean,
): number[] {
  const filler = (): number => random.pick(fillers);
  const things = [shown.hand ? hand : otherThing, numbers[shown.count - 1]];
  const last = shown.hand && random.uniform() < 0.5 ? smudge : filler();
  return [filler(), filler(), ...(blind ? [filler(), filler()] : things), last, ask];
}

/** Activation of two's features, chosen on other things, at the last token of hands and of single other things. */
async function twoOn(
  subject: Subject,
  { seen, learnt }: { readonly seen: readonly Shown[]; readonly learnt: Asked },
  { six, rest, others }: { readonly six: Asked; readonly rest: Asked; readonly others: readonly Shown[] },
): Promise<Counting["two"]> {
  const side = seen.map(({ hand, count }) => (hand ? undefined : count === TWO));
  const { layers } = subject.model;
  const features = conceptFeatures(await activityAt(subject, learnt, lastColumns), side, {
    layers,
    count: FEATURES_OF_TWO,
  });
  const mean = async (own: Asked): Promise<Float64Array> =>
    meanActivity(await activityAt(subject, own, lastColumns), features, own.batch.size);
  const [onHands, onOthers] = [await mean(six), await mean(rest)];
  const single = onOthers.filter((_, i) => others[i].count === 1);
  const { z } = standardised([...onHands, ...single]);
  return { hands: Array.from(z.subarray(0, onHands.length)), others: Array.from(z.subarray(onHands.length)) };
}
