/** Arms of one edit: the chosen features, random ones, and the complements of both. */
import type { FeatureSides, MatchedFeatures } from "./activity.js";
import type { MatchedArms, RandomArms } from "./measurements.js";

/** One arm's features among a concept's. */
export type Pick = (of: MatchedFeatures) => FeatureSides;
export type Side = keyof FeatureSides;

export interface Arms<T extends number | boolean> extends MatchedArms {
  readonly chosen: Readonly<Record<Side, T[]>>;
  readonly random: readonly Readonly<Record<Side, T[]>>[];
}

/** Runs an edit with the chosen features, with random ones, and with what each leaves. */
export async function matchedArms<T extends number | boolean>(
  randomSets: number,
  run: (pick: Pick, side: Side) => Promise<T[]>,
): Promise<Arms<T>> {
  const both = async (pick: Pick): Promise<Record<Side, T[]>> => ({
    set: await run(pick, "set"),
    complement: await run(pick, "complement"),
  });
  const chosen = await both((of) => of.chosen);
  const random: Record<Side, T[]>[] = [];
  for (let k = 0; k < randomSets; k++) random.push(await both((of) => of.random[k]));
  return { chosen, random };
}

/** Runs an edit with the chosen features and with random ones. */
export async function randomArms<T extends number | boolean>(
  randomSets: number,
  run: (pick: Pick) => Promise<T[]>,
): Promise<RandomArms & { readonly chosen: T[]; readonly random: readonly T[][] }> {
  const chosen = await run((of) => of.chosen);
  const random: T[][] = [];
  for (let k = 0; k < randomSets; k++) random.push(await run((of) => of.random[k]));
  return { chosen, random };
}

/** Joins the arms of parts of the samples. */
export function joinArms<T extends number | boolean>(parts: readonly Arms<T>[]): Arms<T> {
  const joined = (sidesOf: (arms: Arms<T>) => Readonly<Record<Side, T[]>>): Record<Side, T[]> => ({
    set: parts.flatMap((part) => sidesOf(part).set),
    complement: parts.flatMap((part) => sidesOf(part).complement),
  });
  return {
    chosen: joined(({ chosen }) => chosen),
    random: parts[0].random.map((_, k) => joined(({ random }) => random[k])),
  };
}
