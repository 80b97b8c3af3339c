/** A cell that asks for a line of input, over the stdin socket, as JupyterLab and jupyter_console do it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Dealer } from "zeromq";
import {
  address,
  type Connection,
  decodeMessage,
  encodeMessage,
  newHeader,
} from "../../../kernels/protocol/wire.js";
import { type JupyterClient, startJupyterKernel } from "../../../kernels/runner/kernels/jupyter-kernel.js";
import { temporaryFolder } from "../temporary.js";

type Content = Record<string, unknown>;

const main = fileURLToPath(new URL("../../../kernels/typescript/main.js", import.meta.url));
const folder = temporaryFolder();
const session = "a client with a keyboard";
const readline =
  "import rl from 'node:readline/promises';\nconst face = rl.createInterface({ input: process.stdin });\n";

let kernel: JupyterClient;
let connection: Connection;
let shell: Dealer;
let stdin: Dealer;
/** Requests of the kernel that nobody has looked at yet. */
const asked: { parent: string | undefined; content: Content }[] = [];
let onAsked = (): void => {};

before(async () => {
  const argv = [process.execPath, main, "{connection_file}"];
  kernel = await startJupyterKernel({ argv, interrupt_mode: "message" }, { cwd: folder });
  connection = JSON.parse(readFileSync(kernel.process.spawnargs.at(-1) as string, "utf8"));
  // One identity for both sockets: by it the kernel knows who sent the cell that asks.
  shell = new Dealer({ routingId: session, linger: 0 });
  stdin = new Dealer({ routingId: session, linger: 0 });
  shell.connect(address(connection, "shell"));
  stdin.connect(address(connection, "stdin"));
  void (async () => {
    for await (const frames of stdin) {
      const message = decodeMessage(frames, connection.key);
      assert.equal(message?.header.msg_type, "input_request");
      asked.push({ parent: message?.parent.msg_id, content: message?.content ?? {} });
      onAsked();
    }
  })();
});
after(async () => {
  shell.close();
  stdin.close();
  await kernel.close();
});

function send(socket: Dealer, type: string, content: Content): { id: string; sent: Promise<void> } {
  const header = newHeader(type, session, "someone");
  const message = { identities: [], header, parent: {}, metadata: {}, content, buffers: [] };
  return { id: header.msg_id, sent: socket.send(encodeMessage(message, connection.key)) };
}

const answer = (value: string): Promise<void> => send(stdin, "input_reply", { value, status: "ok" }).sent;

async function nextAsked(): Promise<(typeof asked)[number]> {
  while (asked.length === 0)
    await new Promise<void>((resolve) => {
      onAsked = resolve;
    });
  return asked.shift() as (typeof asked)[number];
}

/** Sends a cell; its reply comes with the value of `shown`, which the cell may set. */
function execute(code: string, allow_stdin = true): { id: string; reply: Promise<Content> } {
  const request = {
    code,
    silent: false,
    store_history: true,
    user_expressions: { shown: "shown" },
    allow_stdin,
    stop_on_error: true,
  };
  const { id } = send(shell, "execute_request", request);
  const reply = shell.receive().then((frames) => {
    const message = decodeMessage(frames, connection.key);
    assert.equal(message?.parent.msg_id, id);
    return message?.content ?? {};
  });
  return { id, reply };
}

function shownIn(reply: Content): unknown {
  assert.equal(reply.status, "ok", JSON.stringify(reply));
  const { shown } = reply.user_expressions as Record<string, { data: Content }>;
  return shown.data["text/plain"];
}

test("a line of input goes to the client that sent the cell, and back into the cell", async () => {
  const { id, reply } = execute("const name = await input('Name? ');\nconst shown = [name];");
  assert.deepEqual(await nextAsked(), { parent: id, content: { prompt: "Name? ", password: false } });
  await answer("Ada “λ” 🎈");
  assert.equal(shownIn(await reply), "[ 'Ada “λ” 🎈' ]");
});

test("what is typed unseen, twice in a row, and an empty line", async () => {
  const { reply } = execute(
    "const first = await input('Token: ', true);\nconst shown = [first, await input()];",
  );
  assert.deepEqual((await nextAsked()).content, { prompt: "Token: ", password: true });
  await answer("secret");
  assert.deepEqual((await nextAsked()).content, { prompt: "", password: false });
  await answer("");
  assert.equal(shownIn(await reply), "[ 'secret', '' ]");
});

test("questions that are asked at once are put one after the other", async () => {
  const { reply } = execute("const shown = await Promise.all([input('a'), input('b')]);");
  assert.equal((await nextAsked()).content.prompt, "a");
  await answer("1");
  assert.equal((await nextAsked()).content.prompt, "b");
  await answer("2");
  assert.equal(shownIn(await reply), "[ '1', '2' ]");
});

test("readline asks for as many lines as it is asked for", async () => {
  const { reply } = execute(
    `${readline}const shown = [await face.question('? '), await face.question('! ')];`,
  );
  await nextAsked();
  await answer("one");
  await nextAsked();
  await answer("two");
  assert.equal(shownIn(await reply), "[ 'one', 'two' ]");
  const next = execute("await new Promise((resolve) => setTimeout(resolve, 200));\nconst shown = 'quiet';");
  assert.equal(shownIn(await next.reply), "'quiet'");
  assert.deepEqual(asked, []);
  assert.match(String((await execute("await face.question('?')").reply).evalue), /readline was closed/);
});

test("a cell that waits for a line is interrupted, and the answer that comes late is nobody's", async () => {
  const { reply } = execute("const before = 1;\nawait input('late');");
  await nextAsked();
  kernel.interrupt();
  assert.equal((await reply).ename, "KeyboardInterrupt");
  await answer("too late");
  const next = execute("const shown = [before, await input('again')];");
  assert.equal((await nextAsked()).content.prompt, "again");
  await answer("in time");
  assert.equal(shownIn(await next.reply), "[ 1, 'in time' ]");
});

test("without allow_stdin nobody is asked, and the cell is told at once", async () => {
  for (const code of ["await input('?')", `${readline}await face.question('?')`]) {
    const { ename, evalue } = await execute(code, false).reply;
    assert.equal(ename, "Error");
    assert.match(String(evalue), /cannot be asked for input \(allow_stdin is false\)/);
  }
  assert.deepEqual(asked, []);
});
