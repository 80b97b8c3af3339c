/** A runner that is killed, at any moment, leaves a notebook that can be read and that tells the truth. */
import assert from "node:assert/strict";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runNotebook } from "../../../kernels/runner/index.js";
import { autosave } from "../../../kernels/runner/output/autosave.js";
import { temporaryFolder } from "../temporary.js";
import { busyCells, busyNotebook, checkLeft, killAtMoments, runBusy } from "./killed-runs.js";
import { load, textOf, writeNotebook } from "./support.js";

const folder = temporaryFolder();
const busy = busyNotebook(folder);
Object.assign(process.env, busy.env);

test("kill -9 at 6 moments", { timeout: 300_000 }, () => killAtMoments(folder, 6));

describe("kill -9 inside a write", () => {
  const preload = new URL("./kill-in-write.js", import.meta.url).href;
  for (const phase of ["opened", "half written", "written", "on disk", "renamed"]) {
    test(phase, async () => {
      const output = join(folder, `${phase}.ipynb`);
      const { signal, stderr } = await runBusy(busy, output, {
        env: { KILL_PHASE: phase },
        node: ["--import", preload],
      });
      assert.equal(signal, "SIGKILL", stderr);
      assert.ok(existsSync(output));
      assert.ok(checkLeft(output) < busyCells);
    });
  }
});

describe("saves while a cell runs", () => {
  test("come when there is something new, and not after its end", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let saves = 0;
    const saver = autosave(1, () => saves++);
    saver.begin();
    t.mock.timers.tick(249);
    assert.equal(saves, 0);
    t.mock.timers.tick(60_000);
    assert.equal(saves, 1);
    saver.touch();
    t.mock.timers.tick(60_000);
    assert.equal(saves, 2);
    saver.touch();
    saver.end();
    t.mock.timers.tick(60_000);
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
