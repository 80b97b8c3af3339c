/**
 * A grid of eight on a real Slurm (test/slurm/up.sh): two points fail, one is killed for its memory, one cancelled,
 * one preempted, and what is run again equals a grid without Slurm. Beside it a time limit, and at the end a node that
 * fails. `SLURM_CONF=… node dist/test/slurm/check.js`
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parquetReadObjects } from "hyparquet";
import { tailOf } from "../../kernels/runner/slurm/verdict.js";
import type { Notebook } from "../../lib/notebook/index.js";
import { command, notebookOf, textOf } from "../kernels/runner/support.js";

// Where every node could see it.
const root = mkdtempSync(join(tmpdir(), "modalscope-slurm-"));
const log = (text: string): void => console.log(`- ${text}`);
const tasks = Array.from({ length: 8 }, (_, i) => i);

/** The cell of each point, for as long as the file `calm` is not there. Point 3 takes no memory before it is saved. */
const cell = `import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
console.log("point", point);
const calm = existsSync("calm");
if (!calm && (point === 1 || point === 2)) throw new Error("bad point " + point);
const kept: Buffer[] = [];
const isSaved = () => readFileSync("out/g-point=3.ipynb", "utf8").includes("point " + point);
while (!calm && point === 3 && !isSaved()) await wait(50);
while (!calm && point === 3) { kept.push(Buffer.alloc(2e7, 1)); await wait(50); }
if (!calm && point === 4) await wait(3_600_000);
const seen = existsSync("seen");
writeFileSync("seen", "");
if (!calm && point === 5 && !seen) await wait(3_600_000);
point * point`;

/** A folder with the notebook and a grid of these points. */
function prepare(folder: string, points: readonly number[] = tasks): string {
  mkdirSync(folder);
  const notebook = notebookOf([
    { source: "let point = 0;", tags: ["parameters"] },
    cell.replaceAll('"seen"', '"seen-" + point'),
  ]);
  notebook.metadata.modalscope = { slurm: { time: "10", mem: "1GB" } };
  writeFileSync(join(folder, "g.ipynb"), JSON.stringify(notebook));
  writeFileSync(join(folder, "grid.yaml"), `point: [${points.join(", ")}]\n`);
  return folder;
}

const jobOf = (folder: string): string =>
  (JSON.parse(readFileSync(join(folder, "out", "slurm", "job.json"), "utf8")) as { job: string }).job;

/** Whether a point's notebook holds the text, in an output or in its record. */
const says = (folder: string, point: number, text: string) => (): boolean => {
  try {
    return load(folder, point).cells.some((one) => textOf(one).includes(text));
  } catch {
    return false;
  }
};

/** What the table and the notebook of a point say: status and reason in both. */
function told(folder: string, point: number): [status: unknown, error: string, recorded: unknown] {
  const row = rowsOf(folder).find(([one]) => one === String(point)) ?? [];
  const record = load(folder, point).metadata.papermill;
  return [row[1], row.slice(3).join(","), record?.status];
}

function load(folder: string, point: number): Notebook {
  return JSON.parse(readFileSync(join(folder, "out", `g-point=${point}.ipynb`), "utf8")) as Notebook;
}

function rowsOf(folder: string): string[][] {
  const [, ...lines] = readFileSync(join(folder, "out", "summary.csv"), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => line.split(","));
}

const statuses = (folder: string): string[] => rowsOf(folder).map(([, status]) => status);
const slurm = (name: string, ...args: string[]): string => execFileSync(name, args, { encoding: "utf8" });
const grid = ["run", "g.ipynb", "out", "--grid", "grid.yaml"];

async function until(what: string, test: () => boolean): Promise<void> {
  const end = Date.now() + 180_000;
  while (!test()) {
    assert.ok(Date.now() < end, `waited three minutes for ${what}`);
    await delay(500);
  }
}

const states = (job: string): string => slurm("squeue", "-h", "-r", "-j", job, "-o", "%K %T");

/** Whether the grid of a folder was submitted and has a task that runs: another's may run beside it. */
const isRunning = (folder: string): boolean =>
  existsSync(join(folder, "out", "slurm", "job.json")) && / RUNNING$/m.test(states(jobOf(folder)));

try {
  // A minute is the shortest limit; it passes while the others run. A second point: the outputs are named by it.
  const late = prepare(join(root, "late"), [4, 6]);
  const limit = ["--engine", "slurm", "--time", "1"];
  const asked = await command([...grid, ...limit, "--detach"], { cwd: late });
  assert.equal(asked.code, 0, asked.stderr);

  const remote = prepare(join(root, "remote"));
  const started = performance.now();
  const first = command([...grid, "--engine", "slurm", "--sbatch", '--comment=a "check"'], { cwd: remote });
  await until("the job", () => existsSync(join(remote, "out", "slurm", "job.json")));
  const job = jobOf(remote);
  log(`job ${job} submitted`);

  const running = (index: number) => () => new RegExp(`^${index} RUNNING$`, "m").test(states(job));
  await until("point 4 to run", running(4));
  await until("point 4 to be at its cell", says(remote, 4, "point 4"));
  slurm("scancel", `${job}_4`);
  await until("point 5 to run", running(5));
  await until("point 5 to be at its cell", says(remote, 5, "point 5"));
  slurm("scontrol", "requeue", `${job}_5`);
  await until("point 5 to be saved", () => load(remote, 5).metadata.papermill?.status === "interrupted");
  log("a preempted run was saved as interrupted");

  const { code, stderr } = await first;
  log(`first round ended after ${((performance.now() - started) / 1000).toFixed(0)} s`);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /8 tasks/);
  const expected = [
    "completed",
    "failed",
    "failed",
    "died",
    "interrupted",
    "completed",
    "completed",
    "completed",
  ];
  assert.deepEqual(statuses(remote), expected, stderr);
  const errors = rowsOf(remote).map((row) => row.slice(3).join(","));
  assert.match(errors[1], /Error: bad point 1/);
  assert.match(errors[3], /it took more memory than it had asked for \(--mem 1GB\)/);
  assert.match(errors[4], /It was cancelled/);
  const killed = load(remote, 3);
  assert.equal(killed.metadata.papermill?.status, "died");
  assert.ok(
    killed.cells.some((one) => textOf(one).includes("point 3")),
    "what the killed run had printed is there",
  );
  log("two failures, a kill for memory, a cancel and a preemption told truthfully");

  const bytes = readFileSync(join(remote, "out", "summary.parquet"));
  const table = await parquetReadObjects({
    file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  });
  assert.deepEqual(
    table.map(({ point }) => point),
    tasks,
  );
  assert.deepEqual(
    table.map(({ status }) => status),
    expected,
  );

  writeFileSync(join(remote, "calm"), "");
  const second = await command([...grid, "--engine", "slurm", "--detach"], { cwd: remote });
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stderr, /4 tasks, 4 of the grid done earlier/);
  const twice = await command([...grid, "--engine", "slurm"], { cwd: remote });
  assert.equal(twice.code, 1);
  assert.match(twice.stderr, /still runs this grid.*--attach/);
  const attached = await command([...grid, "--engine", "slurm", "--attach"], { cwd: remote });
  assert.equal(attached.code, 0, attached.stderr);
  assert.deepEqual(new Set(statuses(remote)), new Set(["completed"]));
  log("what was not completed was run again, detached and attached to");

  const local = prepare(join(root, "local"));
  writeFileSync(join(local, "calm"), "");
  const there = await command(grid, { cwd: local });
  assert.equal(there.code, 0, there.stderr);
  for (const point of tasks)
    assert.deepEqual(
      load(remote, point).cells.map(({ source, outputs }) => ({ source, outputs })),
      load(local, point).cells.map(({ source, outputs }) => ({ source, outputs })),
    );
  log("the notebooks equal those of the grid without Slurm");

  const cancelled = prepare(join(root, "cancelled"));
  const third = command([...grid, "--engine", "slurm", "--cancel-on-interrupt"], {
    cwd: cancelled,
    onStart: (child) =>
      void until("a point of this grid to run", () => isRunning(cancelled)).then(() => child.kill("SIGINT")),
  });
  const ended = await third;
  assert.equal(ended.code, 130, ended.stderr);
  assert.match(ended.stderr, /cancelled/);
  assert.equal(states(jobOf(cancelled)).trim(), "");
  log("Ctrl-C cancelled the job that was to be cancelled by it");

  const overtime = await command([...grid, ...limit, "--attach"], { cwd: late });
  assert.equal(overtime.code, 1, overtime.stderr);
  const [status, reason, recorded] = told(late, 4);
  assert.deepEqual([status, recorded], ["timeout", "timeout"]);
  assert.match(reason, /Slurm ended it: its time was up \(--time 1\)/);
  assert.ok(says(late, 4, "point 4")(), "what it had printed is there");
  log("the time limit was told truthfully");

  // One task that may be started again and one that may not, on a node that fails under them.
  const [again, once] = [prepare(join(root, "again"), [5, 6]), prepare(join(root, "once"), [4, 6])];
  const both = [
    command([...grid, "--engine", "slurm"], { cwd: again }),
    command([...grid, "--engine", "slurm", "--sbatch", "no-requeue"], { cwd: once }),
  ];
  await until("point 5 to be at its cell", says(again, 5, "point 5"));
  await until("point 4 to be at its cell", says(once, 4, "point 4"));
  const node = slurm("sinfo", "-h", "-o", "%n").trim();
  slurm("scontrol", "update", `nodename=${node}`, "state=down", "reason=check");
  await until("the end of point 4", () => !/^0 (RUNNING|COMPLETING)$/m.test(states(jobOf(once))));
  await until("the node to be back", () => {
    // Its daemon may register it anew by itself, even between these two: it is then refused, and no longer down.
    if (slurm("sinfo", "-h", "-o", "%T").startsWith("down"))
      spawnSync("scontrol", ["update", `nodename=${node}`, "state=resume"]);
    return !/^(down|drain)/.test(slurm("sinfo", "-h", "-o", "%T"));
  });
  const [restarted, lost] = await Promise.all(both);
  assert.equal(restarted.code, 0, restarted.stderr);
  assert.equal(told(again, 5)[0], "completed");
  assert.equal(lost.code, 1, lost.stderr);
  assert.deepEqual(
    told(once, 4).filter((_, i) => i !== 1),
    ["died", "died"],
  );
  assert.match(told(once, 4)[1], /Its node failed\./);
  log("a failed node was told truthfully, and its task that may be started again was");
} catch (error) {
  for (const folder of ["remote", "cancelled", "late", "again", "once"].map((name) =>
    join(root, name, "out", "slurm", "logs"),
  ))
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      console.log(`== ${name}\n${tailOf(join(folder, name))}`);
  throw error;
} finally {
  rmSync(root, { recursive: true, force: true });
}
