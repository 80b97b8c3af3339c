import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../temporary.js";
import { growthOver } from "./memory-use.js";

const folder = temporaryFolder();

test("2,000 small cells: the supervisor and the compiler together grow by at most 100 MB", async (t) => {
  const growth = await growthOver(folder, 2000);
  t.diagnostic(JSON.stringify(growth));
  assert.ok(growth.supervisor + growth.compiler <= 100, JSON.stringify(growth));
});
