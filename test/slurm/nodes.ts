/** A node that fails, one whose daemon is killed, and one that is lost with all that ran on it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { killTree } from "../../kernels/runner/grid/processes.js";
import { command, type Ended } from "../kernels/runner/support.js";
import {
  during,
  isRunning,
  jobOf,
  log,
  onSlurm,
  prepare,
  says,
  slurm,
  states,
  told,
  until,
} from "./support.js";

const nodeState = (): string => slurm("sinfo", "-h", "-o", "%T").trim();
const isBack = (): boolean => /^(idle|mixed|allocated)$/.test(nodeState());

/** One task that may be started again and one that may not, both at their cells, while `lose` happens to the node. */
async function losing(name: string, lose: (jobs: string[]) => Promise<void>): Promise<void> {
  const [again, once] = [prepare(`${name}-again`, [5, 6]), prepare(`${name}-once`, [4, 6])];
  const both = [
    command(onSlurm, { cwd: again }),
    command([...onSlurm, "--sbatch", "no-requeue"], { cwd: once }),
  ];
  await during(both[0], "point 5 to be at its cell", says(again, 5, "point 5"));
  await during(both[1], "point 4 to be at its cell", says(once, 4, "point 4"));
  await lose([again, once].map(jobOf));
  const [restarted, lost] = await Promise.all(both);
  assert.equal(restarted.code, 0, restarted.stderr);
  assert.equal(told(again, 5).status, "completed");
  assert.equal(lost.code, 1, lost.stderr);
  const end = told(once, 4);
  assert.deepEqual([end.status, end.recorded], ["died", "died"]);
  assert.match(end.reason, /Its node failed\./);
}

export async function failedNode(): Promise<void> {
  await losing("failed", async () => {
    const node = slurm("sinfo", "-h", "-o", "%n").trim();
    slurm("scontrol", "update", `nodename=${node}`, "state=down", "reason=check");
    await until("the node to be back", () => {
      // Its daemon may register it anew by itself, even between these two: it is then refused, and no longer down.
      if (nodeState().startsWith("down"))
        spawnSync("scontrol", ["update", `nodename=${node}`, "state=resume"]);
      return isBack();
    });
  });
  log("a failed node was told truthfully, and its task that may be started again was");
}

/** Ends the node's daemon as kill -9 does; `down` happens before it is started again. */
async function restartDaemon(down: () => void = () => {}): Promise<void> {
  const folder = dirname(process.env.SLURM_CONF ?? "");
  const pid = Number(readFileSync(join(folder, "slurmd.pid"), "utf8"));
  process.kill(pid, "SIGKILL");
  await until("the end of slurmd", () => !isAlive(pid));
  down();
  const { status, stderr } = spawnSync("slurmd", [], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  await until("the node to be back", isBack);
}

/** One that has ended and waits for its parent is not alive. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

/** The daemon is not the task: what runs goes on without it, and is told as it ends. */
export async function killedDaemon(): Promise<void> {
  const folder = prepare("daemon", [6, 7]);
  writeFileSync(join(folder, "hold"), "");
  const run: Promise<Ended> = command(onSlurm, { cwd: folder });
  await during(run, "point 6 to be at its cell", says(folder, 6, "point 6"));
  const before = states(jobOf(folder));
  await restartDaemon();
  assert.ok(isRunning(folder, 0)(), "its task still runs");
  assert.equal(states(jobOf(folder)), before, "and is the same");
  rmSync(join(folder, "hold"));
  const { code, stderr } = await run;
  assert.equal(code, 0, stderr);
  const { status, recorded } = told(folder, 6);
  assert.deepEqual([status, recorded], ["completed", "completed"]);
  log("a task outlived its node's killed daemon, and was told as completed");
}

/** As when the power goes: daemon and tasks end together, and the node comes back without them. */
export async function lostNode(): Promise<void> {
  await losing("lost", async (jobs) => {
    // Slurm misses a task on a node that comes back only when it began longer ago than a start may take.
    await delay(30_000);
    const managers = stepManagers(jobs);
    return restartDaemon(() => managers.forEach(killTree));
  });
  log(
    "tasks that a node lost with its daemon were told truthfully, and the one that may be started again was",
  );
}

/** Processes of Slurm that each look after a task of these jobs, its processes below them. */
function stepManagers(jobs: readonly string[]): number[] {
  const numbers = jobs.flatMap((job) => states(job).trim().split("\n")).map((line) => line.split(" ")[2]);
  const found = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && numbers.includes(taskManagedBy(name) ?? ""))
    .map(Number);
  assert.ok(found.length >= 2, "the tasks' managers are found");
  return found;
}

/** The number of the task that a process looks after; undefined for all others, and for one that has just ended. */
function taskManagedBy(pid: string): string | undefined {
  try {
    return /^slurmstepd: \[(\d+)\./.exec(readFileSync(`/proc/${pid}/cmdline`, "utf8"))?.[1];
  } catch {
    return undefined;
  }
}
