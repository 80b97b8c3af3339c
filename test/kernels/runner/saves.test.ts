/** A runner that is killed, at any moment, leaves a notebook that can be read and that tells the truth. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runNotebook } from "../../../kernels/runner/index.js";
import { autosave } from "../../../kernels/runner/output/autosave.js";
import { parseNotebook } from "../../../lib/notebook/index.js";
import { seeded } from "../../../lib/random.js";
import { temporaryFolder } from "../temporary.js";
import { command, type Ended, installStub, load, textOf, writeNotebook } from "./support.js";

const folder = temporaryFolder();
const env = installStub(folder);
Object.assign(process.env, env);
const cells = 12;

/** Its cells print much, so that writes take their time, and it is saved all the while. */
const input = writeNotebook(
  join(folder, "busy.ipynb"),
  Array.from({ length: cells }, (_, i) =>
    [`print begin ${i} ${"x".repeat(50_000)}`, "sleep 15", `print end ${i}`, "sleep 15"].join("\n"),
  ),
  "stub",
);

function run(output: string, node: string[], onStart?: (child: ChildProcess) => void): Promise<Ended> {
  const flags = ["--autosave-cell-every", "0.02", "--no-progress-bar"];
  return command(["run", input, output, ...flags], {
    cwd: folder,
    env: { ...env, ...killing },
    node,
    onStart,
  });
}
let killing: NodeJS.ProcessEnv = {};

/** What a killed run may leave: nothing yet, or a whole notebook whose completed cells have all their outputs. */
function check(output: string): number {
  if (!existsSync(output)) return 0;
  const notebook = parseNotebook(readFileSync(output, "utf8"), output);
  const states = notebook.cells.map((cell) => String(cell.metadata.papermill?.status));
  const completed = states.filter((state) => state === "completed").length;
  const open = states.indexOf("running") === completed ? ["running"] : [];
  const expected = [...Array(completed).fill("completed"), ...open];
  assert.deepEqual(states, [...expected, ...Array(cells - expected.length).fill("pending")]);
  for (const [i, cell] of notebook.cells.slice(0, completed).entries()) {
    assert.match(textOf(cell), new RegExp(`^begin ${i} x{50000}\nend ${i}\n$`));
  }
  return completed;
}

test("kill -9 at 50 moments", { timeout: 300_000 }, async (t) => {
  const seed = Number(process.env.KILL_SEED ?? Date.now() % 1e6);
  t.diagnostic(`seed ${seed} (KILL_SEED)`);
  console.log(`kill -9: seed ${seed} (KILL_SEED)`);
  const random = seeded(seed);
  /** From the first save on: about the time that the cells take. */
  const spanMs = 700;
  const moments = Array.from({ length: 50 }, () => random.uniform() * spanMs);
  const found = new Set<number>();
  let killed = 0;

  async function worker(name: string): Promise<void> {
    const output = join(folder, `${name}.ipynb`);
    for (let moment = moments.pop(); moment !== undefined; moment = moments.pop()) {
      const after = moment;
      rmSync(output, { force: true });
      const { signal, code, stderr } = await run(output, [], (child) => {
        void killAfter(child, output, after);
      });
      if (signal === "SIGKILL") killed++;
      else assert.equal(code, 0, stderr);
      found.add(check(output));
    }
    // The next run takes over what the killed ones have left.
    const { code, stderr } = await run(output, []);
    assert.equal(code, 0, stderr);
    assert.equal(check(output), cells);
    const left = readdirSync(folder).filter((file) => file.startsWith(`.${name}.ipynb`));
    assert.deepEqual(left, []);
  }

  await Promise.all([worker("one"), worker("two")]);
  assert.ok(killed >= 25, `only ${killed} runs were killed before their end`);
  assert.ok(found.size >= 5, `the runs were killed at the same places: ${[...found]}`);
});

/** Kills a run some time after its first save. */
async function killAfter(child: ChildProcess, output: string, ms: number): Promise<void> {
  while (child.exitCode === null && !existsSync(output)) await delay(5);
  await delay(ms);
  child.kill("SIGKILL");
}

describe("kill -9 inside a write", () => {
  const preload = new URL("./kill-in-write.js", import.meta.url).href;
  for (const phase of ["opened", "half written", "written", "on disk", "renamed"]) {
    test(phase, async () => {
      const output = join(folder, `${phase}.ipynb`);
      killing = { KILL_PHASE: phase };
      const { signal, stderr } = await run(output, ["--import", preload]);
      assert.equal(signal, "SIGKILL", stderr);
      assert.ok(existsSync(output));
      assert.ok(check(output) < cells);
      killing = {};
    });
  }
});

describe("saves while a cell runs", () => {
  test("come when there is something new, and not after its end", async () => {
    let saves = 0;
    const saver = autosave(0.02, () => saves++);
    saver.begin();
    await delay(200);
    const atFirst = saves;
    assert.equal(atFirst, 1);
    saver.touch();
    await delay(200);
    assert.equal(saves, 2);
    saver.touch();
    saver.end();
    await delay(100);
    assert.equal(saves, 2);
  });

  test("take a small part of the time, however long each takes", async () => {
    let saves = 0;
    const saver = autosave(0.001, () => {
      saves++;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
    });
    saver.begin();
    const ticks = setInterval(saver.touch, 1);
    await delay(1000);
    clearInterval(ticks);
    saver.end();
    // 30 ms and a pause of ten times that: three or four in a second.
    assert.ok(saves >= 1 && saves <= 4, `${saves} saves`);
  });
});

test("a save that fails is told of, and ends nothing when a later one goes well", async () => {
  const messages: string[] = [];
  const [here, away] = [join(folder, "here"), join(folder, "away")];
  const result = await runNotebook({
    input: writeNotebook(join(folder, "blocked.ipynb"), ["print a", "print b", "print c"], "stub"),
    output: join(here, "out.ipynb"),
    onEvent(event) {
      if (event.type === "cell-start" && event.index === 1) renameSync(here, away);
      if (event.type === "cell-start" && event.index === 2) renameSync(away, here);
      if (event.type === "save-failed") messages.push(String(event.error));
    },
  });
  assert.equal(result.status, "completed");
  assert.equal(messages.length, 1);
  assert.match(messages[0], /Cannot write .*out\.ipynb\. There is no such file or folder/);
  assert.deepEqual(load(join(here, "out.ipynb")).cells.map(textOf), ["a\n", "b\n", "c\n"]);
});
