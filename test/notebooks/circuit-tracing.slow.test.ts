import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { embeddedTranscoders } from "../../lib/circuits/index.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { checkFigures, executed, shipped, shown } from "./executed.js";

const path = shipped("02-circuit-tracing");
const folder = temporaryFolder();
const there = embeddedTranscoders().includes("tiny-gemma3/text-images");

describe("notebook 02-circuit-tracing", () => {
  it("judges every claim in quick mode", {
    skip: there ? false : "tiny-gemma3 has no transcoders here",
  }, async () => {
    const done = await executed(path, join(folder, "quick.ipynb"), { quick: true });
    // Without its nulls, and on one draw, no claim is supported.
    assert.match(shown(done, "matrix"), /Of 12 claims 0 supported/);
    assert.match(shown(done, "open"), /prompts a draw at \d+ ms: about/);
    const graph = shown(done, "trace");
    assert.match(graph, /\d+ feature, \d+ error, \d+ token, 16 image token/);
    assert.match(graph, /100\.0 % of the influence/);
    const [, sum] = /sum of its edges, at most\s+(\S+)/.exec(graph) ?? [];
    assert.ok(Number(sum) < 1e-5, sum);
    assert.match(shown(done, "view"), /an attribution graph of \d+ nodes, \d+ of them features/);
    assert.match(shown(done, "planet"), /all features of these layers patched/);
    assert.match(shown(done, "provenance"), /checkpoint, studied[^\n]+[0-9a-f]{64}/);
    checkFigures(done, { gate: 1, unexplained: 1, units: 1, planet: 1, hand: 1, late: 1, claims: 1 });
  });
});
