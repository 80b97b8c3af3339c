import type { ClaimsMatrix } from "./matrix.js";

/**
 * Failures of a matrix: for each claim one planted checkpoint must come out supported and one contradicted,
 * every planted one as it was built, and no null supported. Empty when the rules can go both ways.
 */
export function oneWayClaims({ claims, checkpoints, cells }: ClaimsMatrix): string[] {
  return claims.flatMap((claim, i) => {
    const verdictOn = (id: string): string => {
      const column = checkpoints.findIndex((own) => own.id === id);
      return column < 0 ? "not run" : cells[i][column].verdict;
    };
    const planted = [...claim.planted];
    const never = (["supported", "contradicted"] as const)
      .filter(
        (verdict) => !planted.some(([id, expected]) => expected === verdict && verdictOn(id) === verdict),
      )
      .map((verdict) => `${claim.id}: ${verdict} on no checkpoint that was built for it`);
    const other = planted
      .filter(([id, expected]) => verdictOn(id) !== expected)
      .map(([id, expected]) => `${claim.id} on ${id}: ${verdictOn(id)}, built to be ${expected}`);
    const fooled = claim.nulls
      .filter((id) => ["supported", "not run"].includes(verdictOn(id)))
      .map((id) => `${claim.id} on the null ${id}: ${verdictOn(id)}`);
    return [...never, ...other, ...fooled];
  });
}
