/** The kernel's process: a Jupyter client starts it with the path of a connection file. */
import "./compile-cache.js";
import { dirname, isAbsolute } from "node:path";
import { Reply, Router, XPublisher } from "zeromq";
import {
  address,
  type Connection,
  type ErrorContent,
  queuedSend,
  readConnection,
} from "../protocol/index.js";
import { createInputRequester } from "./input.js";
import { createKernel } from "./kernel.js";
import { ioPub, newSessionId } from "./publisher.js";
import { openSession } from "./session.js";

/** Messages that may wait for a slow client before the cell that makes them waits too. */
const queuedMessages = 200;

/** Replies that may wait for a client to read them before the next ones are dropped. */
const queuedReplies = 100_000;

/** First byte of the frame that an XPUB socket receives for a new subscription. */
const subscribed = 1;

const parentPollMs = 1000;

const connectionFile = process.argv[2];
if (connectionFile === undefined) {
  process.stderr.write("A Jupyter client starts this kernel; it needs the path of a connection file.\n");
  process.exit(2);
}
await startKernel(readConnection(connectionFile));

async function startKernel(connection: Connection): Promise<void> {
  const { key } = connection;
  const sessionId = newSessionId();
  const shell = new Router({ sendHighWaterMark: queuedReplies });
  const control = new Router({ sendHighWaterMark: queuedReplies });
  const stdin = new Router();
  const heartbeat = new Reply();
  const publisher = new XPublisher({ sendHighWaterMark: queuedMessages, noDrop: true, linger: 1000 });
  publisher.verbosity = "allSubs";
  await Promise.all([
    shell.bind(address(connection, "shell")),
    control.bind(address(connection, "control")),
    stdin.bind(address(connection, "stdin")),
    heartbeat.bind(address(connection, "hb")),
    publisher.bind(address(connection, "iopub")),
  ]);

  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const iopub = ioPub(publisher, key, sessionId, (error) => log(`Publishing failed. ${String(error)}`));
  const inputRequester = createInputRequester({
    socket: stdin,
    key,
    sessionId,
    executing: () => kernel.executing(),
    flush: iopub.flush,
    log,
  });
  const session = openSession({
    folder: notebookFolder(),
    cwd: process.cwd(),
    interactive: true,
    onDeath,
    onInput: inputRequester.ask,
  });
  const kernel = createKernel({ session, iopub, key, sessionId, shutDown, log });
  let exitCode = 0;
  let shuttingDown = false;

  /** The cell has its error; the client sees the kernel exit, and restarts it. */
  async function onDeath(error: ErrorContent): Promise<void> {
    process.stderr.write(`${error.evalue}\n`);
    exitCode = 1;
    await kernel.settled();
    // A moment for the cell's reply to leave.
    setTimeout(() => void shutDown(), 500);
  }

  async function shutDown(): Promise<void> {
    if (shuttingDown) return;
    shuttingDown = true;
    await session.close();
    for (const socket of [shell, control, stdin, heartbeat, publisher]) socket.close();
    process.exit(exitCode);
  }

  async function serve(socket: Router): Promise<void> {
    const send = queuedSend(socket);
    for await (const frames of socket) void kernel.receive(frames, send);
  }

  async function beat(): Promise<void> {
    for await (const frames of heartbeat) await heartbeat.send(frames);
  }

  /**
   * A client that subscribes has missed what was published before, "starting" too, and JupyterLab shows
   * the kernel as "unknown" until it runs a cell. So it is told where the kernel stands.
   */
  async function welcome(): Promise<void> {
    for await (const [event] of publisher) {
      if (event[0] !== subscribed) continue;
      const running = kernel.executing();
      await iopub.status(running === undefined ? "idle" : "busy", running?.header ?? {});
    }
  }

  // A client that says who it is, and ends without a shutdown, leaves no kernel behind.
  if (process.env.JPY_PARENT_PID !== undefined) {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && void shutDown(), parentPollMs).unref();
  }
  process.on("SIGINT", () => session.interrupt());
  process.on("SIGTERM", () => void shutDown());
  void iopub.status("starting", {});
  for (const loop of [serve(shell), serve(control), inputRequester.serve(), beat(), welcome()])
    loop.catch(fail);
}

/** Folder from which the notebook's imports resolve: its own, if the client gives it, else the working folder. */
function notebookFolder(): string {
  const notebook = process.env.JPY_SESSION_NAME;
  return notebook !== undefined && isAbsolute(notebook) ? dirname(notebook) : process.cwd();
}

function fail(error: unknown): never {
  process.stderr.write(`The kernel failed: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}
