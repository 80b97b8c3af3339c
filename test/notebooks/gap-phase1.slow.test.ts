import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { temporaryFolder } from "../kernels/temporary.js";
import { checkFigures, executed, shipped, shown } from "./executed.js";

const folder = temporaryFolder();

it("notebook 01-gap-phase1 runs to its end on few questions, and concludes little from them", async () => {
  const output = join(folder, "quick.ipynb");
  const done = await executed(shipped("01-gap-phase1"), output, { quick: true });
  assert.match(shown(done, "answer"), /Late-Stage Readout: \S+ (undecided|not testable)/);
  assert.match(shown(done, "matrix"), /Late-|supported|undecided/);
  assert.match(shown(done, "evd"), /12 12 12 \d \d \d \d 12 12/);
  checkFigures(done, {
    gate: 1,
    tracing: 1,
    truncation: 1,
    geometry: 1,
    flow: 1,
    twins: 1,
    knockouts: 1,
    matrix: 1,
  });
});
