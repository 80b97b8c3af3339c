/** A resumed run does again what has not been completed, and nothing else. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, test } from "node:test";
import {
  type RunEvent,
  type RunOptions,
  type RunResult,
  runNotebook,
} from "../../../kernels/runner/index.js";
import { temporaryFolder } from "../temporary.js";
import { command, installStub, load, statuses, tagged, textOf, writeNotebook } from "./support.js";

const folder = temporaryFolder();
const env = installStub(folder);
installStub(folder, "broken", "broken");
Object.assign(process.env, env);
const input = join(folder, "in.ipynb");
const output = join(folder, "out.ipynb");

/** Trace of the cells outside the notebook: those that ran, in order. */
const log = "log.txt";
const ran = (): string[] =>
  existsSync(join(folder, log)) ? readFileSync(join(folder, log), "utf8").trim().split("\n") : [];

const cached = (source: string): { source: string; tags: string[] } => ({ source, tags: ["cached"] });
const cells = (broken: string): Parameters<typeof writeNotebook>[1] => [
  { source: "a = 1", tags: ["parameters"] },
  `append ${log} state\nprint state`,
  cached(`append ${log} heavy\nprint heavy`),
  { source: "# Middle", type: "markdown" },
  `append ${log} broken\n${broken}`,
  cached(`append ${log} late\nprint late`),
];

async function run(
  options: Partial<RunOptions> = {},
): Promise<RunResult & { ran: string[]; skipped: number[] }> {
  rmSync(join(folder, log), { force: true });
  const skipped: number[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.type === "cell-skip" && event.reason === "cached") skipped.push(event.index);
  };
  const result = await runNotebook({ input, output, onEvent, ...options });
  return { ...result, ran: ran(), skipped };
}

beforeEach(() => {
  rmSync(output, { force: true });
  writeNotebook(input, cells("fail now"), "stub");
});

describe("after a failure", () => {
  test("cells that carry state run again, completed cached ones do not, the rest runs", async () => {
    const first = await run();
    assert.equal(first.status, "failed");
    // Behind the banner at the top, the parameters and the state.
    const heavy = load(output).cells[3];
    assert.equal(textOf(heavy), "heavy\n");
    writeNotebook(input, cells("print mended"), "stub");
    const second = await run({ resume: true });
    assert.equal(second.status, "completed");
    assert.deepEqual(second.ran, ["state", "broken", "late"]);
    assert.deepEqual(second.skipped, [2]);
    const notebook = load(output);
    assert.deepEqual(statuses(notebook), Array(6).fill("completed"));
    assert.deepEqual(notebook.cells.map(textOf), ["", "state\n", "heavy\n", "", "mended\n", "late\n"]);
    // Its record is of the time when it ran.
    assert.deepEqual(notebook.cells[2].metadata.papermill, heavy.metadata.papermill);
    assert.equal(tagged(notebook, "papermill-error-cell-tag").length, 0);
  });

  test("without --resume all runs again", async () => {
    await run();
    assert.deepEqual((await run()).ran, ["state", "heavy", "broken"]);
  });

  test("a cached cell behind changed code runs again", async () => {
    await run();
    const changed = [...cells("print mended")];
    changed[1] = `append ${log} other\nprint other`;
    writeNotebook(input, changed, "stub");
    assert.deepEqual((await run({ resume: true })).ran, ["other", "heavy", "broken", "late"]);
  });

  test("with other parameters all runs again; without any, those of the earlier run count", async () => {
    await run({ parameters: { a: 2 } });
    assert.deepEqual((await run({ resume: true, parameters: { a: 3 } })).ran, ["state", "heavy", "broken"]);
    writeNotebook(input, cells("show a"), "stub");
    const resumed = await run({ resume: true });
    assert.deepEqual(resumed.ran, ["state", "broken", "late"]);
    assert.equal(textOf(load(output).cells[5]), "3\n");
    assert.deepEqual((load(output).metadata.papermill as { parameters: unknown }).parameters, { a: 3 });
  });

  test("a cached cell that failed itself runs again", async () => {
    const failing = [...cells("print x")];
    failing[2] = cached(`append ${log} heavy\nfail`);
    writeNotebook(input, failing, "stub");
    await run();
    assert.deepEqual((await run({ resume: true })).ran, ["state", "heavy"]);
  });
});

test("a run that was killed is resumed as well", async () => {
  const slow = [...cells("sleep 60000")];
  writeNotebook(input, slow, "stub");
  const { signal } = await command(["run", input, output], {
    cwd: folder,
    env,
    onStart(child) {
      const look = setInterval(() => {
        if (!ran().includes("broken")) return;
        clearInterval(look);
        child.kill("SIGKILL");
      }, 20);
    },
  });
  assert.equal(signal, "SIGKILL");
  writeNotebook(input, cells("print mended"), "stub");
  const resumed = await run({ resume: true });
  assert.deepEqual([resumed.status, resumed.ran], ["completed", ["state", "broken", "late"]]);
});

test("a completed run is left as it is", async () => {
  writeNotebook(input, cells("print fine"), "stub");
  await run();
  const before = readFileSync(output, "utf8");
  const again = await run({ resume: true });
  assert.deepEqual([again.status, again.seconds, again.ran], ["completed", 0, []]);
  assert.equal(readFileSync(output, "utf8"), before);
  const { code, stderr } = await command(["run", input, output, "--resume"], { cwd: folder, env });
  assert.equal(code, 0);
  assert.match(stderr, /is completed; there is nothing to resume/);
});

test("a completed run of a notebook whose text has changed since runs again", async () => {
  writeNotebook(input, cells("print fine"), "stub");
  await run();
  const changed = [...cells("print fine")];
  changed[3] = { source: "# Other", type: "markdown" };
  writeNotebook(input, changed, "stub");
  assert.deepEqual((await run({ resume: true })).ran, ["state", "broken"]);
});

test("without an earlier run it is a run like any other", async () => {
  writeNotebook(input, cells("print fine"), "stub");
  assert.deepEqual((await run({ resume: true })).ran, ["state", "heavy", "broken", "late"]);
});

test("when the kernel does not start, the earlier run stays", async () => {
  await run();
  const before = readFileSync(output, "utf8");
  const { status } = await run({ resume: true, kernel: "broken" });
  assert.equal(status, "failed");
  assert.equal(readFileSync(output, "utf8"), before);
});

test("an output that is no notebook is not overwritten", async () => {
  writeFileSync(output, "notes");
  await assert.rejects(run({ resume: true }), /is not a notebook/);
  assert.equal(readFileSync(output, "utf8"), "notes");
});
