import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Subscriber } from "zeromq";
import { address, type Connection, decodeMessage, type Message } from "../../../kernels/protocol/index.js";
import type { Output } from "../../../kernels/protocol/outputs.js";
import { type JupyterClient, startJupyterKernel } from "../../../kernels/runner/kernels/jupyter-kernel.js";
import { temporaryFolder } from "../temporary.js";
import { within } from "./within.js";

const main = fileURLToPath(new URL("../../../kernels/typescript/main.js", import.meta.url));
const folder = temporaryFolder();

function start(env: Record<string, string> = {}): Promise<JupyterClient> {
  const argv = [process.execPath, main, "{connection_file}"];
  return startJupyterKernel({ argv, env, interrupt_mode: "message" }, { cwd: folder });
}

let kernel: JupyterClient;

before(async () => {
  kernel = await start();
});
after(() => kernel.close());

const display = "(globalThis as any)[Symbol.for('modalscope.display')]";

async function run(code: string): Promise<{ outputs: Output[]; error?: { ename: string; evalue: string } }> {
  const outputs: Output[] = [];
  const { error } = await kernel.execute(code, (output) => outputs.push(output));
  return { outputs, error };
}

interface Published {
  type: string;
  content: Record<string, unknown>;
}

async function execute(
  content: Record<string, unknown>,
): Promise<{ reply: Record<string, unknown>; published: Published[] }> {
  const published: Published[] = [];
  const request = {
    silent: false,
    store_history: true,
    user_expressions: {},
    allow_stdin: false,
    stop_on_error: true,
  };
  const reply = await kernel.request("shell", "execute_request", { ...request, ...content }, (message) =>
    published.push({ type: message.header.msg_type, content: message.content }),
  );
  return { reply: reply.content, published };
}

describe("execute", () => {
  test("20,000 lines of 20,000 arrive, in order, while the cell runs", async () => {
    let text = "";
    let early = false;
    await kernel.execute(
      "for (let i = 0; i < 20000; i++) console.log(i);\nconst until = Date.now() + 300; while (Date.now() < until);\nconsole.log('end')",
      (output) => {
        if (output.type !== "stream") return;
        text += output.content.text;
        early ||= text.length > 1000 && !text.includes("end");
      },
    );
    assert.equal(text, `${Array.from({ length: 20000 }, (_, i) => `${i}\n`).join("")}end\n`);
    assert.ok(early, "nothing came before the end");
  });

  test("input, result, silence, history and expressions", async () => {
    const { reply, published } = await execute({
      code: "6 * 7",
      user_expressions: { twice: "2 * 4", bad: "nope" },
    });
    assert.deepEqual(
      published.map((m) => m.type),
      ["execute_input", "execute_result"],
    );
    assert.equal(published[0].content.code, "6 * 7");
    assert.equal(published[1].content.execution_count, reply.execution_count);
    const { twice, bad } = reply.user_expressions as Record<string, Record<string, unknown>>;
    assert.deepEqual(twice, { status: "ok", data: { "text/plain": "8" }, metadata: {} });
    assert.equal(bad.status, "error");

    const silent = await execute({ code: "console.log('heard'); 'unseen'", silent: true });
    assert.deepEqual(
      silent.published.map((m) => m.type),
      ["stream"],
    );
    assert.equal(silent.reply.execution_count, reply.execution_count);

    const unstored = await execute({ code: "'not stored'", store_history: false });
    assert.equal(unstored.reply.execution_count, reply.execution_count);
    const { content } = await kernel.request("shell", "history_request", {
      hist_access_type: "tail",
      n: 1,
      output: true,
    });
    assert.deepEqual(content.history, [[0, reply.execution_count, ["6 * 7", "42"]]]);
  });

  test("an error is published and replied, and what was queued is aborted", async () => {
    const failing = execute({ code: "throw new TypeError('on purpose')" });
    const queued = execute({ code: "console.log('must not run')" });
    const { reply, published } = await failing;
    const error = published.find((m) => m.type === "error")?.content;
    assert.equal(error?.ename, "TypeError");
    assert.deepEqual(
      [reply.status, reply.evalue, reply.traceback],
      ["error", "on purpose", error?.traceback],
    );
    assert.deepEqual([(await queued).reply.status, (await queued).published.length], ["aborted", 0]);
    assert.equal((await execute({ code: "1" })).reply.status, "ok");
  });

  test("without stop_on_error the queue goes on", async () => {
    const failing = execute({ code: "throw 1", stop_on_error: false });
    const queued = execute({ code: "2" });
    assert.equal((await failing).reply.status, "error");
    assert.equal((await queued).reply.status, "ok");
  });
});

describe("display", () => {
  test("bundles, bytes, metadata and updates", async () => {
    const { outputs } = await run(
      `${display}.display({ 'text/html': '<b>x</b>', 'image/png': new Uint8Array([1, 2]), 'application/json': { a: [1] } }, { metadata: { m: 1 }, displayId: 'd' });
       ${display}.update('d', { 'text/plain': 'later' });
       ${display}.clear(true);`,
    );
    assert.deepEqual(outputs, [
      {
        type: "display_data",
        content: {
          data: { "text/html": "<b>x</b>", "image/png": "AQI=", "application/json": { a: [1] } },
          metadata: { m: 1 },
          transient: { display_id: "d" },
        },
      },
      {
        type: "update_display_data",
        content: { data: { "text/plain": "later" }, metadata: {}, transient: { display_id: "d" } },
      },
      { type: "clear_output", content: { wait: true } },
    ]);
    assert.match((await run(`${display}.display({ html: 'x' })`)).error?.evalue ?? "", /MIME/);
  });

  test("prints and displays keep their order", async () => {
    const { outputs } = await run(
      `console.log(1); ${display}.display({ 'text/plain': '2' }); console.error(3);`,
    );
    assert.deepEqual(
      outputs.map((o) => o.type),
      ["stream", "display_data", "stream"],
    );
  });
});

test("requests are answered while a cell computes, and an interrupt reaches it", async () => {
  const asked: Promise<unknown>[] = [];
  const { error } = await kernel.execute("const kept = 8; console.log('begun'); for (;;);", () => {
    asked.push(kernel.request("shell", "complete_request", { code: "Math.ma", cursor_pos: 7 }));
    asked.push(kernel.request("control", "kernel_info_request", {}));
    void Promise.all(asked).then(() => kernel.interrupt());
  });
  assert.equal(error?.ename, "KeyboardInterrupt");
  assert.equal(asked.length, 2);
  const [result] = (await run("kept")).outputs;
  assert.ok(result.type === "execute_result");
  assert.deepEqual(result.content.data, { "text/plain": "8" });
});

describe("a client that comes later", () => {
  /** The first status for which it holds that a new subscriber receives. */
  async function firstStatus(holds: (status: Message) => boolean): Promise<Message> {
    const file = kernel.process.spawnargs.at(-1) as string;
    const connection = JSON.parse(readFileSync(file, "utf8")) as Connection;
    const late = new Subscriber();
    late.connect(address(connection, "iopub"));
    late.subscribe();
    try {
      for await (const frames of late) {
        const message = decodeMessage(frames, connection.key);
        if (message?.header.msg_type === "status" && holds(message)) return message;
      }
      throw new Error("The socket was closed.");
    } finally {
      late.close();
    }
  }

  test("is told that the kernel is idle, each one, though nothing is asked", async () => {
    for (const client of ["first", "second"]) {
      const { content } = await within(
        firstStatus(({ parent }) => parent.msg_id === undefined),
        `the status at the ${client} client`,
      );
      assert.deepEqual(content, { execution_state: "idle" });
    }
  });

  test("is told of the cell that runs", async () => {
    let told: Promise<Message> | undefined;
    const { error } = await kernel.execute("console.log('begun'); for (;;);", () => {
      told ??= within(
        firstStatus(({ parent }) => parent.msg_type === "execute_request"),
        "the status while a cell runs",
      ).finally(() => kernel.interrupt());
    });
    assert.equal(error?.ename, "KeyboardInterrupt");
    assert.deepEqual((await told)?.content, { execution_state: "busy" });
  });
});

test("input is asked for where the client allows it, and refused at once elsewhere", async () => {
  assert.match((await run("await input('Name? ')")).error?.evalue ?? "", /cannot be asked for input/);
  assert.match(
    (
      await run(
        "import rl from 'node:readline/promises';\nawait rl.createInterface({ input: process.stdin }).question('?')",
      )
    ).error?.evalue ?? "",
    /cannot be asked for input/,
  );
});

test("comms: none are open, and unknown targets are closed", async () => {
  assert.deepEqual((await kernel.request("shell", "comm_info_request", {})).content, {
    status: "ok",
    comms: {},
  });
  const closed = await new Promise<Published>((resolve) => {
    const open = { comm_id: "c", target_name: "nobody", data: {} };
    // It has no reply, so its promise ends only with the kernel.
    kernel
      .request("shell", "comm_open", open, ({ header, content }) =>
        resolve({ type: header.msg_type, content }),
      )
      .catch(() => undefined);
  });
  assert.deepEqual(closed, { type: "comm_close", content: { comm_id: "c", data: {} } });
});

describe("a kernel that loses its cells' process", () => {
  const cases = {
    "by process.exit": { code: "console.log('said before'); process.exit(3);", why: /exit code 3/, env: {} },
    "by want of memory": {
      code: "console.log('said before'); const kept: number[][] = []; for (;;) kept.push(new Array(1e6).fill(1.5));",
      why: /out of memory/,
      env: { NODE_OPTIONS: "--max-old-space-size=320" },
    },
  };
  for (const [name, { code, why, env }] of Object.entries(cases)) {
    test(`${name} says so in the cell, and ends`, async () => {
      const lost = await start(env);
      let text = "";
      const { error } = await lost.execute(code, (output) => {
        if (output.type === "stream") text += output.content.text;
      });
      assert.equal(error?.ename, "KernelDied");
      assert.match(error?.evalue ?? "", why);
      assert.match(text, /^said before\n/);
      const next = await lost.execute("1", () => {});
      assert.ok(next.died || next.error?.ename === "KernelDied");
      await lost.close();
      assert.equal(lost.process.exitCode, 1);
    });
  }

  test("killed while the next cell is being compiled says so there, and ends", async () => {
    const lost = await start();
    const long = Array.from({ length: 3000 }, (_, i) => `const a${i} = [${i}].map((x) => x + 1)[0];`);
    let pid = 0;
    await lost.execute("process.pid", (output) => {
      if (output.type === "execute_result") pid = Number(output.content.data["text/plain"]);
    });
    setTimeout(() => process.kill(pid, "SIGKILL"), 50);
    const { error } = await lost.execute(long.join("\n"), () => {});
    assert.equal(error?.ename, "KernelDied");
    assert.match(error?.evalue ?? "", /SIGKILL/);
    await lost.close();
    assert.equal(lost.process.exitCode, 1);
  });
});
