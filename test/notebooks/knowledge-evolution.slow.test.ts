import assert from "node:assert/strict";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import type { Notebook } from "../../kernels/runner/index.js";
import { loadClaims } from "../../lib/studies/index.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { checkFigures, executed, shipped, shown } from "./executed.js";

const path = shipped("05-knowledge-evolution");

/** The whole study, smaller than `quick`. */
const small = {
  seeds: [0],
  captionCount: 3,
  maxNewTokens: 24,
  answerCount: 4,
  tsneSteps: 20,
  checkpoints: ["model", "likeDocument", "opposite"],
};

describe("05-knowledge-evolution copied to another folder", () => {
  let done: Notebook;
  before(async () => {
    const folder = join(temporaryFolder(), "elsewhere");
    mkdirSync(folder);
    const copy = join(folder, "copy.ipynb");
    copyFileSync(path, copy);
    done = await executed(copy, join(folder, "done.ipynb"), small);
  });

  it("checks its instruments", () => {
    const table = shown(done, "instruments");
    const [, first, all] = table.match(/(\d+) of (\d+)/) ?? [];
    assert.equal(first, all);
    assert.ok(Number(table.match(/largest state +(\S+)/)?.[1]) < 1e-5, table);
  });

  it("judges every claim, and decides no rate on three captions", () => {
    const study = loadClaims("knowledge-evolution");
    const table = shown(done, "matrix");
    for (const { says } of study.claims) assert.ok(table.includes(says.slice(0, 30)), says);
    assert.match(shown(done, "answer"), /of 18 claims|Of 18 claims/);
    assert.match(table, /of at least 100 samples|not testable/);
  });

  it("draws its figures", () => {
    checkFigures(done, {
      probability: 1,
      change: 1,
      mutations: 1,
      said: 1,
      encoding: 1,
      geometry: 1,
      matrix: 1,
    });
  });
});

for (const model of ["tiny-llava-1.5", "tiny-llava-1.6"])
  it(`05-knowledge-evolution runs on ${model} with every checkpoint, and nothing is supported on a null`, async () => {
    const output = join(temporaryFolder(), `${model}.ipynb`);
    const sizes = { captionCount: 24, answerCount: 8, plantedCount: 16 };
    const parameters = { seeds: [0], model, checkpoints: [], ...sizes };
    const done = await executed(path, output, parameters);
    assert.match(shown(done, "answer"), /Of 18 claims/);
    assert.match(shown(done, "mutations"), /mutation layers/);
  });
