/** Helpers for tests of the studies' notebooks: the file as it is shipped, and the outputs of a run. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { JSDOM } from "jsdom";
import {
  type Notebook,
  notebookParameters,
  type Parameters,
  runNotebook,
} from "../../kernels/runner/index.js";
import { hasTag, joined } from "../../lib/notebook/index.js";
import { formatted } from "./format.js";

/** Path of a shipped notebook. */
export const shipped = (name: string): string =>
  fileURLToPath(new URL(`../../../notebooks/${name}.ipynb`, import.meta.url));

/** Runs a notebook to its end. */
export async function executed(input: string, output: string, parameters: Parameters): Promise<Notebook> {
  const { status, error, notebook } = await runNotebook({ input, output, parameters });
  assert.equal(status, "completed", `${error?.ename}: ${error?.evalue}`);
  return notebook;
}

/** A cell's outputs as text. */
export function shown(notebook: Notebook, id: string): string {
  const cell = notebook.cells.find((c) => c.id === id);
  assert.ok(cell, `no cell ${id}`);
  return (cell.outputs ?? [])
    .map((output) => {
      if (output.output_type === "stream") return joined(output.text);
      if (output.output_type === "error") return output.evalue;
      const data = output.data as Record<string, string | string[]>;
      return joined(data["text/markdown"] ?? data["text/plain"] ?? "");
    })
    .join("\n");
}

/** Texts of the cells of the tables that a cell shows. */
export function shownCells(notebook: Notebook, id: string): string[] {
  const outputs = notebook.cells.find((c) => c.id === id)?.outputs ?? [];
  return outputs.flatMap((output) => {
    const markup = "data" in output ? joined((output.data["text/html"] ?? "") as string | string[]) : "";
    return [...JSDOM.fragment(markup).querySelectorAll("td")].map((cell) => cell.textContent ?? "");
  });
}

/** Cells show so many figures, each with plotly's data and an image for clients that cannot draw it. */
export function checkFigures(notebook: Notebook, counts: Readonly<Record<string, number>>): void {
  for (const [id, count] of Object.entries(counts)) {
    const bundles = (notebook.cells.find((c) => c.id === id)?.outputs ?? [])
      .map((output) => ("data" in output ? output.data : {}))
      .filter((data) => "application/vnd.plotly.v1+json" in data);
    for (const data of bundles)
      assert.match(joined(data["text/html"] as string), /<img src="data:image\/png;base64,/);
    assert.equal(bundles.length, count, id);
  }
}

/** The notebook as it lies in the repository: nothing executed, parameters that say what they are, tidy code. */
export function itIsTidy(notebook: Notebook, parameterNames: readonly string[]): void {
  it("is a clean nbformat 4.5 notebook with explained parameters", () => {
    assert.deepEqual([notebook.nbformat, notebook.nbformat_minor], [4, 5]);
    assert.equal(notebook.metadata.kernelspec?.name, "modalscope");
    assert.equal(new Set(notebook.cells.map((c) => c.id)).size, notebook.cells.length);
    const code = notebook.cells.filter((c) => c.cell_type === "code");
    assert.ok(hasTag(code[0], "parameters"));
    for (const cell of code) assert.deepEqual([cell.outputs, cell.execution_count], [[], null]);
    const parameters = notebookParameters(notebook);
    const names = parameters.map(({ name }) => name);
    for (const name of parameterNames) assert.ok(names.includes(name), name);
    for (const { name, help } of parameters) assert.ok(help.length > 10, `${name} is not explained`);
  });

  it("has its code formatted: npm run format", () => {
    const code = notebook.cells.filter((c) => c.cell_type === "code");
    const tidy = formatted(code.map((cell) => joined(cell.source)));
    for (const [i, cell] of code.entries()) assert.equal(joined(cell.source), tidy[i], cell.id);
  });
}
