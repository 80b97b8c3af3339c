/** Behaviour of a real kernel process, over ZeroMQ: KERNEL rows that session.test.ts looks at without sockets. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Subscriber } from "zeromq";
import { address, type Connection, decodeMessage } from "../../../kernels/protocol/wire.js";
import { type JupyterClient, startJupyterKernel } from "../../../kernels/runner/kernels/jupyter-kernel.js";
import { temporaryFolder } from "../temporary.js";

const main = fileURLToPath(new URL("../../../kernels/typescript/main.js", import.meta.url));
const folder = temporaryFolder({
  "lib/near.ts": "export enum Kind { Near = 'near' }\nexport function kind(): Kind { return Kind.Near }",
  "notebooks/data/rows.csv": "1,2",
  "notebooks/beside.ts": "export const beside = 5;",
  "node_modules/only-exports/package.json":
    '{"name":"only-exports","type":"module","exports":{".":"./in/x.js"}}',
  "node_modules/only-exports/in/x.js": "export const kind = 'exports only';",
  "node_modules/waits/package.json": '{"name":"waits","type":"module","exports":"./x.js"}',
  "node_modules/waits/x.js": "await new Promise((r) => setTimeout(r, 5)); export const kind = 'waited';",
});

let kernel: JupyterClient;

before(async () => {
  // As a Jupyter server starts it for a notebook in a subfolder.
  const cwd = join(folder, "notebooks");
  const env = { JPY_SESSION_NAME: join(cwd, "a.ipynb") };
  kernel = await startJupyterKernel(
    { argv: [process.execPath, main, "{connection_file}"], env, interrupt_mode: "message" },
    { cwd },
  );
});
after(() => kernel.close());

interface Ran {
  text: string;
  result: string;
  error?: { ename: string; evalue: string; traceback: string[] };
}

async function run(code: string, onText?: (text: string) => void): Promise<Ran> {
  const ran: Ran = { text: "", result: "" };
  const { error } = await kernel.execute(code, (output) => {
    if (output.type === "stream") {
      ran.text += output.content.text;
      onText?.(output.content.text);
    }
    if (output.type === "execute_result") ran.result = String(output.content.data["text/plain"]);
  });
  return { ...ran, error };
}

async function value(code: string): Promise<string> {
  const { result, error } = await run(code);
  assert.equal(error, undefined, error?.evalue);
  return result;
}

async function complete(code: string): Promise<string[]> {
  const { content } = await kernel.request("shell", "complete_request", { code, cursor_pos: code.length });
  const { matches, cursor_start: start } = content as { matches: string[]; cursor_start: number };
  return matches.map((match) => code.slice(0, start) + match);
}

describe("cells", () => {
  test("a notebook in a subfolder imports the package, files near it and above it", async () => {
    assert.equal(
      await value(
        "import { kind } from '../lib/near';\nimport { beside } from './beside.ts';\n[kind(), beside]",
      ),
      "[ 'near', 5 ]",
    );
    assert.equal(await value("import { seeded } from 'modalscope'; seeded(3).int(1)"), "0");
  });

  test("packages with exports only and with top-level await", async () => {
    const imports = ["only-exports", "waits"].map((name, i) => `import { kind as k${i} } from '${name}';`);
    assert.equal(
      await value(`// @ts-nocheck\n${imports.join("\n")}\n[k0, k1]`),
      "[ 'exports only', 'waited' ]",
    );
  });

  test("exports, top-level await and for await, and a name declared again with another type", async () => {
    await value("export const shown = 1;\nasync function* two() { yield 1; yield 2 }");
    assert.equal(await value("let sum = shown;\nfor await (const x of two()) sum += x;\nsum"), "4");
    assert.equal(await value("const shown = 'text'; shown.length"), "4");
    assert.equal(await value("shown.toUpperCase()"), "'TEXT'");
  });

  test("a type error stops the cell before it runs, at its own line", async () => {
    const { error, text } = await run("console.log('ran');\nconst n: number =\n  'x';");
    assert.equal(error?.ename, "TypeScriptError");
    assert.match(error?.evalue ?? "", /^In\[\d+\]:3:3 |^In\[\d+\]:2:7 /);
    assert.match(error?.traceback.join("\n") ?? "", /TS2322/);
    assert.equal(text, "");
  });

  test("a rejection that nobody handles fails the cell that caused it", async () => {
    const { error } = await run("Promise.reject(new RangeError('nobody handles'));");
    assert.deepEqual([error?.ename, error?.evalue], ["RangeError", "nobody handles"]);
    assert.equal(await value("1 + 1"), "2");
  });
});

describe("an interrupt request", () => {
  const loops: Record<string, string> = {
    "a loop": "for (;;) turns++;",
    "a loop after an await": "await new Promise((r) => setTimeout(r, 5)); for (;;) turns++;",
    "a loop of microtasks": "for (;;) { await null; turns++ }",
    "a loop of timers": "for (;;) { await new Promise((r) => setTimeout(r, 1)); turns++ }",
    "a loop that catches all": "for (;;) { try { for (;;) turns++; } catch {} }",
    "an endless wait": "turns++; await new Promise(() => {});",
  };
  for (const [name, code] of Object.entries(loops)) {
    test(`stops ${name}; the variables stay`, async () => {
      await value("let turns = 0;");
      const { error } = await run(`console.log('begun');\n${code}`, () =>
        setTimeout(() => kernel.interrupt(), 30),
      );
      assert.equal(error?.ename, "KeyboardInterrupt");
      const turns = await value("turns");
      assert.ok(Number(turns) > 0);
      await value("await new Promise((r) => setTimeout(r, 20));");
      assert.equal(await value("turns"), turns, "it went on");
    });
  }
});

describe("the language service", () => {
  test("completes the package's names and tells of them", async () => {
    await value("import * as ms from 'modalscope';");
    assert.ok((await complete("ms.heatm")).includes("ms.heatmap"));
    const { content } = await kernel.request("shell", "inspect_request", {
      code: "ms.seeded(1)",
      cursor_pos: 8,
      detail_level: 0,
    });
    assert.match((content.data as Record<string, string>)["text/plain"], /seed: number.*A generator/s);
  });

  test("completes paths in strings, from the notebook's folder", async () => {
    assert.deepEqual(await complete("readFileSync('./da"), ["readFileSync('./data/"]);
    assert.deepEqual(await complete("readFileSync('data/r"), ["readFileSync('data/rows.csv"]);
    assert.deepEqual(await complete("f(`../lib/"), ["f(`../lib/near.ts"]);
    assert.ok(
      (await complete("import { x } from './be")).some((text) =>
        text.startsWith("import { x } from './beside"),
      ),
    );
    assert.deepEqual(await complete("readFileSync('./nowhere/"), []);
  });

  test("completes the hooks of the model that was loaded", async () => {
    assert.deepEqual(await complete("run({ capture: ['blocks.0.attn.hook_pat"), []);
    await value("const model = await ms.loadModel('maths-zh-en');");
    assert.deepEqual(await complete("run({ capture: ['blocks.0.attn.hook_pat"), [
      "run({ capture: ['blocks.0.attn.hook_pattern",
    ]);
    const [pattern, ...names] = await complete("['blocks.");
    assert.match(pattern, /^\['blocks\.\*\./);
    assert.ok(names.includes("['blocks.*.hook_resid_post") && names.includes("['blocks.1.hook_resid_post"));
    await value("await model.close();");
  });

  test("knows whether code is complete", async () => {
    for (const [code, status] of [
      ["1 + 1", "complete"],
      ["`open", "incomplete"],
      ["if (x) {", "incomplete"],
      ["if (x) }", "invalid"],
    ]) {
      const { content } = await kernel.request("shell", "is_complete_request", { code });
      assert.equal(content.status, status, code);
    }
  });
});

test("a client that does not read makes the cell wait, and takes no memory", async () => {
  const file = kernel.process.spawnargs.at(-1) as string;
  const connection = JSON.parse(readFileSync(file, "utf8")) as Connection;
  const slow = new Subscriber({ receiveHighWaterMark: 10, receiveBufferSize: 65536 });
  slow.connect(address(connection, "iopub"));
  slow.subscribe();
  // Its subscription stands once anything has come.
  let stands = false;
  const first = slow.receive().then(() => {
    stands = true;
  });
  while (!stands) await run("console.log('hello')");
  await first;
  const resident = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${kernel.process.pid}/status`, "utf8"))?.[1]) * 1024;
  const before = resident();
  const lines = 3200;
  let ended = false;
  const printing = run(
    `const line = 'x'.repeat(1 << 16);\nfor (let i = 0; i < ${lines}; i++) console.log(line);\nconsole.error('end')`,
  ).then((ran) => {
    ended = true;
    return ran;
  });
  await new Promise((resolve) => setTimeout(resolve, 4000));
  assert.ok(!ended, "the cell did not wait for the client");
  const grown = (resident() - before) / 2 ** 20;
  assert.ok(grown < lines / 16 / 2, `the kernel grew by ${grown} MB for ${lines / 16} MB of text`);
  let length = 0;
  const reading = (async () => {
    for await (const frames of slow) {
      const message = decodeMessage(frames, connection.key);
      // What the cell before it printed may come first.
      if (message?.header.msg_type === "execute_input") length = 0;
      if (message?.header.msg_type !== "stream") continue;
      if (message.content.name === "stderr") return;
      length += String(message.content.text).length;
    }
  })();
  await Promise.all([reading, printing]);
  slow.close();
  assert.equal(length, lines * (2 ** 16 + 1));
});

test("a kernel whose client is gone without a word ends too", async () => {
  const script = join(folder, "client.mjs");
  const client = new URL("../../../kernels/runner/kernels/jupyter-kernel.js", import.meta.url).href;
  writeFileSync(
    script,
    `import { startJupyterKernel } from ${JSON.stringify(client)};
     const kernel = await startJupyterKernel({ argv: [process.execPath, ${JSON.stringify(main)}, "{connection_file}"] }, { cwd: "." });
     process.stdout.write(String(kernel.process.pid), () => process.kill(process.pid, "SIGKILL"));`,
  );
  const { spawnSync } = await import("node:child_process");
  const { stdout } = spawnSync(process.execPath, [script], { encoding: "utf8", cwd: folder });
  const pid = Number(stdout);
  assert.ok(pid > 0, stdout);
  const alive = (): boolean => {
    try {
      // A process that has ended and was not waited for is gone as well.
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  };
  const end = Date.now() + 20_000;
  while (alive() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(!alive(), "the kernel lives on");
});
