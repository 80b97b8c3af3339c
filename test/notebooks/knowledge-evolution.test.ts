import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type Notebook, notebookParameters, readNotebook, runNotebook } from "../../kernels/runner/index.js";
import { hasTag, joined } from "../../kernels/runner/notebook.js";
import { embeddedModels, initialWeights, saveCheckpoint } from "../../lib/model/index.js";
import { loadStudy } from "../../lib/tasks/studies.js";
import { temporaryFolder } from "../kernels/temporary.js";

const path = fileURLToPath(new URL("../../../notebooks/05-knowledge-evolution.ipynb", import.meta.url));
const fixture = fileURLToPath(new URL("../../../test/fixtures/vision/llava-default", import.meta.url));
const folder = temporaryFolder();

/** Sizes at which every part of the study runs, in seconds. */
const small = {
  captionCount: 6,
  maxTokens: 40,
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

async function run(name: string, parameters: Record<string, unknown>): Promise<Notebook> {
  const output = join(folder, `${name}.ipynb`);
  const result = await runNotebook({ input: path, output, parameters: { ...small, ...parameters } });
  const { status, error, notebook } = result;
  assert.equal(status, "completed", `${error?.ename}: ${error?.evalue}`);
  return notebook;
}

/** What a cell shows, as text. */
function shown(notebook: Notebook, id: string): string {
  const cell = notebook.cells.find((c) => c.id === id);
  assert.ok(cell, `no cell ${id}`);
  return (cell.outputs ?? [])
    .map((output) => {
      if (output.output_type === "stream") return joined(output.text as string | string[]);
      const data = output.data as Record<string, string | string[]>;
      return joined(data["text/markdown"] ?? data["text/plain"] ?? "");
    })
    .join("\n");
}

/** How many figures a cell shows, each with plotly's data and a picture for clients that cannot draw it. */
function figures(notebook: Notebook, id: string): number {
  const bundles = (notebook.cells.find((c) => c.id === id)?.outputs ?? [])
    .map((output) => (output.data ?? {}) as Record<string, unknown>)
    .filter((data) => "application/vnd.plotly.v1+json" in data);
  for (const data of bundles)
    assert.match(joined(data["text/html"] as string), /<img src="data:image\/png;base64,/);
  return bundles.length;
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

  it("is a clean nbformat 4.5 notebook with explained parameters", () => {
    assert.deepEqual([notebook.nbformat, notebook.nbformat_minor], [4, 5]);
    assert.equal(notebook.metadata.kernelspec?.name, "modalscope");
    assert.equal(new Set(notebook.cells.map((c) => c.id)).size, notebook.cells.length);
    const code = notebook.cells.filter((c) => c.cell_type === "code");
    assert.ok(hasTag(code[0], "parameters"));
    for (const cell of code) assert.deepEqual([cell.outputs, cell.execution_count], [[], null]);
    const parameters = notebookParameters(notebook);
    for (const name of ["model", "data", "languageModel", "seed", ...Object.keys(small)])
      assert.ok(
        parameters.some((p) => p.name === name),
        name,
      );
    for (const { name, help } of parameters) assert.ok(help.length > 10, `${name} is not explained`);
  });

  it("answers every claim that data/studies has of the document", () => {
    const study = loadStudy<{ claims: { id: string; says: string; where: string }[] }>("knowledge-evolution");
    const verdict = joined(notebook.cells.find((c) => c.id === "verdict-table")!.source);
    const answered = new Set([...verdict.matchAll(/\{ id: "(\w+)"/g)].map(([, id]) => id));
    assert.deepEqual([...answered], [...study.claims.map(({ id }) => id)]);
    for (const { says, where } of study.claims) assert.ok(says !== "" && where !== "");
  });

  describe("on random weights", () => {
    let done: Notebook;
    before(async () => {
      done = await run("untrained", { model: untrained() });
    });

    it("says what cannot be tested, and supports nothing about what was said of the pictures", () => {
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
      const counts = {
        "exit-tokens": 2,
        "exit-kinds": 2,
        "norm-run": 1,
        "stages-show": 3,
        "tsne-show": 2,
        "paths-run": 1,
      };
      for (const [id, count] of Object.entries(counts)) assert.equal(figures(done, id), count, id);
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
