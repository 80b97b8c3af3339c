import { test } from "node:test";
import { temporaryFolder } from "../temporary.js";
import { replaceBuiltins } from "./replaced-builtins.js";

const folder = temporaryFolder();

test("cells that replace any one of the built-ins do not break the cells after them", () =>
  replaceBuiltins(folder, { count: Number.POSITIVE_INFINITY, seed: 1 }));
