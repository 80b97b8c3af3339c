import assert from "node:assert/strict";
import { it } from "node:test";
import { fieldsOf } from "../../lib/studies/fields.js";

it("fields that an object inherits are none of its own", () => {
  const fields = fieldsOf({ own: "x" }, "file");
  assert.deepEqual(
    [fields.has("own"), fields.has("constructor"), fields.has("__proto__")],
    [true, false, false],
  );
  assert.throws(() => fields.get("toString"), /file has no "toString"/);
  assert.equal(fields.flag("valueOf"), false);
});
