/** Animals without a prompt: does one activate the features of the one that looks like it? */
import { seeded } from "../../random.js";
import { type AnimalScene, animals, lookAlike, type VisualTask } from "../../tasks/index.js";
import {
  type ActivitySums,
  addedUp,
  meanActivity,
  standardised,
  sumsOver,
  tellingFeatures,
} from "./activity.js";
import type { Neighbours } from "./measurements.js";
import { activityOf, imageAlone, imageColumns } from "./runs.js";
import { drawFor, forSamples, type Subject } from "./subject.js";

const DISCOVERY = 192;
const LEAST_DISCOVERY = 64;
const NULLS = 5;

const animalOf = ({ annotation }: VisualTask<AnimalScene>): string => annotation.animal;

export async function measureNeighbours(subject: Subject): Promise<Neighbours> {
  const { model, settings } = subject;
  const draw = (split: "train" | "heldout", count: number): VisualTask<AnimalScene>[] =>
    drawFor(subject, animals, { types: ["name"], count, split });
  const seen = draw("train", forSamples(subject, DISCOVERY, LEAST_DISCOVERY));
  const tasks = draw("heldout", subject.samples);
  const learnt = await activityOf(subject, seen, imageColumns, { prompt: imageAlone });
  const found = await activityOf(subject, tasks, imageColumns, { prompt: imageAlone });
  const names = [...new Set(seen.map(animalOf))].sort();
  const sumsOf = (counts: (task: VisualTask<AnimalScene>) => boolean): ActivitySums =>
    sumsOver(learnt, seen.map(counts), model.layers);
  const all = new Set([...names, ...names.map(lookAlike)]);
  const sums = new Map([...all].map((animal) => [animal, sumsOf((task) => animalOf(task) === animal)]));
  const none = sumsOf(() => false);
  const known = new Map<string, Float64Array>();
  /** Activation of an animal's features, which were chosen without the images of another one. */
  const activation = (animal: string, without: string): Float64Array => {
    const key = `${animal} ${without}`;
    const before = known.get(key);
    if (before) return before;
    const rest = names.filter((name) => name !== animal && name !== without);
    const outside = addedUp([none, ...rest.map((name) => sums.get(name)!)]);
    const features = tellingFeatures(sums.get(animal)!, outside, {
      layers: model.layers,
      count: settings.features,
    });
    const { z } = standardised(meanActivity(found, features, tasks.length));
    known.set(key, z);
    return z;
  };
  const random = seeded(subject.seed);
  const others = tasks.map((task) => {
    const own = animalOf(task);
    const rest = names.filter((name) => name !== own && name !== lookAlike(own));
    return random.shuffle(rest).slice(0, NULLS);
  });
  return {
    lookAlike: tasks.map((task, i) => activation(lookAlike(animalOf(task)), animalOf(task))[i]),
    others: Array.from({ length: NULLS }, (_, k) =>
      tasks.map((task, i) => activation(others[i][k], animalOf(task))[i]),
    ),
  };
}
