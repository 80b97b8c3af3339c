import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Cell, type Notebook, type RunEvent, runNotebook } from "../../kernels/runner/index.js";
import { joined } from "../../kernels/runner/notebook.js";
import { parseParameters, parseValue } from "../../kernels/runner/parameters.js";
import { temporaryFolder } from "./temporary.js";

const fixtures = fileURLToPath(new URL("../../../test/kernels/fixtures/", import.meta.url));
const cli = fileURLToPath(new URL("../../kernels/cli.js", import.meta.url));
const folder = temporaryFolder();

const fixture = (name: string): string => join(fixtures, name);
const out = (name: string): string => join(folder, "made on the way", name);

function load(path: string): Notebook {
  return JSON.parse(readFileSync(path, "utf8")) as Notebook;
}

function text(cell: Cell): string {
  return (cell.outputs ?? [])
    .map((o) => (o.output_type === "stream" ? joined(o.text as string[]) : ""))
    .join("");
}

function statuses(notebook: Notebook): unknown[] {
  return notebook.cells.map((cell) => cell.metadata.papermill?.status);
}

const tagged = (notebook: Notebook, tag: string): Cell[] =>
  notebook.cells.filter((cell) => cell.metadata.tags?.includes(tag));

describe("parameters", () => {
  const awkward = "quotes \" ' ` $" + "{no} \\ \u2028 \u{1F600} </script>";

  test("win over the defaults, whatever they hold; a second run replaces them", async () => {
    const output = out("parameters.ipynb");
    const parameters = {
      count: 5,
      label: awkward,
      sizes: [-1.5, 2e300],
      options: { deep: { list: [null, true, { "odd key": "x" }] }, none: null },
      big: 123456789012345678901234567890n,
    };
    const { status } = await runNotebook({ input: fixture("parameters.ipynb"), output, parameters });
    assert.equal(status, "completed");
    const notebook = load(output);
    assert.deepEqual(JSON.parse(text(notebook.cells[4])), {
      ...parameters,
      doubled: 10,
      big: String(parameters.big),
    });
    assert.deepEqual(notebook.cells[2].metadata.tags, ["injected-parameters"]);
    assert.deepEqual(statuses(notebook), Array(5).fill("completed"));

    const again = out("again.ipynb");
    await runNotebook({ input: output, output: again, parameters: { count: 6 } });
    const second = load(again);
    assert.equal(tagged(second, "injected-parameters").length, 1);
    assert.equal(joined(second.cells[2].source), "// Parameters\nconst count = 6;");
    assert.equal(JSON.parse(text(second.cells[4])).label, "plain");
  });

  test("the record of the run is papermill's", async () => {
    const output = out("record.ipynb");
    await runNotebook({
      input: fixture("parameters.ipynb"),
      output,
      parameters: { count: 5 },
      prepareOnly: true,
    });
    assert.equal(load(output).metadata.papermill, undefined);
    await runNotebook({ input: output, output, parameters: { count: 5 } });
    const record = load(output).metadata.papermill as Record<string, unknown>;
    assert.deepEqual(record.parameters, { count: 5 });
    assert.deepEqual([record.input_path, record.output_path, record.exception], [output, output, false]);
    assert.ok((record.duration as number) > 0);
    assert.equal(
      Date.parse(record.end_time as string) - Date.parse(record.start_time as string),
      Math.round((record.duration as number) * 1000),
    );
  });

  test("unknown names and values of another kind are errors before anything runs", async () => {
    const run = (parameters: Record<string, never>, name = "parameters.ipynb"): Promise<unknown> =>
      runNotebook({ input: fixture(name), output: out("wrong.ipynb"), parameters });
    await assert.rejects(run({ coumt: 1 } as never), /no parameter "coumt".*Did you mean "count"/);
    await assert.rejects(run({ count: "five" } as never), /"count" must be a number, not a string/);
    await assert.rejects(run({ count: 1 } as never, "failing.ipynb"), /takes no parameters/);
    await assert.rejects(run({ x: 2 } as never, "python.ipynb"), /cannot be given to a python notebook/);
    assert.ok(!existsSync(out("wrong.ipynb")));
  });

  test("a value that the written type does not allow fails in the injected cell", async () => {
    const result = await runNotebook({
      input: fixture("parameters.ipynb"),
      output: out("type.ipynb"),
      parameters: { sizes: ["large"] },
    });
    assert.equal(result.status, "failed");
    assert.match(result.error?.evalue ?? "", /'string' is not assignable to type 'number'/);
  });

  test("are read from text as papermill reads them", () => {
    const texts = ["1", "-2.5", "1e3", "True", "false", "None", "null", "007x", "12345678901234567890", ""];
    const values = [1, -2.5, 1000, true, false, null, null, "007x", 12345678901234567890n, ""];
    assert.deepEqual(texts.map(parseValue), values);
    assert.deepEqual(parseParameters("a: [1, 2.5, x]\nb: {c: 12345678901234567890}", "here"), {
      a: [1, 2.5, "x"],
      b: { c: 12345678901234567890n },
    });
    assert.throws(() => parseParameters("- 1", "here"), /no mapping/);
  });
});

test("outputs are kept as a client would show them", async () => {
  const events: string[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.type === "cell-start") events.push(event.name);
  };
  const { notebook } = await runNotebook({
    input: fixture("outputs.ipynb"),
    output: out("outputs.ipynb"),
    onEvent,
  });
  const [first, second, third, raising, skipped, empty, last] = load(out("outputs.ipynb")).cells;
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
  assert.equal(text(third), "stays\n");
  assert.equal(raising.outputs?.[0].ename, "Error");
  assert.deepEqual([skipped.outputs, skipped.execution_count], [[], null]);
  assert.equal(empty.execution_count, null);
  assert.equal(last.execution_count, 5);
  assert.equal(notebook.nbformat_minor, 5);
  assert.equal(events[0], 'const screen = (globalThis as any)[Symbol.for("modalscope.d…');
});

test("a failing cell ends the run, with the truth in the notebook", async () => {
  const result = await runNotebook({ input: fixture("failing.ipynb"), output: out("failing.ipynb") });
  assert.equal(result.status, "failed");
  assert.equal(result.error?.evalue, "ready: true");
  const notebook = load(out("failing.ipynb"));
  assert.deepEqual(statuses(notebook), [undefined, "completed", "completed", undefined, "failed", "pending"]);
  assert.equal(tagged(notebook, "papermill-error-cell-tag").length, 2);
  assert.match(joined(notebook.cells[0].source), /encountered at '<a href="#papermill-error-cell">In \[2\]/);
  const [error] = notebook.cells[4].outputs ?? [];
  assert.match((error.traceback as string[]).join("\n"), /at step \(In\[2\]:2:9\)\n {4}at In\[2\]:4:1/);
  assert.equal((notebook.metadata.papermill as { exception: boolean }).exception, true);
});

interface Ended {
  code: number | null;
  stderr: string;
  stdout: string;
}

function command(args: string[], onStart?: (stop: (signal: NodeJS.Signals) => void) => void): Promise<Ended> {
  const child = spawn(process.execPath, [cli, ...args], { cwd: folder });
  let stderr = "";
  let stdout = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  onStart?.((signal) => child.kill(signal));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stderr, stdout })));
}

/** Waits until a saved notebook shows the text. */
async function saved(path: string, wanted: string): Promise<void> {
  while (!existsSync(path) || !readFileSync(path, "utf8").includes(wanted)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("the command", () => {
  test("runs with parameters from all sides, the last one winning", async () => {
    writeFileSync(join(folder, "given.yaml"), "count: 1\nlabel: file\nsizes: [9]\n");
    const base64 = Buffer.from("count: 0").toString("base64");
    const args = [
      "-b",
      base64,
      "-f",
      "given.yaml",
      "-y",
      "label: yaml",
      "-p",
      "count",
      "7",
      "-r",
      "label",
      "8",
    ];
    const { code, stdout, stderr } = await command(["run", fixture("parameters.ipynb"), "-", ...args]);
    assert.equal(code, 0, stderr);
    const values = JSON.parse(text((JSON.parse(stdout) as Notebook).cells[4]));
    assert.deepEqual([values.count, values.label, values.sizes], [7, "8", [9]]);
    assert.match(stderr, /\[1\/4\] How many\./);
  });

  test("Ctrl-C: the cell's outputs stay, it has failed, and the next is pending", async () => {
    const output = join(folder, "endless.ipynb");
    const { code, stderr } = await command(["run", fixture("endless.ipynb"), output], (stop) => {
      void saved(output, "started").then(() => stop("SIGINT"));
    });
    assert.equal(code, 130, stderr);
    const notebook = load(output);
    assert.deepEqual(statuses(notebook), [undefined, undefined, "failed", "pending"]);
    assert.equal(text(notebook.cells[2]), "started\n");
    assert.equal(notebook.cells[2].outputs?.at(-1)?.ename, "KeyboardInterrupt");
  });

  test("a killed runner leaves a whole notebook", async () => {
    const output = join(folder, "killed.ipynb");
    await command(["run", fixture("endless.ipynb"), output], (stop) => {
      void saved(output, "started").then(() => stop("SIGKILL"));
    });
    assert.deepEqual(statuses(load(output)), ["running", "pending"]);
  });

  test("a cell that ends its process: exit code 138", async () => {
    const output = join(folder, "dying.ipynb");
    const { code, stderr } = await command(["run", fixture("dying.ipynb"), output]);
    assert.equal(code, 138, stderr);
    assert.match(stderr, /exit code 7/);
    const notebook = load(output);
    assert.deepEqual(statuses(notebook).slice(2), ["failed", "pending"]);
    assert.equal(text(notebook.cells[2]), "last words\n");
    assert.equal(readdirSync(folder).filter((name) => name.endsWith(".tmp")).length, 0);
  });

  test("wrong usage and wrong input", async () => {
    writeFileSync(join(folder, "text.ipynb"), "not a notebook");
    writeFileSync(join(folder, "old.ipynb"), '{"nbformat": 3, "worksheets": []}');
    writeFileSync(
      join(folder, "bare.ipynb"),
      '{"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": []}',
    );
    const cases: [string[], number, RegExp][] = [
      [["run", "only-one"], 2, /missing required argument/],
      [["rum"], 2, /unknown command/],
      [["run", "nowhere.ipynb", "x.ipynb"], 1, /There is no such file/],
      [["run", "text.ipynb", "x.ipynb"], 1, /no valid JSON/],
      [["run", "old.ipynb", "x.ipynb"], 1, /old notebook format 3/],
      [["run", "bare.ipynb", "x.ipynb"], 1, /does not say which kernel/],
      [["run", "bare.ipynb", "x.ipynb", "-k", "modalscop"], 1, /There is no kernel "modalscop"/],
      [["run", "bare.ipynb", "text.ipynb/x.ipynb", "-k", "modalscope"], 1, /Cannot write/],
    ];
    for (const [args, expected, message] of cases) {
      const { code, stderr } = await command(args);
      assert.equal(code, expected, stderr);
      assert.match(stderr, message);
    }
    assert.ok(!existsSync(join(folder, "x.ipynb")));
  });
});
