import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type Notebook, type Parameters, readNotebook } from "../../kernels/runner/index.js";
import { embeddedModels, initialWeights, saveCheckpoint } from "../../lib/model/index.js";
import { joined } from "../../lib/notebook/index.js";
import { loadStudy } from "../../lib/studies/index.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { checkFigures, executed, itIsTidy, shipped, shown } from "./executed.js";

const path = shipped("05-knowledge-evolution");
const fixture = fileURLToPath(new URL("../../../test/fixtures/vision/llava-default", import.meta.url));
const folder = temporaryFolder();

/** Sizes at which every part of the study runs, in seconds. */
const small = {
  captionCount: 6,
  maxNewTokens: 40,
  answerCount: 8,
  perplexities: [4],
  tsneSteps: 60,
  nullCount: 4,
  rowsPerCall: 8,
  draws: 99,
};

/** A checkpoint of LLaVA's layout with random weights, deep enough for stages. */
function untrained(): string {
  const model = join(folder, "untrained");
  cpSync(fixture, model, {
    recursive: true,
    filter: (file) => !/safetensors|golden|hub|nested/.test(file.slice(fixture.length)),
  });
  const config = JSON.parse(readFileSync(join(fixture, "config.json"), "utf8"));
  const deep = { ...config, text_config: { ...config.text_config, num_hidden_layers: 6 } };
  saveCheckpoint(model, deep, initialWeights(deep, 1));
  return model;
}

function run(name: string, parameters: Parameters): Promise<Notebook> {
  return executed(path, join(folder, `${name}.ipynb`), { ...small, ...parameters });
}

/** Decoding is greedy, and one pass over a text must give what decoding gave. */
function checkInstruments(notebook: Notebook): void {
  const [, first, all] = shown(notebook, "exit-run").match(/Rank 1 at the last state: (\d+) of (\d+)/)!;
  assert.equal(first, all);
  const drift = Number(shown(notebook, "priors-run").match(/states to (\S+) of their/)![1]);
  assert.ok(drift < 1e-5, `drift ${drift}`);
}

describe("notebook 05-knowledge-evolution", () => {
  const notebook = readNotebook(path);

  itIsTidy(notebook, ["model", "data", "languageModel", "seed", ...Object.keys(small)]);

  it("answers every claim that data/studies has of the document", () => {
    const study = loadStudy<{ claims: { id: string; says: string; where: string }[] }>("knowledge-evolution");
    const verdict = joined(notebook.cells.find((c) => c.id === "verdict-table")!.source);
    const answered = new Set([...verdict.matchAll(/\bid: "(\w+)"/g)].map(([, id]) => id));
    assert.deepEqual([...answered], [...study.claims.map(({ id }) => id)]);
    for (const { says, where } of study.claims) assert.ok(says !== "" && where !== "");
  });

  describe("on random weights", () => {
    let done: Notebook;
    before(async () => {
      done = await run("untrained", { model: untrained() });
    });

    it("says what cannot be tested, and supports nothing about what was said of the images", () => {
      checkInstruments(done);
      const table = shown(done, "verdict-table");
      assert.match(table, /not testable +nothing was hallucinated/);
      assert.match(table, /not testable +no language model from before the visual training/);
      assert.match(
        shown(done, "verdict-text"),
        /\d+ of 18 supported, \d+ not supported, [1-9]\d* not testable/,
      );
      assert.match(shown(done, "verdict-text"), /language prior\?\* \*\*not testable\*\*/);
      assert.match(shown(done, "provenance"), /checkpoint, studied[^\n]+[0-9a-f]{64}/);
    });

    it("draws its figures", () => {
      checkFigures(done, {
        "exit-tokens": 2,
        "exit-kinds": 2,
        "norm-run": 1,
        "stages-show": 3,
        "tsne-show": 2,
        "paths-run": 1,
      });
    });
  });

  const trained = "tiny-llava-1.5";
  it("finds entities, hallucinations and a planted mutation on the trained checkpoint", {
    skip: embeddedModels().includes(trained) ? false : `${trained} is not there`,
  }, async () => {
    const done = await run("trained", { model: trained, captionCount: 16, nullCount: 16 });
    checkInstruments(done);
    assert.doesNotMatch(shown(done, "verdict-table"), /nothing was hallucinated|no entities/);
    assert.match(shown(done, "verdict-text"), /planted as built; random weights as built/);
    assert.match(shown(done, "llm-run"), /language model before visual training/);
    assert.equal(shown(done, "skips-show").match(/^skip\.[123] {2,}/gm)?.length, 6);
  });
});
