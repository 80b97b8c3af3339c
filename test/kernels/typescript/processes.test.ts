/** Processes that cells start live as long as there is a reason: an interrupt reaches them, the kernel's end ends them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryFolder } from "../temporary.js";
import { openCells } from "./cells.js";
import { within } from "./within.js";

const folder = temporaryFolder();

function isAlive(pid: number): boolean {
  try {
    // A process that has ended and was not waited for is gone as well.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<void> {
  const waiting = async (): Promise<void> => {
    while (isAlive(pid)) await delay(20);
  };
  await within(waiting(), `process ${pid} to end`);
}

test("an interrupt ends what the cell waits for", async () => {
  const cells = openCells(folder);
  try {
    await cells.value(
      "import { execSync, spawn, spawnSync } from 'node:child_process'; import { promisify } from 'node:util'; import cp from 'node:child_process'; const kept = 3;",
    );
    for (const code of [
      "execSync('sleep 120');",
      "execSync('sleep 120; sleep 120');",
      "spawnSync('sleep', ['120']); spawnSync('sleep', ['120']);",
      "execSync('sh -c \"sleep 120 & wait\"');",
      "await promisify(cp.exec)('sleep 120');",
      // These end as soon as the interrupt comes: the cell did not succeed all the same.
      "spawnSync('sleep', ['120']).status",
      "await new Promise((done) => spawn('sleep', ['120'], { stdio: 'inherit' }).on('exit', done));",
      // And these do not listen.
      "execSync('trap \"\" INT; sleep 120');",
      "execSync('trap \"\" INT TERM; sleep 120; sleep 120');",
      "execSync('yes | cat > /dev/null');",
    ]) {
      const begun = performance.now();
      const { outcome } = await cells.run(`console.log('begun');\n${code}`, () =>
        setTimeout(() => cells.session.interrupt(), 100),
      );
      assert.equal(outcome.error?.ename, "KeyboardInterrupt", `${code}: ${JSON.stringify(outcome)}`);
      assert.ok(performance.now() - begun < 60_000, code);
      assert.equal(await cells.value("kept"), "3");
    }
  } finally {
    await cells.session.close();
  }
});

const start = (options: string): string =>
  `import { spawn } from 'node:child_process';\nspawn('sleep', ['60'], ${options}).pid`;

test("the end of the session ends what its cells have started, and leaves what they have detached", async () => {
  const cells = openCells(folder);
  const own = Number(await cells.value(start("{ stdio: 'ignore' }")));
  const shell = Number(await cells.value("spawn('sh', ['-c', 'sleep 60 & wait'], { stdio: 'ignore' }).pid"));
  const detached = Number(
    await cells.value("spawn('sleep', ['60'], { stdio: 'ignore', detached: true }).pid"),
  );
  assert.ok([own, shell, detached].every(isAlive));
  await cells.session.close();
  await gone(own);
  await gone(shell);
  assert.ok(isAlive(detached));
  process.kill(detached);
});

test("the end of the cells' process ends what they have started", async () => {
  const cells = openCells(folder);
  const pid = Number(await cells.value(start("{ stdio: 'ignore' }")));
  assert.equal((await cells.run("process.exit(2)")).outcome.cause, "death");
  await gone(pid);
  await cells.session.close();
});

for (const signal of ["SIGHUP", "SIGTERM", "SIGKILL"] as const)
  test(`a program with a session that is ended by ${signal} leaves nothing behind`, async () => {
    const script = join(folder, `program-${signal}.mjs`);
    const session = new URL("../../../kernels/typescript/session.js", import.meta.url).href;
    writeFileSync(
      script,
      `import { openSession } from ${JSON.stringify(session)};
       const session = openSession({ folder: ${JSON.stringify(folder)} });
       const print = (output) => output.type === "execute_result" && process.stdout.write(output.content.data["text/plain"] + "\\n");
       const run = (code) => session.execute(code, { count: 1, onOutput: print });
       await run(${JSON.stringify(start("{ stdio: 'ignore' }"))});
       await run("process.pid");
       await run("for (;;);");`,
    );
    const program = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    program.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    const told = async (): Promise<void> => {
      while (text.split("\n").length < 3) await delay(20);
    };
    await within(told(), "the program to tell its processes");
    program.kill(signal);
    for (const line of text.trim().split("\n")) await gone(Number(line));
  });
