import assert from "node:assert/strict";
import { type ChildProcess, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { gridReporter } from "../../../kernels/commands/grid-progress.js";
import { allowedCores, canPin } from "../../../kernels/runner/grid/cores.js";
import { type EarlierRun, Forecast } from "../../../kernels/runner/grid/forecast.js";
import { packageRoot } from "../../../lib/package-root.js";
import { command, type Ended, installStub, load, textOf, writeNotebook } from "../runner/support.js";
import { temporaryFolder } from "../temporary.js";

const folder = temporaryFolder();
const env = installStub(folder);
const file = (...names: string[]): string => join(folder, ...names);

/** Runs the command over the notebooks of a folder in here, into `out` beside it. */
function studies(
  name: string,
  args: readonly string[] = [],
  onStart?: (child: ChildProcess) => void,
): Promise<Ended> {
  const given = ["studies", "--notebooks", name, "-o", join(name, "out"), ...args];
  return command(given, { cwd: folder, env, onStart });
}

describe("the command studies", () => {
  const two = { skip: allowedCores().length < 2 && "one core here" };

  test("runs two at once, and one that fails ends no other", two, async () => {
    // Each waits for what the other writes: one after the other they would never end.
    writeNotebook(file("pair", "01-a.ipynb"), ["append a.txt x\nuntil b.txt\nprint met"], "stub");
    writeNotebook(file("pair", "02-b.ipynb"), ["append b.txt x\nuntil a.txt", "fail on purpose"], "stub");
    writeNotebook(file("pair", "03-c.ipynb"), ["print third"], "stub");
    const { code, stdout, stderr } = await studies("pair");
    assert.equal(code, 1, stderr);
    assert.match(
      stderr,
      /3 notebooks, \d+ at a time\. How long it takes is not known: no earlier run of 01-a/,
    );
    assert.match(stderr, /\[2\/3\] 02-b: failed/);
    assert.match(stderr, /1 of 3 not completed:\n.*02-b\.ipynb: failed in ".*": StubError: on purpose/);
    assert.equal(textOf(load(file("pair", "out", "01-a.ipynb")).cells[0]), "met\n");
    const page = readFileSync(stdout.trim(), "utf8");
    assert.equal(stdout.trim(), file("pair", "out", "index.html"));
    assert.deepEqual(
      ["met", "third", "on purpose"].map((text) => page.includes(text)),
      [true, true, false],
      "the report has those that completed",
    );
    assert.ok(!stderr.includes("\x1b"), "a log has no control sequences");
  });

  test("--max-cores 1 runs them one after the other, the longest of the last runs first", async () => {
    for (const name of ["01-short", "02-long"])
      writeNotebook(file("order", `${name}.ipynb`), [`append order.txt ${name}`], "stub");
    const first = await studies("order", ["--max-cores", "1"]);
    assert.equal(first.code, 0, first.stderr);
    // As if it had taken so long.
    const long = load(file("order", "out", "02-long.ipynb"));
    for (const { metadata } of [long, long.cells[0]])
      (metadata.papermill as { duration: number }).duration = 240;
    writeFileSync(file("order", "out", "02-long.ipynb"), JSON.stringify(long));
    const second = await studies("order", ["--max-cores", "1", "--save-times"]);
    assert.match(second.stderr, /2 notebooks, 1 at a time: about 4 min, by the last run in order\/out\./);
    assert.match(second.stderr, /02-long: completed, .* \(about \d+ s left for the others\)/);
    const lines = readFileSync(file("order", "order.txt"), "utf8").trim().split("\n");
    assert.deepEqual(lines, ["01-short", "02-long", "02-long", "01-short"]);

    const times = JSON.parse(readFileSync(file("order", "times.json"), "utf8")) as Record<string, EarlierRun>;
    const { duration } = load(file("order", "out", "02-long.ipynb")).metadata.papermill as {
      duration: number;
    };
    // Kept to hundredths.
    assert.equal(times["02-long.ipynb"].seconds, Math.round(duration * 100) / 100);
    rmSync(file("order", "out"), { recursive: true });
    const quiet = await studies("order", ["01", "--no-progress-bar"]);
    assert.equal(quiet.stderr, "");
    rmSync(file("order", "out"), { recursive: true });
    const third = await studies("order", ["02", "--max-cores", "1"]);
    assert.match(third.stderr, /about \d+ s, by times\.json \(.*, load [\d.]+ on \d+ cores\)\./);

    writeFileSync(file("order", "times.json"), '{"01-short.ipynb": {"seconds": "soon"}}');
    const wrong = await studies("order");
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /times\.json is not what modalscope studies --save-times writes/);
  });

  test("mistakes are said before anything runs", async () => {
    writeNotebook(file("mistakes", "01-a.ipynb"), ["append ran.txt x"], "stub");
    const prefix = await studies("mistakes", ["01", "07"]);
    assert.equal(prefix.code, 1);
    assert.match(prefix.stderr, /No notebook's name begins with "07"\..*There are 01-a\.ipynb/);
    const cores = await studies("mistakes", ["--max-cores", "1", "--cores-per-run", "2"]);
    assert.match(cores.stderr, /not 2 cores for each run/);
    assert.match((await studies("nowhere")).stderr, /Cannot read nowhere\..*no such file or folder/);
    mkdirSync(file("empty"));
    assert.match((await studies("empty")).stderr, /There are no notebooks in empty/);
    assert.ok(!existsSync(file("mistakes", "ran.txt")));
  });

  test("one whose checkpoint is not here is left out, and said", async () => {
    const model = { source: 'const model = "no-such-checkpoint";', tags: ["parameters"] };
    writeNotebook(file("missing", "01-a.ipynb"), [model, 'throw new Error("it ran");']);
    const alone = await studies("missing");
    assert.equal(alone.code, 1);
    assert.match(alone.stderr, /None of these studies has its checkpoint here/);
    writeNotebook(file("missing", "02-b.ipynb"), ["print there"], "stub");
    const { code, stderr, stdout } = await studies("missing");
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /01-a\.ipynb is left out: its checkpoint "no-such-checkpoint" is not in this package/,
    );
    assert.ok(existsSync(stdout.trim()));
    assert.ok(!existsSync(file("missing", "out", "01-a.ipynb")));
  });

  test("Ctrl-C saves what ran, starts nothing more and ends with 130", async () => {
    writeNotebook(file("slow", "01-a.ipynb"), ["print so far", "append began.txt x\nsleep 60000"], "stub");
    writeNotebook(file("slow", "02-b.ipynb"), ["print never"], "stub");
    const { code, stderr, stdout } = await studies("slow", ["--max-cores", "1"], (child) => {
      const look = setInterval(() => {
        if (!existsSync(file("slow", "began.txt"))) return;
        clearInterval(look);
        child.kill("SIGINT");
      }, 20);
    });
    assert.equal(code, 130, stderr);
    assert.match(stderr, /01-a\.ipynb: interrupted/);
    assert.match(stderr, /02-b\.ipynb: not run/);
    assert.equal(stdout, "", "there is no report");
    const notebook = load(file("slow", "out", "01-a.ipynb"));
    assert.equal(notebook.metadata.papermill?.status, "interrupted");
    assert.ok(notebook.cells.some((cell) => textOf(cell) === "so far\n"));
    assert.ok(!existsSync(file("slow", "out", "02-b.ipynb")));
  });

  const pins = { skip: !canPin() && "no taskset here" };
  test("gives the same numbers, to the bit, beside others as alone", pins, async () => {
    const cell = `import { loadModel } from "modalscope";
import { availableParallelism } from "node:os";
const model = await loadModel("maths-zh-en");
const { logits } = await model.run(await model.prepare(["What is 9 plus 5?\\n", "9加5等于几？\\n"]), { logits: "last" });
await model.close();
console.log(availableParallelism(), Buffer.from(new Float32Array(logits.data).buffer).toString("base64"));`;
    for (const name of ["01-a", "02-b"]) writeNotebook(file("same", `${name}.ipynb`), [cell]);
    const numbers = (name: string): string => textOf(load(file("same", "out", `${name}.ipynb`)).cells[0]);
    // A process without a kernel, alone on one core.
    const alone = [process.execPath, "--input-type=module", "--eval", cell];
    const said = execFileSync("taskset", ["-c", String(allowedCores()[0]), ...alone], {
      cwd: packageRoot(),
      encoding: "utf8",
    });
    assert.match(said, /^1 [\w+/]{200}/);
    const beside = await studies("same");
    assert.equal(beside.code, 0, beside.stderr);
    assert.equal(numbers("01-a"), said);
    assert.equal(numbers("02-b"), said);
  });
});

describe("the line that says what runs", () => {
  const wrote = (isTTY: boolean): string => {
    let text = "";
    const stream = new Writable({
      write(chunk, _, done) {
        text += String(chunk);
        done();
      },
    });
    const reporter = gridReporter({ left: () => 200, stream: Object.assign(stream, { isTTY, columns: 70 }) });
    const run = { index: 1, runs: 2, name: "02-b" };
    const name = `Accuracy\x1b[2J ${"by layer ".repeat(9)}`;
    reporter.onEvent({ type: "run-start", ...run });
    reporter.onEvent({ type: "cell-start", ...run, cell: { index: 2, cells: 9, name } });
    const row = { parameters: {}, output: "o", status: "completed", reused: false, seconds: 61 } as const;
    reporter.onEvent({ type: "run-end", ...run, row });
    reporter.end();
    return text;
  };

  const end = "[2/2] 02-b: completed, 1 min 1 s (about 3 min left for the others)";

  test("stays in its place on a terminal, within its width", () => {
    const lines = wrote(true).split("\r\x1b[2K");
    assert.ok(lines.includes("[2/2] 02-b …\n"), lines.join("|"));
    const live = lines.find((line) => line.includes("3/9")) as string;
    assert.match(live, /^0 of 2 ended \| [\d.]+ s, about 3 min left \| 02-b 3\/9 Accuracy \[2J b.*…$/);
    assert.ok(live.length <= 69);
    assert.deepEqual(lines.slice(-2), [`${end}\n`, ""]);
  });

  test("is left out of a log, but for once a minute", () => {
    assert.equal(wrote(false), `[2/2] 02-b …\n${end}\n`);
  });
});

describe("the forecast", () => {
  const earlier = (start: number, ...cells: number[]): EarlierRun => ({
    seconds: start + cells.reduce((sum, one) => sum + one, 0),
    cells: Object.fromEntries(cells.map((seconds, i) => [`c${i}`, seconds])),
  });

  test("fills the slots in order", () => {
    const runs = [60, 50, 30, 20].map((seconds) => earlier(0, seconds));
    assert.equal(new Forecast(runs, 1).left(), 160);
    // 60 + 20 beside 50 + 30.
    assert.equal(new Forecast(runs, 2).left(), 80);
    assert.equal(new Forecast(runs, 9).left(), 60);
  });

  test("goes by cells and by this call's pace", () => {
    let time = 5000;
    const forecast = new Forecast([earlier(2, 10, 20), earlier(0, 30)], 1, () => time);
    forecast.runStarted(0);
    assert.equal(forecast.left(), 62);
    time += 2000;
    forecast.cellStarted(0, { id: "c0" });
    assert.equal(forecast.left(), 60);
    time += 5000;
    assert.equal(forecast.left(), 55);
    time += 60_000;
    // A cell that takes longer than it did has nothing left, not less.
    assert.equal(forecast.left(), 50);
    time -= 43_000;
    forecast.cellStarted(0, { id: "c1" });
    // 24 s for what took 12: what is left of 50 takes twice as long.
    assert.equal(forecast.left(), 100);
    time += 10_000;
    forecast.runEnded(0, true);
    // 34 s for 32.
    assert.equal(forecast.left(), (30 * 34) / 32);
    forecast.runStarted(1);
    forecast.runEnded(1, false);
    assert.equal(forecast.left(), 0);
  });

  test("says nothing where a run was never seen, and nothing of cells that are new", () => {
    const forecast = new Forecast([earlier(0, 10), undefined], 1, () => 0);
    assert.equal(forecast.left(), undefined);
    forecast.runStarted(1);
    forecast.cellStarted(1, { id: "constructor" });
    forecast.runEnded(1, true);
    forecast.runStarted(0);
    forecast.cellStarted(0, { id: "constructor" });
    assert.equal(forecast.left(), 10);
  });
});
