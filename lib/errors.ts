import { editDistance } from "./edit-distance.js";

/**
 * An error that its reader can act on: what happened, why, and what to do.
 * The message is the three, joined; the parts stay readable on their own.
 */
export class ModalscopeError extends Error {
  override readonly name: string = "ModalscopeError";
  constructor(
    readonly summary: string,
    readonly reason: string = "",
    readonly hint: string = "",
    options?: ErrorOptions,
  ) {
    super([summary, reason, hint].filter(Boolean).join(" "), options);
  }
}

/**
 * The `count` candidates nearest to `name` by edit distance, nearest first; none that shares too little. One that begins
 * with the name counts as far as a candidate may be: "skip" is not far from "skipLayers".
 */
export function nearest(name: string, candidates: Iterable<string>, count = 3): string[] {
  const limit = Math.max(3, Math.ceil(name.length * 0.5));
  const distanceTo = (candidate: string): number => {
    const distance = editDistance(name, candidate);
    return name.length >= 3 && candidate.startsWith(name) ? Math.min(distance, limit) : distance;
  };
  return [...candidates]
    .map((candidate) => ({ candidate, distance: distanceTo(candidate) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

/** "Did you mean …?" for an error's last part; empty when nothing is near. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const near = nearest(name, candidates);
  return near.length === 0 ? "" : `Did you mean ${near.map((n) => `"${n}"`).join(" or ")}?`;
}
