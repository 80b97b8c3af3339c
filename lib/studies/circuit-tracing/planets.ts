/** Planets: does one bring to mind what goes with it, and does patching features turn one into another? */
import { seeded } from "../../random.js";
import { type PlanetScene, planets, splitOf, type VisualTask } from "../../tasks/index.js";
import {
  type Activity,
  conceptFeatures,
  type Feature,
  type MatchedFeatures,
  matchedFeatures,
  meanActivity,
  standardised,
} from "./activity.js";
import { joinArms, randomArms } from "./arms.js";
import type { Associations, Part, Patch } from "./measurements.js";
import { type PatchedArms, patchArms } from "./patch.js";
import {
  activityIn,
  activityOf,
  answers,
  type Chunk,
  eachChunk,
  imageAlone,
  imageColumns,
  runForFeatures,
} from "./runs.js";
import { drawFor, drawnOnce, forSamples, layersBetween, type Subject } from "./subject.js";
import { suppression } from "./values.js";

const DISCOVERY = 160;
const LEAST_DISCOVERY = 48;
const NOTHING = "nothing";

const planetOf = ({ annotation }: VisualTask<PlanetScene>): string => annotation.planet;

/** Scenes with another companion than the one that was drawn, and none twice in a split. */
function scenesWith(
  subject: Subject,
  count: number,
  { split, beside }: { readonly split: "train" | "heldout"; readonly beside: readonly string[] },
): VisualTask<PlanetScene>[] {
  const { seed } = subject;
  const size = Math.max(subject.imageSize, planets.minImageSize);
  return drawnOnce(subject, ["beside", seed, size, split, beside], count, (n) => {
    const random = seeded(100 * seed + (split === "train" ? 1 : 2));
    const tasks: VisualTask<PlanetScene>[] = [];
    while (tasks.length < n) {
      const scene = {
        ...planets.scene(random, "name", split),
        beside: beside[tasks.length % beside.length],
      };
      if (splitOf(`planets:${JSON.stringify(scene)}`) !== split) continue;
      const { prompt, answer } = planets.question(scene, "name", random, split);
      tasks.push({
        id: `planets-${split}-${tasks.length}`,
        dataset: planets.name,
        type: "name",
        scoring: "exact",
        prompt,
        images: [planets.render(scene, size)],
        answers: [answer],
        annotation: scene,
      });
    }
    return tasks;
  });
}

/** What stands beside each planet most often. */
function companions(): ReadonlyMap<string, string> {
  const random = seeded(1);
  const counts = new Map<string, Map<string, number>>();
  for (let i = 0; i < 2000; i++) {
    const { planet, beside } = planets.scene(random, "beside", "train");
    if (beside === NOTHING) continue;
    const own = counts.get(planet) ?? new Map<string, number>();
    counts.set(planet, own.set(beside, (own.get(beside) ?? 0) + 1));
  }
  return new Map([...counts].map(([planet, own]) => [planet, [...own].sort((a, b) => b[1] - a[1])[0][0]]));
}

/** Activity of what usually goes with a planet, on images that do not show it, and without the planet's own features. */
export async function measureAssociations(subject: Subject): Promise<Part<Associations>> {
  const { model, settings } = subject;
  const companionOf = companions();
  const things = [...new Set(companionOf.values())];
  const shown = [...things, NOTHING];
  const seen = scenesWith(subject, forSamples(subject, DISCOVERY, LEAST_DISCOVERY), {
    split: "train",
    beside: shown,
  });
  const activity = await activityOf(subject, seen, imageColumns, { prompt: imageAlone });
  const [low, high] = [layersBetween(model, 0, 0.5), layersBetween(model, 0.5, 1)];
  const chosenBy = (layers: readonly number[], side: (task: VisualTask<PlanetScene>) => boolean): Feature[] =>
    conceptFeatures(activity, seen.map(side), { layers, count: settings.features });
  const ofThing = new Map(
    things.map((thing) => [thing, chosenBy(high, (task) => task.annotation.beside === thing)]),
  );
  const tasks = scenesWith(subject, subject.samples, { split: "heldout", beside: [NOTHING] });
  const found = await activityOf(subject, tasks, imageColumns, { prompt: imageAlone, layers: high });
  const scores = new Map(
    things.map((thing) => [thing, standardised(meanActivity(found, ofThing.get(thing)!, tasks.length))]),
  );
  const own = tasks.map((task) => companionOf.get(planetOf(task))!);
  const others = own.map((thing, i) => {
    const rest = things.filter((one) => one !== thing);
    return rest[i % rest.length];
  });
  const names = [...companionOf.keys()];
  const matched = new Map(
    names.map((name) => {
      const features = chosenBy(low, (task) => planetOf(task) === name);
      return [name, matchedFeatures(activity, features, { layers: low, subject, rows: seen.length })];
    }),
  );
  const few = tasks.slice(0, Math.min(tasks.length, subject.rowsPerCall));
  const activations = (of: Activity, rows: number): number[] => {
    const means = new Map(things.map((thing) => [thing, meanActivity(of, ofThing.get(thing)!, rows)]));
    return few.map((task, i) => {
      const thing = companionOf.get(planetOf(task))!;
      const { deviation } = scores.get(thing)!;
      return deviation > 0 ? means.get(thing)![i] / deviation : 0;
    });
  };
  const clean = activations(found, tasks.length);
  const without = await suppressedActivity(subject, few, high);
  const fall = await randomArms(settings.randomSets, async (pick) => {
    const edited = await without(few.map((task) => pick(matched.get(planetOf(task))!).set));
    return activations(edited, few.length).map((value, i) => clean[i] - value);
  });
  return {
    partner: own.map((thing, i) => scores.get(thing)!.z[i]),
    other: others.map((thing, i) => scores.get(thing)!.z[i]),
    fall,
  };
}

/**
 * Activity of some layers at image tokens, with each image's features suppressed there.
 * @param tasks as many as run together
 */
async function suppressedActivity(
  subject: Subject,
  tasks: readonly VisualTask[],
  layers: readonly number[],
): Promise<(features: readonly (readonly Feature[])[]) => Promise<Activity>> {
  const { model, set } = subject;
  const batch = await model.prepare(tasks.map(imageAlone));
  const { residual } = await model.run(batch, { stopAtLayer: 0, logits: "none" });
  return async (features) => {
    const edits = suppression(set, batch, features, batch.visual);
    const run = await runForFeatures(subject, batch, { edits, startAtLayer: 0, residual, layers });
    return activityIn(subject, run, imageColumns, layers);
  };
}

/** Features of the middle layers that take the values of another planet's image, from its first token on. */
export async function measurePatch(subject: Subject): Promise<Patch> {
  const { model, settings } = subject;
  const layers = layersBetween(model, ...settings.middle);
  const seen = drawFor(subject, planets, {
    types: ["name"],
    count: forSamples(subject, DISCOVERY, LEAST_DISCOVERY),
    split: "train",
  });
  const activity = await activityOf(subject, seen, imageColumns, { prompt: imageAlone, layers });
  const names = [...new Set(seen.map(planetOf))];
  const matched = new Map(
    names.map((name) => {
      const side = seen.map((task) => planetOf(task) === name);
      const chosen = conceptFeatures(activity, side, { layers, count: settings.features });
      return [name, matchedFeatures(activity, chosen, { layers, subject, rows: seen.length })];
    }),
  );
  const tasks = drawFor(subject, planets, { types: ["name"], count: subject.samples, split: "heldout" });
  const parts: PatchedArms[] = [];
  await eachChunk(subject, tasks, async (chunk) => {
    parts.push(await patchChunk(subject, chunk, { layers, matched }));
  });
  return {
    turned: joinArms(parts.map(({ turned }) => turned)),
    stream: parts.flatMap(({ stream }) => stream),
    allFeatures: parts.flatMap(({ allFeatures }) => allFeatures),
  };
}

/** Row of the image that each row takes its features from: the next one with another planet, or itself. */
function donorsOf(tasks: readonly VisualTask<PlanetScene>[]): number[] {
  return tasks.map((task, row) => {
    for (let step = 1; step < tasks.length; step++) {
      const other = (row + step) % tasks.length;
      if (planetOf(tasks[other]) !== planetOf(task)) return other;
    }
    return row;
  });
}

async function patchChunk(
  subject: Subject,
  { tasks: given, batch }: Chunk,
  {
    layers,
    matched,
  }: { readonly layers: readonly number[]; readonly matched: ReadonlyMap<string, MatchedFeatures> },
): Promise<PatchedArms> {
  const tasks = given as readonly VisualTask<PlanetScene>[];
  const donors = donorsOf(tasks);
  return patchArms(subject, {
    batch,
    layers,
    donors,
    // All prompts of this kind have the same words: columns stand for each other.
    columns: batch.visual.map((own, row) => batch.tokenPositions[row].filter((column) => column >= own[0])),
    concepts: tasks.map((task, row) =>
      [planetOf(task), planetOf(tasks[donors[row]])].map((name) => matched.get(name)!),
    ),
    turned: (row, logits) => answers(subject, logits, tasks[donors[row]].answers[0]),
  });
}
