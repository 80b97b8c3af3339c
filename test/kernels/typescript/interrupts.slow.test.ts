import { test } from "node:test";
import { temporaryFolder } from "../temporary.js";
import { interruptInBursts } from "./interrupt-bursts.js";

const folder = temporaryFolder();

for (const seed of [2, 3])
  test(`1,000 bursts of interrupts end each cell, and only that (seed ${seed})`, () =>
    interruptInBursts(folder, { rounds: 1000, seed }));
