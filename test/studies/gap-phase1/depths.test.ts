import assert from "node:assert/strict";
import { it } from "node:test";
import { blocksBetween, nearestBlock, truncationBlocks } from "../../../lib/studies/gap-phase1/depths.js";

it("the document's layers are blocks of a model of any depth", () => {
  assert.equal(nearestBlock(36, 48), 36);
  assert.equal(nearestBlock(36, 12), 9);
  assert.equal(nearestBlock(41, 24), 21);
  assert.deepEqual(blocksBetween(37, 41, 48), [37, 38, 39, 40]);
  assert.deepEqual(blocksBetween(37, 41, 12), [9]);
  // Every layer of the window, the claims' layers before it.
  assert.deepEqual(truncationBlocks(48), [0, 8, 16, 20, 24, 26, 32, 36, 37, 38, 39, 40, 41, 42, 43, 44]);
  assert.deepEqual(truncationBlocks(12), [0, 2, 4, 5, 6, 7, 8, 9, 10]);
});
