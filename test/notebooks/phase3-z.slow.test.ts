import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { shown } from "./executed.js";
import { run } from "./phase3-z.js";

describe("notebook 03-phase3-z", () => {
  it("finds the document's double dissociation, and no content, where Z is only damaged", async () => {
    const done = await run("separate");
    const verdict = shown(done, "verdict-text");
    assert.match(verdict, /: double dissociation \(document's rule\); no content moved/);
    assert.match(verdict, /Z carries the content across languages\*: \*\*not supported\*\*/);
    assert.match(shown(done, "verdict-lists"), /Strong +✓ +Double dissociation/);
  });

  it("finds nothing in random weights", async () => {
    const done = await run("shared", true);
    const verdict = shown(done, "verdict-text");
    assert.match(verdict, /: (null|reversed) \(document's rule\); no content moved/);
    assert.match(shown(done, "depth-show"), /Not measured/);
  });
});
