import { test } from "node:test";
import { temporaryFolder } from "../temporary.js";
import { killAtMoments } from "./killed-runs.js";

const folder = temporaryFolder();

test("kill -9 at 50 moments leaves notebooks that tell the truth", { timeout: 600_000 }, () =>
  killAtMoments(folder, 50),
);
