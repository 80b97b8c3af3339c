/** A run may be ended by anything: no cell is marked completed that was not, and the cause is to be seen everywhere. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { processTree } from "../../../kernels/runner/grid/processes.js";
import {
  type NotebookRecord,
  type RunOptions,
  type RunResult,
  runNotebook,
} from "../../../kernels/runner/index.js";
import { joined, type Notebook } from "../../../lib/notebook/index.js";
import { temporaryFolder } from "../temporary.js";
import {
  command,
  errorName,
  installStub,
  load,
  saved,
  statuses,
  tagged,
  textOf,
  writeNotebook,
} from "./support.js";

const folder = temporaryFolder();
Object.assign(process.env, installStub(folder));
installStub(folder, "mute", "mute");
installStub(folder, "broken", "broken");

let made = 0;
const banner = "papermill-error-cell-tag";

const recordIn = (notebook: Notebook): Partial<NotebookRecord> =>
  notebook.metadata.papermill as Partial<NotebookRecord>;

/** Runs cells on the stand-in kernel; gives the result, and what is in the file. */
async function run(
  cells: string[],
  options: Partial<RunOptions> = {},
  kernel = "stub",
): Promise<{ result: RunResult; notebook: Notebook }> {
  const input = writeNotebook(join(folder, `in-${++made}.ipynb`), cells, kernel);
  const output = join(folder, `out-${made}.ipynb`);
  const result = await runNotebook({ input, output, ...options });
  return { result, notebook: load(output) };
}

/** The statuses of code cells alone. */
const ofCode = (notebook: Notebook): unknown[] => statuses(notebook).filter((status) => status !== undefined);

test("a run to the end", async () => {
  const { result, notebook } = await run(["print a", "print b"]);
  assert.equal(result.status, "completed");
  assert.deepEqual(ofCode(notebook), ["completed", "completed"]);
  const { status, exception, error } = recordIn(notebook);
  assert.deepEqual([status, exception, error], ["completed", null, undefined]);
});

test("a cell that fails", async () => {
  const { result, notebook } = await run(["print a", "print b\nfail no such thing", "print c"]);
  assert.equal(result.status, "failed");
  assert.deepEqual(ofCode(notebook), ["completed", "failed", "pending"]);
  assert.deepEqual(recordIn(notebook).error, {
    ename: "StubError",
    evalue: "no such thing",
    cell_id: "cell-1",
  });
  assert.equal(recordIn(notebook).exception, true);
  assert.match(
    joined(notebook.cells[0].source),
    /An Exception was encountered at '<a href="#papermill-error-cell">In \[2\]/,
  );
  assert.match(
    joined(notebook.cells[2].source),
    /id="papermill-error-cell".*encountered an exception here and stopped/,
  );
  assert.equal(textOf(notebook.cells[3]), "b\n");
});

// Most of their time is waiting: for a limit, and ten seconds for a cell that does not stop.
describe("limits", { concurrency: true }, () => {
  test("a cell past its limit", async () => {
    const { result, notebook } = await run(["sleep 300", "print b\nsleep 60000", "print c"], {
      executionTimeout: 3,
    });
    assert.equal(result.status, "timeout");
    assert.deepEqual(ofCode(notebook), ["completed", "failed", "pending"]);
    assert.equal(recordIn(notebook).status, "timeout");
    assert.match(
      recordIn(notebook).error?.evalue ?? "",
      /longer than its limit of 3 s \(--execution-timeout\)/,
    );
    assert.match(joined(notebook.cells[0].source), /The run ended at .*CellTimeoutError/);
    const failed = notebook.cells[3];
    assert.equal(textOf(failed), "b\n");
    const { ename, traceback } = (failed.outputs ?? []).at(-1) as unknown as {
      ename: string;
      traceback: string[];
    };
    assert.equal(ename, "CellTimeoutError");
    assert.match(traceback[0], /KeyboardInterrupt/);
  });

  test("a notebook past its limit", async () => {
    const { result, notebook } = await run(["sleep 100", "sleep 60000", "print c"], { notebookTimeout: 8 });
    assert.equal(result.status, "timeout");
    assert.deepEqual(ofCode(notebook), ["completed", "failed", "pending"]);
    assert.match(recordIn(notebook).error?.evalue ?? "", /limit of 8 s \(--notebook-timeout\)/);
  });

  test("a cell past its limit that does not stop when asked: its kernel is ended", async () => {
    const { result, notebook } = await run(["print a\nstuck", "print b"], { executionTimeout: 0.5 });
    assert.equal(result.status, "timeout");
    assert.deepEqual(ofCode(notebook), ["failed", "pending"]);
    assert.match(
      recordIn(notebook).error?.evalue ?? "",
      /did not stop when asked to, and its kernel was ended/,
    );
    assert.equal(
      textOf(tagged(notebook, banner).length === 2 ? notebook.cells[2] : notebook.cells[0]),
      "a\n",
    );
  });

  test("the package's own kernel, when a cell does not stop when asked", async () => {
    const lock = new URL("../../../lib/native-lock.js", import.meta.url).href;
    const cells = [
      `const { lockNative } = await import(${JSON.stringify(lock)} as string);`,
      // As a native call does that does not return.
      'console.log("so far"); lockNative(); for (;;);',
      "1",
    ];
    const stop = new AbortController();
    const onEvent: RunOptions["onEvent"] = ({ type }) => {
      if (type === "output") stop.abort();
    };
    const { result, notebook } = await run(cells, { signal: stop.signal, onEvent }, "modalscope");
    assert.equal(result.status, "interrupted");
    assert.deepEqual(ofCode(notebook), ["completed", "failed", "pending"]);
    assert.match(
      recordIn(notebook).error?.evalue ?? "",
      /did not stop when asked to, and its kernel was ended/,
    );
    assert.equal(textOf(notebook.cells[3]), "so far\n");
  });
});

test("a cell that fills the heap", async () => {
  const input = writeNotebook(join(folder, "heap.ipynb"), [
    'console.log("so far"); const all: unknown[] = []; for (;;) all.push(new Array(1e6).fill(all.length));',
    "1",
  ]);
  const { code, stderr } = await command(["run", input, "heap-out.ipynb"], {
    cwd: folder,
    env: { NODE_OPTIONS: "--max-old-space-size=160" },
  });
  assert.equal(code, 138, stderr);
  assert.match(stderr, /out of memory/);
  const notebook = load(join(folder, "heap-out.ipynb"));
  assert.deepEqual(ofCode(notebook), ["failed", "pending"]);
  // Node's own report of the heap comes after it.
  assert.deepEqual(notebook.cells[2].outputs?.[0], {
    output_type: "stream",
    name: "stdout",
    text: ["so far\n"],
  });
});

test("a kernel that dies in a cell", async () => {
  const { result, notebook } = await run(["print a", "print b\nsleep 50\ndie", "print c"]);
  assert.equal(result.status, "died");
  assert.deepEqual(ofCode(notebook), ["completed", "failed", "pending"]);
  assert.match(recordIn(notebook).error?.evalue ?? "", /exit code 9/);
  assert.equal(textOf(notebook.cells[3]), "b\n");
  assert.equal(notebook.cells[3].execution_count, 2);
});

test("a kernel that dies between two cells: the next one has not failed, it was never begun", async () => {
  const cells = ["setTimeout(() => process.exit(5), 20); 1", "await new Promise((r) => setTimeout(r, 1)); 2"];
  const input = writeNotebook(join(folder, "between.ipynb"), cells);
  const output = join(folder, "between-out.ipynb");
  const result = await runNotebook({
    input,
    output,
    onEvent(event) {
      // Holds the runner until the kernel is gone; its end is heard of before the next cell.
      if (event.type === "cell-end") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    },
  });
  assert.equal(result.status, "died");
  const [first, second] = ofCode(load(output));
  assert.equal(first, "completed");
  assert.notEqual(second, "completed");
});

test("a cell killed from outside, as the system does when memory is short", async () => {
  const { result, notebook } = await run(
    ['console.log("so far"); process.kill(process.pid, "SIGKILL");', "1"],
    {},
    "modalscope",
  );
  assert.equal(result.status, "died");
  assert.deepEqual(ofCode(notebook), ["failed", "pending"]);
  assert.match(recordIn(notebook).error?.evalue ?? "", /SIGKILL.*memory is short/);
  assert.equal(textOf(notebook.cells[2]), "so far\n");
});

test("a process that ends while the next cell is being compiled", async () => {
  const long = Array.from({ length: 3000 }, (_, i) => `const a${i} = [${i}].map((x) => x + 1)[0];`).join(
    "\n",
  );
  const input = writeNotebook(join(folder, "compiling.ipynb"), ["process.pid", long, "1"], "modalscope");
  const output = join(folder, "compiling-out.ipynb");
  let pid = 0;
  const result = await runNotebook({
    input,
    output,
    onEvent(event) {
      if (event.type === "output" && event.output.type === "execute_result")
        pid = Number(event.output.content.data["text/plain"]);
      if (event.type === "cell-start" && event.index === 1)
        setTimeout(() => process.kill(pid, "SIGKILL"), 50);
    },
  });
  assert.equal(result.status, "died");
  assert.deepEqual(ofCode(load(output)), ["completed", "failed", "pending"]);
  assert.match(recordIn(load(output)).error?.evalue ?? "", /SIGKILL/);
});

describe("a kernel that does not start", () => {
  test("because it does not answer", async () => {
    const { result, notebook } = await run(["print a"], { startTimeout: 1 }, "mute");
    assert.equal(result.status, "timeout");
    assert.deepEqual(ofCode(notebook), ["pending"]);
    assert.match(recordIn(notebook).error?.evalue ?? "", /did not start within 1 s \(--start-timeout\)/);
    assert.match(joined(notebook.cells[0].source), /ended before its first cell/);
  });

  test("because it ends at once, with its last words", async () => {
    const { result, notebook } = await run(["print a"], {}, "broken");
    assert.equal(result.status, "failed");
    assert.deepEqual(ofCode(notebook), ["pending"]);
    assert.match(recordIn(notebook).error?.evalue ?? "", /exit code 3.*\n?.*The stub breaks at its start/);
  });
});

describe("the caller's signal", () => {
  test("stops the running cell", async () => {
    const stop = new AbortController();
    const { result, notebook } = await run(["print a", "print b\nsleep 60000", "print c"], {
      signal: stop.signal,
      onEvent(event) {
        if (event.type === "output" && event.cell.id === "cell-1") stop.abort();
      },
    });
    assert.equal(result.status, "interrupted");
    assert.deepEqual(ofCode(notebook), ["completed", "failed", "pending"]);
  });

  test("lets a cell that finishes have finished", async () => {
    const stop = new AbortController();
    const { result, notebook } = await run(["print a", "print b"], {
      signal: stop.signal,
      onEvent(event) {
        if (event.type === "cell-end") stop.abort();
      },
    });
    assert.equal(result.status, "interrupted");
    assert.deepEqual(ofCode(notebook), ["completed", "pending"]);
    assert.match(
      joined(notebook.cells[0].source),
      /The run ended at '<a href="#papermill-error-cell">this cell/,
    );
  });

  test("ends a start", async () => {
    const { result } = await run(["print a"], { signal: AbortSignal.timeout(300) }, "mute");
    assert.equal(result.status, "interrupted");
  });
});

describe("the command", { concurrency: 2 }, () => {
  const endless = ['console.log("started"); for (;;) await new Promise((r) => setTimeout(r, 10));', "1"];

  const signals: [string, (child: ChildProcess) => void][] = [
    ["SIGINT", (child) => child.kill("SIGINT")],
    ["SIGTERM", (child) => child.kill("SIGTERM")],
    // As Slurm stops a job.
    [
      "SIGTERM to all its processes",
      ({ pid }) => {
        for (const own of processTree(pid!)) process.kill(own, "SIGTERM");
      },
    ],
  ];

  for (const [name, stop] of signals) {
    test(`${name}: outputs stay, the cell has failed, and the next is pending`, async () => {
      const input = writeNotebook(join(folder, `${name}.ipynb`), endless);
      const output = join(folder, `${name}-out.ipynb`);
      const { code, stderr } = await command(["run", input, output], {
        cwd: folder,
        onStart: (child) => void saved(output, '"started\\n"').then(() => stop(child)),
      });
      assert.equal(code, 130, stderr);
      const notebook = load(output);
      assert.deepEqual(ofCode(notebook), ["failed", "pending"]);
      assert.equal(textOf(notebook.cells[2]), "started\n");
      assert.equal(errorName(notebook.cells[2].outputs?.at(-1)), "KeyboardInterrupt");
    });
  }

  const codes: [string, string[], string[], number, RegExp][] = [
    ["a failure", ["fail x"], [], 1, /failed in \[1\]: StubError: x/],
    ["a death", ["die"], [], 138, /died in \[1\]: DeadKernelError: .*exit code 9/],
    [
      "a limit for cells",
      ["sleep 60000"],
      ["--execution-timeout", "0.5"],
      1,
      /timeout in \[1\]: CellTimeoutError/,
    ],
    ["a limit for all", ["sleep 60000"], ["--notebook-timeout", "2"], 1, /--notebook-timeout/],
    ["a slow start", ["print a"], ["--start-timeout", "0.5", "-k", "mute"], 1, /--start-timeout/],
    ["a wrong limit", ["print a"], ["--execution-timeout", "soon"], 2, /a number of seconds/],
  ];
  for (const [name, cells, flags, expected, message] of codes) {
    test(`${name} ends with code ${expected}`, async () => {
      const input = writeNotebook(join(folder, "codes", `${name}.ipynb`), cells, "stub");
      const { code, stderr } = await command(["run", input, `${name}-out.ipynb`, ...flags], { cwd: folder });
      assert.equal(code, expected, stderr);
      assert.match(stderr, message);
    });
  }
});

test("a run that is killed says in its notebook what was running", async () => {
  const input = writeNotebook(
    join(folder, "killed.ipynb"),
    ["print a", "print started\nsleep 60000", "print c"],
    "stub",
  );
  const output = join(folder, "killed-out.ipynb");
  const ended = await command(["run", input, output], {
    cwd: folder,
    onStart: (child) => void saved(output, '"started\\n"').then(() => child.kill("SIGKILL")),
  });
  assert.equal(ended.signal, "SIGKILL");
  assert.deepEqual(ofCode(load(output)), ["completed", "running", "pending"]);
  assert.equal(recordIn(load(output)).status, "running");
});
