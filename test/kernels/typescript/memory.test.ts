import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../temporary.js";
import { growthOver } from "./memory-use.js";

const folder = temporaryFolder();

test("100 small cells: the supervisor and the compiler grow by at most 50 MB each", async () => {
  const growth = await growthOver(folder, 100);
  assert.ok(growth.supervisor <= 50 && growth.compiler <= 50, JSON.stringify(growth));
});
