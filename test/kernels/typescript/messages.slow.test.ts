import { test } from "node:test";
import { temporaryFolder } from "../temporary.js";
import { sendMalformed } from "./malformed-messages.js";

const folder = temporaryFolder();

for (const seed of [2, 3, 4])
  test(`300 malformed messages of seed ${seed}: the kernel lives and keeps its variables`, () =>
    sendMalformed(folder, { count: 300, seed }));
