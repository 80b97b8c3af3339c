/**
 * A stand-in for a Jupyter kernel, which starts quickly and does what its cells say, one thing each line:
 * `print TEXT`, `sleep MS`, `fail TEXT`, `die`, `stuck` (never answers, ignores interrupts), `bundle JSON`,
 * `append FILE TEXT`, `hold MB` (of memory), `until FILE` (is there). `name = value` sets a variable, as Python does; `show NAME` prints it,
 * `fail-if NAME VALUE` fails when it has this value.
 */
import { appendFileSync, existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Publisher, Reply, Router } from "zeromq";
import {
  address,
  decodeMessage,
  encodeMessage,
  type Header,
  newHeader,
  readConnection,
} from "../../../kernels/protocol/index.js";

const [, , file, mode] = process.argv;
if (mode === "broken") {
  process.stderr.write("The stub breaks at its start.\n");
  process.exit(3);
}
const connection = readConnection(file);
const shell = new Router();
const control = new Router();
const heartbeat = new Reply();
const iopub = new Publisher();
await shell.bind(address(connection, "shell"));
await control.bind(address(connection, "control"));
await heartbeat.bind(address(connection, "hb"));
await iopub.bind(address(connection, "iopub"));

const variables = new Map<string, string>();
const held: Buffer[] = [];
let count = 0;
let stuck = false;
let interrupt = new AbortController();
process.on("SIGINT", () => {
  if (!stuck) interrupt.abort();
});

/** iopub takes one message at a time. */
let published: Promise<void> = Promise.resolve();
function publish(type: string, content: Record<string, unknown>, parent: Header): Promise<void> {
  const message = {
    identities: [Buffer.from(type)],
    header: newHeader(type, "stub"),
    parent,
    metadata: {},
    content,
    buffers: [],
  };
  published = published.then(() => iopub.send(encodeMessage(message, connection.key)));
  return published;
}

async function execute(code: string, parent: Header): Promise<Record<string, unknown>> {
  count++;
  interrupt = new AbortController();
  await publish("execute_input", { code, execution_count: count }, parent);
  for (const line of code.split("\n")) {
    const [word, ...rest] = line.split(" ");
    const argument = rest.join(" ");
    if (rest[0] === "=") variables.set(word, rest.slice(1).join(" "));
    else if (word === "show")
      await publish("stream", { name: "stdout", text: `${variables.get(argument)}\n` }, parent);
    else if (word === "fail-if") {
      if (variables.get(rest[0]) === rest[1]) return failure("StubError", argument);
    } else if (word === "append") appendFileSync(rest[0], `${rest[1]}\n`);
    else if (word === "until") while (!existsSync(argument)) await delay(20);
    else if (word === "hold") held.push(Buffer.alloc(Number(argument) * 1e6, 1));
    else if (word === "print") await publish("stream", { name: "stdout", text: `${argument}\n` }, parent);
    else if (word === "bundle")
      await publish("display_data", { data: JSON.parse(argument), metadata: {} }, parent);
    else if (word === "die") process.exit(9);
    else if (word === "fail") return failure("StubError", argument);
    else if (word === "stuck") {
      stuck = true;
      await delay(1e6);
    } else if (word === "sleep") {
      const done = await delay(Number(argument), true, { signal: interrupt.signal }).catch(() => false);
      if (!done) return failure("KeyboardInterrupt", "");
    }
  }
  return { status: "ok", execution_count: count, payload: [], user_expressions: {} };
}

function failure(ename: string, evalue: string): Record<string, unknown> {
  return { status: "error", execution_count: count, ename, evalue, traceback: [`${ename}: ${evalue}`] };
}

async function serve(socket: Router): Promise<void> {
  for await (const frames of socket) {
    const message = decodeMessage(frames, connection.key);
    if (message === undefined || mode === "mute") continue;
    const { header, content } = message;
    if (header.msg_type === "shutdown_request") process.exit(0);
    await publish("status", { execution_state: "busy" }, header);
    const answer =
      header.msg_type === "execute_request"
        ? await execute(String(content.code), header)
        : { status: "ok", language_info: { name: "stub", file_extension: ".txt" } };
    await published;
    const reply = {
      identities: message.identities,
      header: newHeader(header.msg_type.replace("_request", "_reply"), "stub"),
      parent: header,
      metadata: {},
      content: answer,
      buffers: [],
    };
    await socket.send(encodeMessage(reply, connection.key));
    await publish("status", { execution_state: "idle" }, header);
  }
}

async function beat(): Promise<void> {
  for await (const frames of heartbeat) await heartbeat.send(frames);
}

// As a real one, it does not outlive the one that started it.
const parent = Number(process.env.JPY_PARENT_PID);
setInterval(() => {
  try {
    process.kill(parent, 0);
  } catch {
    process.exit(1);
  }
}, 200);
await Promise.all([serve(shell), serve(control), beat()]);
