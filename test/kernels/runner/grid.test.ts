import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, test } from "node:test";
import { combinations, readGrid, varyingNames } from "../../../kernels/runner/grid/combinations.js";
import { canPin, parseCoreList } from "../../../kernels/runner/grid/cores.js";
import { commonFolder, outputPaths } from "../../../kernels/runner/grid/paths.js";
import { memoryOfTree, processTree } from "../../../kernels/runner/grid/processes.js";
import { runScheduled, type StartedJob } from "../../../kernels/runner/grid/schedule.js";
import { summaryTable } from "../../../kernels/runner/grid/summary.js";
import { temporaryFolder } from "../temporary.js";
import { command, type Ended, installStub, load, statuses, textOf, writeNotebook } from "./support.js";

const folder = temporaryFolder();
const env = installStub(folder);
const file = (name: string): string => join(folder, name);

describe("combinations", () => {
  const grid = (yaml: string, fixed = {}): unknown => {
    writeFileSync(file("grid.yaml"), yaml);
    return readGrid(file("grid.yaml"), fixed);
  };

  test("are all of a mapping's lists, the last name changing fastest", () => {
    assert.deepEqual(combinations({ a: [1, 2], b: "x", c: [true, null] }, "here"), [
      { a: 1, b: "x", c: true },
      { a: 1, b: "x", c: null },
      { a: 2, b: "x", c: true },
      { a: 2, b: "x", c: null },
    ]);
    assert.deepEqual(grid("sizes: [[1, 2], []]\no: {k: [1, 2]}", { fixed: 5 }), [
      { fixed: 5, sizes: [1, 2], o: { k: [1, 2] } },
      { fixed: 5, sizes: [], o: { k: [1, 2] } },
    ]);
  });

  test("of a list of mappings are those of one after the other", () => {
    assert.deepEqual(grid("- {a: [1, 2]}\n- {a: 3, b: 4}"), [{ a: 1 }, { a: 2 }, { a: 3, b: 4 }]);
  });

  test("that make no sense are errors", () => {
    assert.throws(() => grid("a: []"), /"a" in .* has no values.*a: \[\[\]\]/);
    assert.throws(() => grid("[]"), /has no combinations/);
    assert.throws(() => grid("5"), /is no grid/);
    assert.throws(() => grid("- 5"), /is no grid/);
    assert.throws(() => grid("a: [1, 1]"), /has the combination a=1 twice/);
    assert.throws(() => grid("a: [1, 2]", { a: 3 }), /"a" is in .* given for all runs, too/);
  });

  test("differ in some names", () => {
    assert.deepEqual(
      varyingNames([
        { a: 1, b: 2, c: 0 },
        { a: 1, b: 3 },
      ]),
      ["b", "c"],
    );
  });
});

describe("outputs", () => {
  const runs = [
    { n: 1, s: "x" },
    { n: 2, s: "a/b c" },
  ];

  test("lie in a folder under what sets them apart, in names that any system takes", () => {
    const paths = outputPaths("out", "x/study.ipynb", runs);
    assert.equal(paths[0], join("out", "study-n=1,s=x.ipynb"));
    assert.match(paths[1], /^out\/study-n=2,s=a_b_c-[0-9a-f]{8}\.ipynb$/);
    assert.deepEqual(outputPaths("out", "x/study.ipynb", runs), paths);
    assert.deepEqual(outputPaths("out", "study.ipynb", [{ n: 1 }]), [join("out", "study.ipynb")]);
    const long = outputPaths("out", "s.ipynb", [{ t: "x".repeat(500) }, { t: `${"x".repeat(500)}y` }]);
    assert.notEqual(long[0], long[1]);
    assert.ok(long[0].length < 180);
  });

  test("go by a template", () => {
    assert.deepEqual(outputPaths("o/{n}/{s}.ipynb", "s.ipynb", [{ n: 1, s: "x" }]), ["o/1/x.ipynb"]);
    assert.equal(relative(process.cwd(), commonFolder(["o/1/x.ipynb", "o/2/x.ipynb"])), "o");
    assert.equal(commonFolder(["/a/x", "/b/y"]), "/");
  });

  test("must not meet", () => {
    assert.throws(
      () => outputPaths("out.ipynb", "s.ipynb", runs),
      /All runs of the grid would write to out\.ipynb/,
    );
    assert.throws(
      () => outputPaths("o/{n}.ipynb", "s.ipynb", [...runs, { n: 2, s: "z" }]),
      /Two runs of the grid would write o\/2\.ipynb.*n=2 s="a\/b c" and n=2 s="z".*\{n\} \{s\}/,
    );
  });
});

test("cores are read as Linux lists them", () => {
  assert.deepEqual(parseCoreList("0-3,8,10-11"), [0, 1, 2, 3, 8, 10, 11]);
});

test("a process's memory is known, and what it has started", () => {
  assert.equal(processTree(process.pid)[0], process.pid);
  const before = memoryOfTree(process.pid);
  const block = Buffer.alloc(200e6, 1);
  const grown = memoryOfTree(process.pid) - before;
  assert.ok(Math.abs(grown - block.length) < 60e6, `${grown} bytes more`);
});

describe("the schedule", () => {
  interface Plan {
    bytes: number[];
    slots: number;
    maxMemory: number;
    /** The signal comes at this look. */
    abortAfter?: number;
  }

  /**
   * Runs jobs that take so many bytes, half of them at first, until they have been looked at twelve times: a machine
   * that is slow looks as often.
   */
  async function run({
    bytes,
    slots,
    maxMemory,
    abortAfter,
  }: Plan): Promise<{ log: string[]; most: number }> {
    const log: string[] = [];
    const stop = new AbortController();
    let [running, most, looks] = [0, 0, 0];
    await runScheduled<string>({
      jobs: bytes.length,
      slots,
      maxMemory,
      signal: stop.signal,
      lookEveryMs: 1,
      start(job, slot): StartedJob<string> {
        assert.ok(slot < slots);
        most = Math.max(most, ++running);
        let own = 0;
        let end = (_: string): void => {};
        const result = new Promise<string>((resolve) => {
          end = resolve;
        }).finally(() => running--);
        const memory = (): number => {
          if (++looks === abortAfter) stop.abort();
          if (++own === 12) end("done");
          return bytes[job] * (own <= 4 ? 0.5 : 1);
        };
        return { result, memory, kill: () => end("killed") };
      },
      done: (job, result) => log.push(`${job} ${result}`),
      outOfMemory: (job, _, retried) => log.push(`${job} ${retried ? "again" : "never"}`),
      failed: (job) => log.push(`${job} failed`),
    });
    return { log, most };
  }

  test("fills the slots", async () => {
    const { log, most } = await run({ bytes: [1, 1, 1, 1, 1], slots: 2, maxMemory: 100 });
    assert.deepEqual([...log].sort(), ["0 done", "1 done", "2 done", "3 done", "4 done"]);
    assert.equal(most, 2);
  });

  test("ends the last one when the memory is short, runs it again, and learns", async () => {
    const { log } = await run({ bytes: [6, 6, 6, 6], slots: 4, maxMemory: 10 });
    assert.deepEqual(log.filter((line) => line.endsWith("done")).sort(), [
      "0 done",
      "1 done",
      "2 done",
      "3 done",
    ]);
    // 4 × 3 at the start are too much for 10, 2 × 6 later on; from then on they run one by one.
    const again = log.filter((line) => line.endsWith("again"));
    assert.ok(again.length >= 2 && again.length <= 4, log.join(", "));
    assert.deepEqual(log.slice(-2), ["2 done", "3 done"]);
  });

  test("gives up one that is too large alone, and goes on", async () => {
    const { log } = await run({ bytes: [1, 30, 1], slots: 1, maxMemory: 10 });
    assert.deepEqual(log, ["0 done", "1 never", "1 failed", "2 done"]);
  });

  test("starts nothing after the signal", async () => {
    const { log } = await run({ bytes: [1, 1, 1], slots: 1, maxMemory: 10, abortAfter: 6 });
    assert.deepEqual(log, ["0 done"]);
  });
});

describe("the command", () => {
  const study = writeNotebook(
    file("study.ipynb"),
    [
      { source: "n = 0\nmode = 'a'", tags: ["parameters"] },
      "append ran.txt run\nshow n\nfail-if n 2",
      "# The result\nshow mode",
    ],
    "stub",
  );
  writeFileSync(file("params.yaml"), "n: [1, 2, 3]\nmode: [a, b]\n");
  const grid = (...args: string[]): Promise<Ended> =>
    command(["run", study, "runs", "--grid", "params.yaml", ...args], { cwd: folder, env });
  const runs = (): number => readFileSync(file("ran.txt"), "utf8").trim().split("\n").length;

  test("runs all, fails with those that fail, and writes a table", async () => {
    const { code, stdout, stderr } = await grid("--max-cores", "2");
    assert.equal(code, 1, stderr);
    assert.equal(runs(), 6);
    assert.match(stdout, /^n +mode +status +seconds\n1 +a +completed +\d/);
    assert.equal(stdout.match(/completed/g)?.length, 4);
    assert.match(
      stderr,
      /2 of 6 not completed:\n {2}runs\/study-n=2,mode=a\.ipynb: failed in "append.*": StubError: n 2/,
    );
    const table = readFileSync(file("runs/summary.csv"), "utf8").trim().split("\n");
    assert.equal(table[0], "n,mode,status,seconds,cell,error,output");
    assert.match(table[1], /^1,a,completed,\d+\.\d+,,,"study-n=1,mode=a\.ipynb"$/);
    assert.match(table[3], /^2,a,failed,/);
    const notebook = load(file("runs/study-n=3,mode=b.ipynb"));
    assert.deepEqual(notebook.cells.map(textOf), ["", "", "3\n", '"b"\n']);
  });

  test("a second call runs only what is missing", async () => {
    writeFileSync(file("ran.txt"), "");
    rmSync(file("runs/study-n=1,mode=b.ipynb"));
    const { code, stdout, stderr } = await grid();
    assert.equal(code, 1);
    assert.equal(runs(), 3, "two that failed, one that was removed");
    assert.match(stderr, /6 runs, 3 of them done earlier/);
    assert.equal(stdout.match(/completed \(reused\)/g)?.length, 3);
    const reused = readFileSync(file("runs/summary.csv"), "utf8").split("\n")[1];
    assert.match(reused, /^1,a,completed,\d+\.\d+,/);
  });

  test("--force runs all", async () => {
    writeFileSync(file("ran.txt"), "");
    await grid("--force");
    assert.equal(runs(), 6);
  });

  test("a changed notebook runs anew", async () => {
    writeFileSync(file("ran.txt"), "");
    const cells = load(study).cells.map(({ source, metadata: { tags } }) => ({
      source: String(source),
      tags,
    }));
    cells[1].source = cells[1].source.replace("\nfail-if n 2", "");
    writeNotebook(study, cells, "stub");
    const { code, stderr } = await grid();
    assert.equal(code, 0, stderr);
    assert.equal(runs(), 6);
    assert.deepEqual(statuses(load(file("runs/study-n=2,mode=b.ipynb"))), Array(4).fill("completed"));
  });

  test("mistakes in any combination are said before anything runs", async () => {
    writeFileSync(file("wrong.yaml"), "n: [1, x]\n");
    const wrong = await command(["run", study, "wrong", "--grid", "wrong.yaml"], { cwd: folder, env });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /"n" must be int, and was given "x"/);
    assert.ok(!existsSync(file("wrong")));
    const cores = await grid("--max-cores", "1", "--cores-per-run", "2");
    assert.match(cores.stderr, /not 2 cores for each run/);
  });

  test("a run over the limit of memory is ended and says so in its notebook, others go on", async () => {
    const hungry = writeNotebook(
      file("hungry.ipynb"),
      [
        { source: "mb = 1", tags: ["parameters"] },
        "print so far\nsleep 700\nshow mb\nfail-if mb 1",
        "hold 700\nsleep 20000",
      ],
      "stub",
    );
    writeFileSync(file("mb.yaml"), "mb: [2, 1]\n");
    const { code, stdout, stderr } = await command(
      ["run", hungry, "hungry", "--grid", "mb.yaml", "--max-memory", "500MB", "--max-cores", "1"],
      { cwd: folder, env },
    );
    assert.equal(code, 1);
    assert.match(stdout, /2 +died/);
    assert.match(stdout, /1 +failed/);
    assert.match(stderr, /mb=2: stopped at .*it is not run again/);
    const notebook = load(file("hungry/hungry-mb=2.ipynb"));
    assert.deepEqual(
      statuses(notebook).filter((status) => status !== undefined),
      ["completed", "completed", "completed", "failed"],
    );
    assert.match(
      JSON.stringify(notebook.metadata.papermill),
      /"status":"died".*more than the limit of 500 MB/,
    );
    assert.deepEqual(
      readdirSync(file("hungry")).filter((name) => name.startsWith(".")),
      [],
    );
  });

  test("Ctrl-C stops all, and the table says what was not run", async () => {
    const slow = writeNotebook(
      file("slow.ipynb"),
      [{ source: "n = 0", tags: ["parameters"] }, "append began.txt x\nsleep 60000"],
      "stub",
    );
    writeFileSync(file("three.yaml"), "n: [1, 2, 3]\n");
    const { code, stdout } = await command(
      ["run", slow, "slow", "--grid", "three.yaml", "--max-cores", "1"],
      {
        cwd: folder,
        env,
        onStart(child) {
          const look = setInterval(() => {
            if (!existsSync(file("began.txt"))) return;
            clearInterval(look);
            child.kill("SIGINT");
          }, 20);
        },
      },
    );
    assert.equal(code, 130);
    assert.match(stdout, /1 +interrupted/);
    assert.match(stdout, /3 +not run/);
  });

  test("each run has its own cores", { skip: !canPin() && "no taskset here" }, async () => {
    const cells = [
      { source: "const n = 0;", tags: ["parameters"] },
      'import { readFileSync } from "node:fs"; import { availableParallelism } from "node:os";',
      'console.log(availableParallelism(), /Cpus_allowed_list:\\s*(.*)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);',
    ];
    const input = writeNotebook(file("cores.ipynb"), cells);
    writeFileSync(file("one.yaml"), "n: [1]\n");
    const { code, stderr } = await command(["run", input, "cores", "--grid", "one.yaml"], {
      cwd: folder,
      env,
    });
    assert.equal(code, 0, stderr);
    assert.match(textOf(load(file("cores/cores.ipynb")).cells[3]), /^1 \d+\n$/);
  });
});

test("the table on a terminal has one line for each run, whatever the values hold", () => {
  const values = ['a,b\n"c"', "x".repeat(500), "\r\n\t"];
  const rows = values.map((value) => ({
    parameters: { seconds: value },
    output: "o.ipynb",
    status: "completed" as const,
    reused: false,
    seconds: 1,
  }));
  const lines = summaryTable(rows, ["seconds"]).trimEnd().split("\n");
  assert.equal(lines.length, 4);
  assert.match(lines[0], /^parameters\.seconds +status +seconds$/);
  assert.match(lines[1], /^a,b "c" +completed +1\.0$/);
  assert.ok(
    lines.every((line) => line.length < 80),
    lines.join("\n"),
  );
});
