import assert from "node:assert/strict";
import { oneWayClaims } from "../../lib/studies/both-ways.js";
import type { ClaimsMatrix } from "../../lib/studies/matrix.js";

/**
 * Fails unless each claim of the matrix comes out supported on a checkpoint that was built for it and contradicted on another,
 * each planted one as it was built, and none is supported on a null.
 */
export function assertBothWays(matrix: ClaimsMatrix): void {
  assert.deepEqual(oneWayClaims(matrix), []);
}
