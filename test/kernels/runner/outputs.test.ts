/** Files that a run writes: outputs as a client would show them, in files that are valid by nbformat's schema. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Notebook, type RunEvent, runNotebook } from "../../../kernels/runner/index.js";
import { STILL_TO_COME } from "../../../lib/display.js";
import { parseNotebook } from "../../../lib/notebook/index.js";
import { bundleOf, lines } from "../../../lib/plot/index.js";
import { temporaryFolder } from "../temporary.js";
import { schemaErrors } from "./json-schema.js";
import {
  command,
  dataOf,
  errorName,
  fixtures,
  installStub,
  load,
  notebookOf,
  statuses,
  textOf,
  writeNotebook,
} from "./support.js";

const folder = temporaryFolder();
const env = installStub(folder);
Object.assign(process.env, env);
const out = (name: string): string => join(folder, name);
const schema = JSON.parse(
  readFileSync(join(fixtures, "nbformat/nbformat.v4.5.schema.json"), "utf8"),
) as Record<string, unknown>;

function assertValid(notebook: unknown): void {
  assert.deepEqual(schemaErrors(notebook, schema), []);
}

describe("figures", () => {
  const drawn = 'import { lines, show } from "modalscope";\nconst figure = lines([1, 3, 2]);';
  /** What `show` gives where nobody draws for it: without the kernel's display, in the process of this test. */
  const image = String(bundleOf(lines([1, 3, 2]))["text/html"]);

  test("have the image that they have without a runner, each in its place, and none that was cleared", async () => {
    const path = writeNotebook(join(folder, "figures.ipynb"), [
      drawn,
      'console.log("above"); show(figure); console.log("below"); show(figure);',
      'show(figure); (globalThis as any)[Symbol.for("modalscope.display")].clear(); console.log("rest");',
      "show({ data: [], layout: { images: [{ source: 'https://example.org/x.png' }] } });",
    ]);
    const { status, notebook } = await runNotebook({ input: path, output: out("figures.ipynb") });
    assert.equal(status, "completed");
    const [, twice, cleared, refused] = notebook.cells.map((cell) =>
      (cell.outputs ?? []).map((output) => dataOf(output)?.["text/html"] ?? "printed"),
    );
    assert.deepEqual(twice, ["printed", image, "printed", image]);
    assert.deepEqual(cleared, ["printed"]);
    assert.match(String(refused[0]), /could not be drawn.*has to be loaded/);
  });

  test("that a killed run had not drawn are drawn when it is resumed", async () => {
    const path = writeNotebook(join(folder, "killed.ipynb"), [
      { source: `${drawn} show(figure);`, tags: ["cached"] },
      "1",
    ]);
    const output = out("killed.ipynb");
    await runNotebook({ input: path, output });
    const saved = load(output);
    const shown = dataOf(saved.cells[0].outputs?.[0]) as Record<string, unknown>;
    shown["text/html"] = STILL_TO_COME;
    delete saved.cells[1].metadata.papermill;
    writeFileSync(output, JSON.stringify(saved));
    const { notebook } = await runNotebook({ input: path, output, resume: true });
    assert.equal(dataOf(notebook.cells[0].outputs?.[0])?.["text/html"], image);
  });
});

test("outputs are kept as a client would show them", async () => {
  const events: string[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.type === "cell-start" || event.type === "cell-skip") events.push(`${event.type} ${event.name}`);
  };
  const { notebook } = await runNotebook({
    input: join(fixtures, "outputs.ipynb"),
    output: out("outputs.ipynb"),
    onEvent,
  });
  const saved = load(out("outputs.ipynb"));
  const [first, second, third, raising, skipped, empty, last] = saved.cells;
  assert.deepEqual(first.outputs, [
    { output_type: "stream", name: "stdout", text: ["one\n", "two\n"] },
    { output_type: "stream", name: "stderr", text: ["to stderr\n"] },
    { output_type: "display_data", data: { "text/plain": ["updated"] }, metadata: {} },
    {
      output_type: "display_data",
      data: { "application/vnd.plotly.v1+json": { data: [], layout: {} } },
      metadata: {},
    },
  ]);
  assert.deepEqual(second.outputs, [
    {
      output_type: "execute_result",
      data: { "text/plain": ["'the result'"] },
      metadata: {},
      execution_count: 2,
    },
  ]);
  assert.equal(textOf(third), "stays\n");
  assert.equal(errorName(raising.outputs?.[0]), "Error");
  assert.equal(raising.metadata.papermill?.exception, true);
  assert.deepEqual([skipped.outputs, skipped.execution_count], [[], null]);
  assert.equal(empty.execution_count, null);
  assert.equal(last.execution_count, 5);
  assert.equal(notebook.nbformat_minor, 5);
  assert.deepEqual(
    [events[0], events[4]],
    [
      'cell-start const screen = (globalThis as any)[Symbol.for("modalscope.d…',
      'cell-skip throw new Error("not run");',
    ],
  );
  assert.deepEqual(statuses(saved), [...Array(4).fill("completed"), "skipped", "completed", "completed"]);
  assertValid(saved);
});

describe("valid by the schema", () => {
  test("whose check finds what is wrong", () => {
    const wrong = (change: (notebook: Record<string, never>) => void): number => {
      const notebook = JSON.parse(JSON.stringify(notebookOf(["1"]))) as Record<string, never>;
      change(notebook);
      return schemaErrors(notebook, schema).length;
    };
    const cell = (notebook: Record<string, never>): Record<string, unknown> => notebook.cells[0];
    assert.equal(
      wrong(() => {}),
      0,
    );
    assert.ok(wrong((n) => Object.assign(n, { extra: 1 })) > 0);
    assert.ok(wrong((n) => Object.assign(cell(n), { id: "a b" })) > 0);
    assert.ok(wrong((n) => Object.assign(cell(n), { execution_count: "1" })) > 0);
    assert.ok(wrong((n) => Object.assign(cell(n), { metadata: { tags: ["a", "a"] } })) > 0);
    assert.ok(
      wrong((n) => Object.assign(cell(n), { outputs: [{ output_type: "stream", name: "stdout" }] })) > 0,
    );
    const display = { output_type: "display_data", data: { "text/html": { a: 1 } }, metadata: {} };
    assert.ok(wrong((n) => Object.assign(cell(n), { outputs: [display] })) > 0);
    assert.equal(
      wrong((n) =>
        Object.assign(cell(n), { outputs: [{ ...display, data: { "application/json": { a: 1 } } }] }),
      ),
      0,
    );
  });

  test("a run that failed, with its banners", async () => {
    const input = writeNotebook(out("fail.ipynb"), ["print a", "fail x", "print b"], "stub");
    await runNotebook({ input, output: out("failed.ipynb") });
    assertValid(load(out("failed.ipynb")));
  });

  test("bundles of all kinds", async () => {
    const bundle = {
      "text/plain": 5,
      "text/html": ["a", "b"],
      "application/vnd.x+json": [1],
      "image/png": "iVBO",
    };
    const input = writeNotebook(out("bundle.ipynb"), [`bundle ${JSON.stringify(bundle)}`], "stub");
    await runNotebook({ input, output: out("bundles.ipynb") });
    const notebook = load(out("bundles.ipynb"));
    assertValid(notebook);
    assert.deepEqual(dataOf(notebook.cells[0].outputs?.[0]), { ...bundle, "text/plain": "5" });
  });

  test("an input of an older format 4, with what it may lack", async () => {
    const old = {
      nbformat: 4,
      nbformat_minor: 0,
      metadata: { kernelspec: { name: "stub" } },
      cells: [
        { cell_type: "markdown", metadata: {}, source: ["# Title"], outputs: [] },
        {
          cell_type: "code",
          metadata: { collapsed: true },
          source: "print a",
          outputs: [],
          execution_count: null,
        },
        { cell_type: "code", source: ["print ", "b"], id: "has spaces" },
        { cell_type: "code", metadata: {}, source: "", id: "twice" },
        { cell_type: "raw", metadata: {}, source: "", id: "twice" },
      ],
    };
    const { code, stdout, stderr } = await command(["run", "-", "-"], {
      cwd: folder,
      env,
      input: `\uFEFF${JSON.stringify(old)}`,
    });
    assert.equal(code, 0, stderr);
    const notebook = JSON.parse(stdout) as Notebook;
    assertValid(notebook);
    assert.deepEqual(notebook.cells.map(textOf), ["", "a\n", "b\n", "", ""]);
    assert.equal(new Set(notebook.cells.map(({ id }) => id)).size, 5);
  });
});

test("--report-mode hides the code, and keeps what else is in the metadata", async () => {
  const input = writeNotebook(
    out("report-in.ipynb"),
    ["print a", { source: "# b", type: "markdown" }],
    "stub",
  );
  const notebook = load(input);
  notebook.cells[0].metadata.jupyter = { outputs_hidden: true };
  const { code, stdout, stderr } = await command(["run", "-", "-", "--report-mode"], {
    cwd: folder,
    env,
    input: JSON.stringify(notebook),
  });
  assert.equal(code, 0, stderr);
  const [a, b] = (JSON.parse(stdout) as Notebook).cells;
  assert.deepEqual(a.metadata.jupyter, { outputs_hidden: true, source_hidden: true });
  assert.equal(b.metadata.jupyter, undefined);
});

test("--prepare-only leaves papermill's description and runs nothing", async () => {
  const input = join(fixtures, "parameters.ipynb");
  const output = out("prepared.ipynb");
  await runNotebook({ input, output, parameters: { count: 5 }, prepareOnly: true });
  const { metadata, cells } = load(output);
  const { version, ...rest } = metadata.papermill as Record<string, unknown>;
  assert.match(String(version), /^modalscope \d/);
  assert.deepEqual(rest, {
    default_parameters: {},
    environment_variables: {},
    input_path: input,
    output_path: output,
    parameters: { count: 5 },
  });
  assert.ok(cells.every((cell) => cell.metadata.papermill === undefined && !cell.execution_count));
});

test("the record of a run is papermill's", async () => {
  const input = writeNotebook(out("record-in.ipynb"), ["print a"], "stub");
  const output = out("record.ipynb");
  await runNotebook({ input, output });
  await runNotebook({ input: output, output });
  const record = load(output).metadata.papermill as Record<string, unknown>;
  assert.deepEqual(
    [record.input_path, record.output_path, record.exception, record.parameters],
    [output, output, null, {}],
  );
  assert.ok((record.duration as number) > 0);
  assert.equal(
    Date.parse(record.end_time as string) - Date.parse(record.start_time as string),
    Math.round((record.duration as number) * 1000),
  );
  const cell = load(output).cells[0].metadata.papermill as Record<string, unknown>;
  assert.deepEqual(Object.keys(cell).sort(), ["duration", "end_time", "exception", "start_time", "status"]);
});

test("what cells print goes to stderr and into files when asked for", async () => {
  const input = writeNotebook(out("streams.ipynb"), [
    'console.log("to stdout");',
    'console.error("to stderr");',
  ]);
  const { code, stderr, stdout } = await command(
    ["run", input, "-", "--log-output", "--stdout-file", "o.txt", "--stderr-file", "e.txt"],
    { cwd: folder },
  );
  assert.equal(code, 0, stderr);
  assert.match(stderr, /to stdout\n[\s\S]*to stderr\n/);
  assert.deepEqual(
    [readFileSync(out("o.txt"), "utf8"), readFileSync(out("e.txt"), "utf8")],
    ["to stdout\n", "to stderr\n"],
  );
  assertValid(JSON.parse(stdout));
});

test("a large notebook goes through a pipe whose reader is slow", async () => {
  const input = writeNotebook(out("large.ipynb"), [`print ${"x".repeat(3_000_000)}`], "stub");
  const { code, stdout } = await command(["run", input, "-", "--no-progress-bar"], {
    cwd: folder,
    env,
    onStart(child) {
      child.stdout?.pause();
      setTimeout(() => child.stdout?.resume(), 1500);
    },
  });
  assert.equal(code, 0);
  assert.equal(textOf(parseNotebook(stdout, "stdout").cells[0]).length, 3_000_001);
});
