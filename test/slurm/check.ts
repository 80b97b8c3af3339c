/**
 * A grid of eight on a real Slurm (test/slurm/up.sh): two points fail, one is killed for its memory, one cancelled,
 * one preempted, and what is run again equals a grid without Slurm. Beside it a time limit, outputs at s3:// (needs
 * moto_server on the PATH), and nodes that fail. `SLURM_CONF=… node dist/test/slurm/check.js`
 */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { command, textOf } from "../kernels/runner/support.js";
import { failedNode, killedDaemon, lostNode } from "./nodes.js";
import { remoteOutputs } from "./storage.js";
import * as on from "./support.js";
import {
  during,
  grid,
  load,
  log,
  onSlurm,
  prepare,
  rowsOf,
  says,
  slurm,
  tasks,
  told,
  until,
} from "./support.js";

const statuses = (folder: string): string[] => rowsOf(folder).map(([, status]) => status);
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
const limit = ["--time", "1"];

/** What ends tasks, told in table and notebooks. */
async function ends(remote: string): Promise<void> {
  const started = performance.now();
  const first = command([...onSlurm, "--sbatch", '--comment=a "check"'], { cwd: remote });
  await during(first, "the job", on.isSubmitted(remote));
  const job = on.jobOf(remote);
  log(`job ${job} submitted`);

  await during(first, "point 4 to be at its cell", says(remote, 4, "point 4"));
  slurm("scancel", `${job}_4`);
  await during(first, "point 5 to be at its cell", says(remote, 5, "point 5"));
  // Held, so that what the run saved at its end stands there until it was seen.
  slurm("scontrol", "requeuehold", `${job}_5`);
  await until("point 5 to be saved", () => on.recorded(remote, 5) === "interrupted");
  await until("point 5 to be held", () => /^5 PENDING /m.test(on.states(job)));
  slurm("scontrol", "release", `${job}_5`);
  log("a preempted run was saved as interrupted");

  const { code, stderr } = await first;
  log(`first round ended after ${((performance.now() - started) / 1000).toFixed(0)} s`);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /8 tasks/);
  assert.deepEqual(statuses(remote), expected, stderr);
  const errors = rowsOf(remote).map((row) => row.slice(3).join(","));
  assert.match(errors[1], /Error: bad point 1/);
  assert.match(errors[3], /it took more memory than it had asked for \(--mem 1GB\)/);
  assert.match(errors[4], /It was cancelled/);
  assert.equal(on.recorded(remote, 3), "died");
  assert.ok(
    load(remote, 3).cells.some((one) => textOf(one).includes("point 3")),
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
}

/** What was not completed is run again; all of it equals a grid without Slurm. */
async function again(remote: string): Promise<void> {
  writeFileSync(join(remote, "calm"), "");
  // The tasks wait, so that the job still runs when it is looked at.
  writeFileSync(join(remote, "hold"), "");
  const second = await command([...onSlurm, "--detach"], { cwd: remote });
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stderr, /4 tasks, 4 of the grid done earlier/);
  const twice = await command(onSlurm, { cwd: remote });
  assert.equal(twice.code, 1);
  assert.match(twice.stderr, /still runs this grid.*--attach/);
  rmSync(join(remote, "hold"));
  const attached = await command([...onSlurm, "--attach"], { cwd: remote });
  assert.equal(attached.code, 0, attached.stderr);
  assert.deepEqual(new Set(statuses(remote)), new Set(["completed"]));
  log("what was not completed was run again, detached and attached to");

  const local = prepare("local");
  writeFileSync(join(local, "calm"), "");
  const there = await command(grid, { cwd: local });
  assert.equal(there.code, 0, there.stderr);
  for (const point of tasks)
    assert.deepEqual(
      load(remote, point).cells.map(({ source, outputs }) => ({ source, outputs })),
      load(local, point).cells.map(({ source, outputs }) => ({ source, outputs })),
    );
  log("the notebooks equal those of the grid without Slurm");
}

async function cancelledByInterrupt(): Promise<void> {
  const folder = prepare("cancelled");
  let child: ChildProcess | undefined;
  const run = command([...onSlurm, "--cancel-on-interrupt"], {
    cwd: folder,
    onStart: (started) => {
      child = started;
    },
  });
  await during(run, "a point of this grid to run", on.isRunning(folder));
  child?.kill("SIGINT");
  const { code, stderr } = await run;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /cancelled/);
  assert.equal(on.states(on.jobOf(folder)).trim(), "");
  log("Ctrl-C cancelled the job that was to be cancelled by it");
}

async function overtime(late: string): Promise<void> {
  const { code, stderr } = await command([...onSlurm, ...limit, "--attach"], { cwd: late });
  assert.equal(code, 1, stderr);
  const { status, reason, recorded } = told(late, 4);
  assert.deepEqual([status, recorded], ["timeout", "timeout"]);
  assert.match(reason, /Slurm ended it: its time was up \(--time 1\)/);
  assert.ok(says(late, 4, "point 4")(), "what it had printed is there");
  log("the time limit was told truthfully");
}

try {
  // A minute is the shortest limit; it passes while the others run. A second point: the outputs are named by it.
  const late = prepare("late", [4, 6]);
  const asked = await command([...onSlurm, ...limit, "--detach"], { cwd: late });
  assert.equal(asked.code, 0, asked.stderr);
  const remote = prepare("remote");
  await ends(remote);
  await again(remote);
  await cancelledByInterrupt();
  await overtime(late);
  await remoteOutputs();
  await failedNode();
  await killedDaemon();
  await lostNode();
} catch (error) {
  on.printLogs();
  throw error;
} finally {
  rmSync(on.root, { recursive: true, force: true });
}
