/** Abilities of a captioner: the same things of the same images, named with and without them. */
import type { GateSamples } from "../gate.js";
import { type CaptionTruth, mentionsOf } from "./mentions.js";

/** Whether a caption names one thing that is true. */
interface Named {
  readonly objects: readonly boolean[];
  readonly places: readonly boolean[];
  readonly colours: readonly boolean[];
}

/**
 * Each thing that is in an image is a question of the gate: is it named, in its place, in its colour? Compared with
 * captions that the same model gives without the image.
 * @param seen pieces of each caption. @param without pieces of the captions without an image.
 */
export function captionGate(
  truths: readonly CaptionTruth[],
  seen: readonly (readonly string[])[],
  without: readonly (readonly string[])[],
): GateSamples[] {
  const kinds = ["objects", "places", "colours"] as const;
  return kinds.flatMap((kind) => {
    const correct: boolean[] = [];
    const blind: boolean[] = [];
    const clusters: number[] = [];
    truths.forEach((truth, i) => {
      const own = named(seen[i], truth)[kind];
      correct.push(...own);
      blind.push(...named(without[i], truth)[kind]);
      clusters.push(...own.map(() => i));
    });
    return correct.length < 2 ? [] : [{ kind, correct, blind, clusters }];
  });
}

function named(pieces: readonly string[], truth: CaptionTruth): Named {
  const said = mentionsOf(pieces, truth);
  const words = new Set(
    pieces
      .join("")
      .toLowerCase()
      .match(/\p{L}+/gu),
  );
  const rightly = (aspect: "place" | "colour", name: string): boolean => {
    const nouns = said.filter(
      (own) => own.aspect === "object" && pieces[own.token].trim().toLowerCase() === name,
    );
    return nouns.some(({ token }) =>
      said.some((own) => own.aspect === aspect && own.about === token && !own.wrong),
    );
  };
  const coloured = truth.things.filter(({ colour }) => colour !== undefined);
  return {
    objects: truth.objects.truth.map((object) => words.has(object)),
    places: truth.things.map(({ name }) => rightly("place", name)),
    colours: coloured.map(({ name }) => rightly("colour", name)),
  };
}
