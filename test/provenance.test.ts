import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { embeddedFolder } from "../lib/package-root.js";
import { provenance } from "../lib/provenance.js";

test("provenance names an embedded checkpoint, and says where another lies", () => {
  const own = join(embeddedFolder(), "tiny-gemma3");
  const checkpoints = {
    studied: { path: own, hash: "a" },
    beside: { path: "/elsewhere/tiny-gemma3", hash: "b" },
  };
  const rows = provenance({ checkpoints, seed: 3, device: "cpu", started: performance.now() });
  const of = new Map(rows.map(({ item, value }) => [item, value]));
  assert.equal(of.get("checkpoint, studied"), "tiny-gemma3, a");
  assert.equal(of.get("checkpoint, beside"), "/elsewhere/tiny-gemma3, b");
  assert.equal(of.get("seed"), "3");
});
