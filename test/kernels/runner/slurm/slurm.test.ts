import assert from "node:assert/strict";
import { type ChildProcess, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { markDeadRun, markEnd } from "../../../../kernels/runner/grid/mark-dead-run.js";
import {
  endCell,
  endRecord,
  type NotebookRecord,
  type RecordedStatus,
  recordOf,
  startCell,
  startRecord,
} from "../../../../kernels/runner/notebook/record.js";
import { isFinal, parseTasks, taskStates } from "../../../../kernels/runner/slurm/client.js";
import { notebookResources, resourceDirectives } from "../../../../kernels/runner/slurm/resources.js";
import { arrayScript, indexRanges } from "../../../../kernels/runner/slurm/script.js";
import { tailOf, type Verdict, verdictOf } from "../../../../kernels/runner/slurm/verdict.js";
import { readNotebook } from "../../../../lib/notebook/index.js";
import { temporaryFolder } from "../../temporary.js";
import { command, notebookOf, writeNotebook } from "../support.js";

const folder = temporaryFolder();

describe("the script", () => {
  test("asks for the tasks and resources, and hands every word of the command on as it is", () => {
    const words = ["a b", "it's", '$HOME `date` "x"', "*", "-p", "ü", "", "a=b,c"];
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "show.sh"), `#!/bin/sh\nprintf '%s\\n' "$PWD" "$@"\n`, { mode: 0o755 });
    const script = arrayScript({
      name: "my notebook",
      indices: [0, 1, 2, 5],
      resources: {
        time: "2:00:00",
        mem: "8GB",
        cpus: 4,
        gres: "gpu:1",
        partition: "long",
        arrayLimit: 2,
        sbatch: ["account=x", '--comment=a "b" # c'],
      },
      logs: "/logs/100%",
      cwd: folder,
      command: [join(bin, "show.sh"), ...words],
    });
    const directives = script.split("\n").filter((line) => line.startsWith("#SBATCH"));
    assert.deepEqual(directives, [
      "#SBATCH --job-name=my_notebook",
      "#SBATCH --array=0-2,5%2",
      "#SBATCH --output=/logs/100%%/%A_%a.log",
      "#SBATCH --open-mode=append",
      "#SBATCH --requeue",
      "#SBATCH --time=2:00:00",
      "#SBATCH --mem=7812500K",
      "#SBATCH --cpus-per-task=4",
      "#SBATCH --gres=gpu:1",
      "#SBATCH --partition=long",
      "#SBATCH --account=x",
      '#SBATCH --comment="a \\"b\\" # c"',
    ]);
    const printed = execFileSync("bash", ["-s"], { input: script, encoding: "utf8", cwd: "/" });
    assert.deepEqual(printed.split("\n").slice(0, -1), [folder, ...words]);
  });

  test("has no line that a value brings with it", () => {
    for (const value of ["1\nrm -rf /", "1\r\n", "\u0000"]) {
      assert.throws(() => resourceDirectives({ time: value }), /control character/);
      assert.throws(() => resourceDirectives({ sbatch: [value] }), /control character/);
    }
  });

  test("writes numbers as ranges", () => {
    assert.equal(indexRanges([0]), "0");
    assert.equal(indexRanges([1, 2, 4, 7, 8, 9]), "1-2,4,7-9");
  });
});

test("a notebook asks for resources in its metadata; what it cannot ask for is refused", () => {
  const asking = (slurm: unknown) => {
    const notebook = notebookOf(["1"]);
    notebook.metadata.modalscope = { slurm };
    return notebookResources(notebook);
  };
  assert.deepEqual(asking({ time: 30, mem: "1GiB", cpus: 2, sbatch: ["--nice"] }), {
    time: "30",
    mem: "1GiB",
    cpus: 2,
    sbatch: ["--nice"],
  });
  assert.deepEqual(notebookResources(notebookOf(["1"])), {});
  assert.throws(() => asking([]), /not an object/);
  assert.throws(() => asking({ tiem: 1 }), /unknown entry "tiem".*"time"/);
  assert.throws(() => asking({ constructor: 1 }), /unknown entry/);
  assert.throws(() => asking({ cpus: 0 }), /whole number from 1/);
  assert.throws(() => asking({ mem: {} }), /not text/);
  assert.throws(() => asking({ sbatch: "x" }), /not a list/);
});

describe("what Slurm says of tasks", () => {
  // As Slurm 22.05 wrote it, a line for each task that has begun and one for all that have not.
  const text = [
    "JobId=6 ArrayJobId=6 ArrayTaskId=6-7%2 JobName=g JobState=PENDING Reason=Resources Dependency=(null) ExitCode=0:0",
    "JobId=11 ArrayJobId=6 ArrayTaskId=4 JobName=JobState=FAILED JobState=RUNNING Reason=None ExitCode=0:0 TimeLimit=1",
    "JobId=10 ArrayJobId=6 ArrayTaskId=3 JobName=g JobState=FAILED Reason=JobLaunchFailure ExitCode=0:9",
    "JobId=8 ArrayJobId=6 ArrayTaskId=1 JobName=g JobState=FAILED Reason=NonZeroExitCode ExitCode=7:0",
    "",
  ].join("\n");

  test("is read for each of them", () => {
    const tasks = parseTasks(text);
    assert.deepEqual([...tasks.keys()].sort(), [1, 3, 4, 6, 7]);
    assert.deepEqual(tasks.get(3), { state: "FAILED", reason: "JobLaunchFailure", exitCode: 0, signal: 9 });
    assert.deepEqual(tasks.get(1), { state: "FAILED", reason: "NonZeroExitCode", exitCode: 7, signal: 0 });
    assert.equal(tasks.get(7)?.state, "PENDING");
    assert.deepEqual([...tasks.values()].map(isFinal), [false, false, false, true, true]);
  });

  test("is what ended them, in words", () => {
    const task = (state: string, signal = 0, exitCode = 0) => ({ state, reason: "", exitCode, signal });
    const words = (state: string, log = "", signal = 0) =>
      verdictOf(task(state, signal), log, { time: "5", mem: "1GB" });
    assert.equal(words("COMPLETED"), undefined);
    assert.equal(words("FAILED"), undefined);
    assert.equal(verdictOf(undefined, "", {}), undefined);
    assert.equal(verdictOf(task("FAILED", 0, 130), "", {}), undefined);
    assert.deepEqual(verdictOf(task("FAILED", 0, 127), "a\nnode: not found\n", {}), {
      status: "died",
      message:
        "Its process ended with exit code 127 and saved no cause. The last line of its log: node: not found",
    });
    assert.deepEqual(words("TIMEOUT"), {
      status: "timeout",
      message: "Slurm ended it: its time was up (--time 5).",
    });
    const memory = {
      status: "died",
      message: "Slurm ended it: it took more memory than it had asked for (--mem 1GB).",
    };
    assert.deepEqual(words("OUT_OF_MEMORY"), memory);
    const killed =
      "slurmstepd-vm: error: StepId=4.batch exceeded memory limit (147980288 > 104857600), being killed";
    assert.deepEqual(words("FAILED", killed, 9), memory);
    assert.deepEqual(
      words("FAILED", "slurmstepd: error: Detected 1 oom_kill event in StepId=4.batch."),
      memory,
    );
    assert.equal(words("FAILED", "the cell printed: out of memory"), undefined);
    assert.match(words("FAILED", "", 9)?.message ?? "", /signal 9/);
    assert.deepEqual(words("NODE_FAIL"), { status: "died", message: "Its node failed." });
    assert.equal(words("PREEMPTED")?.status, "interrupted");
    assert.equal(words("CANCELLED")?.status, "interrupted");
  });
});

test("the end of a task's last start stands in its notebook, whatever its first start has saved", async () => {
  const ends = (status: RecordedStatus) => {
    const notebook = notebookOf(["1"]);
    const cell = notebook.cells[0];
    startRecord(notebook, new Map());
    startCell(cell);
    if (status !== "running") {
      endCell(cell, { threw: true, failed: true });
      endRecord(recordOf(notebook) as NotebookRecord, status);
    }
    const output = join(folder, `${status}.ipynb`);
    writeFileSync(output, JSON.stringify(notebook));
    return async (mark: (output: string) => Promise<void>) => {
      await mark(output);
      const record = recordOf(readNotebook(output));
      return [record?.status, record?.error?.evalue];
    };
  };
  const memory: Verdict = { status: "died", message: "Too much memory." };
  const cancelled: Verdict = { status: "interrupted", message: "It was cancelled." };
  const byVerdict = (verdict: Verdict) => (output: string) => markEnd(output, verdict);
  assert.deepEqual(await ends("running")(byVerdict(memory)), ["died", "Too much memory."]);
  assert.deepEqual(await ends("interrupted")(byVerdict(memory)), ["died", "Too much memory."]);
  assert.deepEqual(await ends("interrupted")(byVerdict(cancelled)), ["interrupted", "It was cancelled."]);
  assert.deepEqual(await ends("completed")(byVerdict(memory)), ["completed", undefined]);
  assert.deepEqual(await ends("failed")(byVerdict(memory)), ["failed", undefined]);
  assert.deepEqual(await ends("interrupted")((output) => markDeadRun(output, "?")), [
    "interrupted",
    undefined,
  ]);
  assert.deepEqual(await ends("running")((output) => markDeadRun(output, "?")), ["died", "?"]);
});

test("the last of a log, however long, or none", () => {
  writeFileSync(join(folder, "log"), `${"x".repeat(100_000)}end`);
  assert.equal(readFileSync(join(folder, "log"), "utf8").endsWith(tailOf(join(folder, "log"))), true);
  assert.equal(tailOf(join(folder, "log")).length, 4096);
  assert.equal(tailOf(join(folder, "none")), "");
});

describe("Ctrl-C", () => {
  const bin = join(folder, "fake");
  mkdirSync(bin);
  const fake = (name: string, script: string): void =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const PATH = `${bin}:${process.env.PATH}`;

  test("before the submission submits nothing, says so, and ends with 130", async () => {
    fake("sbatch", `touch '${join(folder, "submitted")}'; echo 7`);
    writeNotebook(join(folder, "g.ipynb"), [{ source: "let point = 0;", tags: ["parameters"] }, "point"]);
    writeFileSync(join(folder, "grid.yaml"), "point: [1, 2]\n");
    // Whoever opens a pipe for writing waits for its reader: the command is at its work then.
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    const grid = ["run", "g.ipynb", "early", "--grid", "grid.yaml", "--engine", "slurm", "-f", pipe];
    let child: ChildProcess | undefined;
    const ended = command(grid, {
      cwd: folder,
      env: { PATH },
      onStart: (started) => {
        child = started;
      },
    });
    const file = await open(pipe, "w");
    child?.kill("SIGINT");
    await file.write("{}\n");
    await file.close();
    const { code, stderr } = await ended;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /Interrupted before the grid was submitted: there is no job\./);
    assert.ok(!existsSync(join(folder, "submitted")));
    assert.ok(!existsSync(join(folder, "early", "slurm", "job.json")));
  });

  test("in a terminal does not reach Slurm's commands", { skip: process.platform !== "linux" }, async () => {
    // The process group is the fifth field; the shell itself has none of its own in a script.
    fake("scontrol", `read -r stat </proc/self/stat; set -- $stat; echo "$5" >'${join(folder, "group")}'`);
    const path = process.env.PATH;
    process.env.PATH = PATH;
    try {
      assert.deepEqual(await taskStates("7"), new Map());
    } finally {
      process.env.PATH = path;
    }
    const own = readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ")[2];
    assert.notEqual(readFileSync(join(folder, "group"), "utf8").trim(), own);
  });
});
