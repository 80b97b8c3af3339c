import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";

it("a model's published face is narrow: no engine, session or graph can be reached through it", () => {
  const file = join(import.meta.dirname, "../../lib/model/model.d.ts");
  const declarations = readFileSync(file, "utf8");
  assert.match(declarations, /class Model \{[\s\S]* run\(/);
  assert.doesNotMatch(declarations, /[Ee]ngine|SessionPool|Sink|Plan\b|\bPass\b|embed\(|logitsAt/);
});
