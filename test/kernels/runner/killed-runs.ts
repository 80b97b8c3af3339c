/** Runs that are killed, and what they may leave. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseNotebook } from "../../../lib/notebook/index.js";
import { seeded } from "../../../lib/random.js";
import { command, type Ended, installStub, textOf, writeNotebook } from "./support.js";

export const busyCells = 12;

/** A notebook that is saved all the while, and runs of it. */
export interface BusyNotebook {
  folder: string;
  env: NodeJS.ProcessEnv;
  input: string;
}

interface RunSettings {
  env?: NodeJS.ProcessEnv;
  node?: string[];
  onStart?: (child: ChildProcess) => void;
}

/** Its cells print much, so that writes take their time. */
export function busyNotebook(folder: string): BusyNotebook {
  const input = writeNotebook(
    join(folder, "busy.ipynb"),
    Array.from({ length: busyCells }, (_, i) =>
      [`print begin ${i} ${"x".repeat(50_000)}`, "sleep 15", `print end ${i}`, "sleep 15"].join("\n"),
    ),
    "stub",
  );
  return { folder, env: installStub(folder), input };
}

export function runBusy(
  { folder, env, input }: BusyNotebook,
  output: string,
  { env: more, node, onStart }: RunSettings = {},
): Promise<Ended> {
  const flags = ["--autosave-cell-every", "0.02", "--no-progress-bar"];
  return command(["run", input, output, ...flags], { cwd: folder, env: { ...env, ...more }, node, onStart });
}

/**
 * A killed run may leave: nothing yet, or a whole notebook whose completed cells have all their outputs.
 * @returns the number of completed cells
 */
export function checkLeft(output: string): number {
  if (!existsSync(output)) return 0;
  const notebook = parseNotebook(readFileSync(output, "utf8"), output);
  const states = notebook.cells.map((cell) => String(cell.metadata.papermill?.status));
  const completed = states.filter((state) => state === "completed").length;
  const open = states.indexOf("running") === completed ? ["running"] : [];
  const expected = [...Array(completed).fill("completed"), ...open];
  assert.deepEqual(states, [...expected, ...Array(busyCells - expected.length).fill("pending")]);
  for (const [i, cell] of notebook.cells.slice(0, completed).entries()) {
    assert.match(textOf(cell), new RegExp(`^begin ${i} x{50000}\nend ${i}\n$`));
  }
  return completed;
}

/** From the first save on: about the time that the cells take. */
const spanMs = 700;

/** Kills runs at random moments, two at a time. */
export async function killAtMoments(folder: string, count: number): Promise<void> {
  const busy = busyNotebook(folder);
  const seed = Number(process.env.KILL_SEED ?? Date.now() % 1e6);
  console.log(`kill -9: seed ${seed} (KILL_SEED)`);
  const random = seeded(seed);
  const moments = Array.from({ length: count }, () => random.uniform() * spanMs);
  const found = new Set<number>();
  let killed = 0;

  async function worker(name: string): Promise<void> {
    const output = join(folder, `${name}.ipynb`);
    for (let moment = moments.pop(); moment !== undefined; moment = moments.pop()) {
      const after = moment;
      rmSync(output, { force: true });
      const { signal, code, stderr } = await runBusy(busy, output, {
        onStart: (child) => void killAfter(child, output, after),
      });
      if (signal === "SIGKILL") killed++;
      else assert.equal(code, 0, stderr);
      found.add(checkLeft(output));
    }
    // The next run takes over what the killed ones have left.
    const { code, stderr } = await runBusy(busy, output);
    assert.equal(code, 0, stderr);
    assert.equal(checkLeft(output), busyCells);
    const left = readdirSync(folder).filter((file) => file.startsWith(`.${name}.ipynb`));
    assert.deepEqual(left, []);
  }

  await Promise.all([worker("one"), worker("two")]);
  assert.ok(killed >= count / 2, `only ${killed} of ${count} runs were killed before their end`);
  assert.ok(found.size >= Math.min(5, count / 4), `the runs were killed at the same places: ${[...found]}`);
}

/** Kills a run some time after its first save. */
async function killAfter(child: ChildProcess, output: string, ms: number): Promise<void> {
  while (child.exitCode === null && !existsSync(output)) await delay(5);
  await delay(ms);
  child.kill("SIGKILL");
}
