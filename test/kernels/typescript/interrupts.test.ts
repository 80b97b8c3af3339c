import { test } from "node:test";
import { temporaryFolder } from "../temporary.js";
import { interruptInBursts } from "./interrupt-bursts.js";

const folder = temporaryFolder();

test("bursts of interrupts end each cell, and only that", () =>
  interruptInBursts(folder, { rounds: 40, seed: 1 }));
