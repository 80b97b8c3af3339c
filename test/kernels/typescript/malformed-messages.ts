import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Dealer } from "zeromq";
import { address, type Connection, receiveMessage } from "../../../kernels/protocol/wire.js";
import { type JupyterClient, startJupyterKernel } from "../../../kernels/runner/kernels/jupyter-kernel.js";
import { seeded } from "../../../lib/random.js";
import { within } from "./within.js";

const main = fileURLToPath(new URL("../../../kernels/typescript/main.js", import.meta.url));

export function startKernel(folder: string): Promise<JupyterClient> {
  const argv = [process.execPath, main, "{connection_file}"];
  return startJupyterKernel({ argv, interrupt_mode: "message" }, { cwd: folder });
}

export function connectionOf(kernel: JupyterClient): Connection {
  return JSON.parse(readFileSync(kernel.process.spawnargs.at(-1) as string, "utf8")) as Connection;
}

const delimiter = Buffer.from("<IDS|MSG>");

/** Signs whatever parts there are. */
export function signed(parts: readonly Buffer[], key: string): Buffer[] {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return [delimiter, Buffer.from(hmac.digest("hex")), ...parts];
}

const types = [
  "execute_request",
  "complete_request",
  "inspect_request",
  "is_complete_request",
  "history_request",
  "comm_info_request",
  "comm_open",
  "comm_msg",
  "kernel_info_request",
  "interrupt_request",
  "input_reply",
  "__proto__",
  "constructor",
  "toString",
  "nonsense",
  "nonsense_request",
  "",
];
const fields = [
  "code",
  "cursor_pos",
  "hist_access_type",
  "n",
  "pattern",
  "start",
  "stop",
  "unique",
  "output",
  "user_expressions",
  "silent",
  "store_history",
  "allow_stdin",
  "stop_on_error",
  "comm_id",
  "target_name",
  "data",
  "detail_level",
  "value",
];
const values: readonly unknown[] = [
  null,
  true,
  0,
  5,
  -1,
  1.5,
  1e308,
  "",
  "x",
  "1 + 1",
  "\ud800",
  "__proto__",
  `${"*a".repeat(30)}b`,
  [],
  [1, [2]],
  {},
  { a: 1 },
  { __proto__: null, constructor: 5 },
];
const junk = [
  "",
  "{",
  "null",
  "[]",
  "5",
  '"text"',
  "NaN",
  "{}",
  '{"__proto__": {"a": 1}}',
  "{".repeat(5000),
  "\ufffd\u0000",
];

/**
 * Sends signed messages whose header, content or parts are not as the protocol says, to all channels. The kernel must
 * live, keep its variables and answer what comes after.
 */
export async function sendMalformed(
  folder: string,
  { count, seed }: { count: number; seed: number },
): Promise<void> {
  const random = seeded(seed);
  const kernel = await startKernel(folder);
  const connection = connectionOf(kernel);
  const sockets = (["shell", "control", "stdin"] as const).map((channel) => {
    const socket = new Dealer({ linger: 0 });
    socket.connect(address(connection, channel));
    return socket;
  });
  try {
    await within(
      kernel.execute("const kept = 41;", () => {}),
      "the first cell",
    );
    for (let i = 0; i < count; i++) {
      const header: Record<string, unknown> = {
        msg_id: `m${i}`,
        msg_type: random.pick(types),
        session: "s",
        username: "u",
        date: "",
        version: "5.3",
      };
      if (random.uniform() < 0.2) header[random.pick(Object.keys(header))] = random.pick(values);
      if (random.uniform() < 0.1) delete header[random.pick(Object.keys(header))];
      const content = Object.fromEntries(
        fields.filter(() => random.uniform() < 0.4).map((field) => [field, random.pick(values)]),
      );
      const parts = [header, {}, {}, content].map((part) => Buffer.from(JSON.stringify(part)));
      if (random.uniform() < 0.3) parts[random.int(4)] = Buffer.from(random.pick(junk));
      if (random.uniform() < 0.1) parts.length = random.int(4);
      const socket = random.pick(sockets);
      await socket.send(signed(parts, connection.key));
    }
    let result: unknown;
    // Those of the messages that were cells and failed abort what is queued behind them.
    for (let attempts = 0; result === undefined && attempts < 20; attempts++)
      await within(
        kernel.execute("kept + 1", (output) => {
          if (output.type === "execute_result") result = output.content.data["text/plain"];
        }),
        `a cell after ${count} malformed messages of seed ${seed}`,
      );
    assert.equal(result, "42");
    assert.equal(kernel.process.exitCode, null);
  } finally {
    for (const socket of sockets) socket.close();
    await kernel.close();
  }
}

/** Sends one message of these parts on the shell channel and gives the content of its reply. */
export async function replyTo(
  kernel: JupyterClient,
  header: unknown,
  content: unknown,
): Promise<Record<string, unknown>> {
  const connection = connectionOf(kernel);
  const socket = new Dealer({ linger: 0 });
  socket.connect(address(connection, "shell"));
  try {
    const text = (part: unknown): Buffer =>
      Buffer.from(typeof part === "string" ? part : JSON.stringify(part));
    await socket.send(signed([text(header), text({}), text({}), text(content)], connection.key));
    const received = receiveMessage(
      await within(socket.receive(), `the reply to ${JSON.stringify(header)}`),
      connection.key,
    );
    assert.ok(received.problem === undefined, received.problem);
    return received.message.content;
  } finally {
    socket.close();
  }
}
