import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Dealer, Subscriber } from "zeromq";
import { ModalscopeError } from "../../../lib/errors.js";
import type { ErrorContent, Output } from "../../protocol/outputs.js";
import {
  address,
  type Connection,
  decodeMessage,
  encodeMessage,
  type Message,
  newHeader,
  queuedSend,
} from "../../protocol/wire.js";
import type { CellResult, RunnerKernel } from "./kernel.js";

/** A kernel.json, as far as starting it needs. */
export interface KernelSpec {
  argv: string[];
  env?: Record<string, string>;
  interrupt_mode?: "signal" | "message";
  language?: string;
  display_name?: string;
  /** The folder of kernel.json, for `{resource_dir}`. */
  folder?: string;
}

export interface JupyterClient extends RunnerKernel {
  readonly process: ChildProcess;
  /** Sends a request and gives its reply; `onMessage` gets what the kernel publishes of it. */
  request(
    channel: "shell" | "control",
    type: string,
    content: Record<string, unknown>,
    onMessage?: (message: Message) => void,
  ): Promise<Message>;
}

interface Asked {
  resolve(reply: Message): void;
  reject(error: Error): void;
  onMessage: ((message: Message) => void) | undefined;
  reply?: Message;
  idle: boolean;
}

/** Thrown out of requests when the kernel's process has ended. */
export class KernelEnded extends Error {}

/**
 * Starts any Jupyter kernel and speaks the protocol with it.
 * @param signal gives up the start; without one it is given up after a minute.
 * @throws ModalscopeError when the kernel ends before it answers; the signal's reason when that comes first.
 */
export async function startJupyterKernel(
  spec: KernelSpec,
  { cwd, signal = AbortSignal.timeout(startTimeoutMs) }: { cwd: string; signal?: AbortSignal },
): Promise<JupyterClient> {
  const folder = mkdtempSync(join(tmpdir(), "modalscope-kernel-"));
  const file = join(folder, "connection.json");
  const connection = await newConnection();
  writeFileSync(file, JSON.stringify(connection), { mode: 0o600 });
  const [command, ...rest] = spec.argv.map((arg) =>
    arg.replaceAll("{connection_file}", file).replaceAll("{resource_dir}", spec.folder ?? ""),
  );
  const kernel = spawn(command, rest, {
    cwd,
    // Kernels that know it (ipykernel) end when this process does, however it ends.
    env: { ...process.env, JPY_PARENT_PID: String(process.pid), ...spec.env },
    stdio: ["ignore", "ignore", "pipe"],
    // Ctrl-C in a terminal is for the runner, which passes it on.
    detached: process.platform !== "win32",
  });
  const client = connect(kernel, connection, spec.interrupt_mode ?? "signal", folder);
  try {
    return await client.started(signal);
  } catch (error) {
    client.kill();
    await client.close();
    if (!(error instanceof KernelEnded)) throw error;
    throw new ModalscopeError("The kernel did not start.", error.message, "", { cause: error });
  }
}

function connect(
  kernel: ChildProcess,
  connection: Connection,
  interruptMode: "signal" | "message",
  folder: string,
): { started(signal: AbortSignal): Promise<JupyterClient>; kill(): void; close(): Promise<void> } {
  const { key } = connection;
  const session = randomUUID();
  const routingId = session;
  const channels = {
    shell: new Dealer({ routingId, linger: 0 }),
    control: new Dealer({ routingId, linger: 0 }),
  };
  const sends = { shell: queuedSend(channels.shell), control: queuedSend(channels.control) };
  const iopub = new Subscriber({ receiveHighWaterMark: 0 });
  for (const channel of ["shell", "control"] as const)
    channels[channel].connect(address(connection, channel));
  iopub.connect(address(connection, "iopub"));
  iopub.subscribe();

  const asked = new Map<string, Asked>();
  let ended: KernelEnded | undefined;
  let lastWords = "";
  let languageInfo: Record<string, unknown> = {};

  kernel.stderr?.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-4096);
  });
  const exited = new Promise<void>((resolve) => {
    const end = (why: string): void => {
      ended = new KernelEnded([why, lastWords.trim()].filter(Boolean).join("\n"));
      for (const waiting of asked.values()) waiting.reject(ended);
      asked.clear();
      resolve();
    };
    kernel.on("error", (error) => end(`The kernel cannot be started: ${error.message}.`));
    // What it had sent before it ended is still on its way through the sockets.
    kernel.on("exit", (code, signal) => setTimeout(() => end(deathText(code, signal)), 300));
  });

  function settle(id: string, waiting: Asked): void {
    if (waiting.reply === undefined || !waiting.idle) return;
    asked.delete(id);
    waiting.resolve(waiting.reply);
  }

  async function listen(socket: Dealer | Subscriber, published: boolean): Promise<void> {
    for await (const frames of socket) {
      const message = decodeMessage(frames, key);
      const id = message?.parent.msg_id;
      const waiting = id === undefined ? undefined : asked.get(id);
      if (message === undefined || id === undefined || waiting === undefined) continue;
      if (!published) waiting.reply = message;
      else if (message.header.msg_type === "status")
        waiting.idle ||= message.content.execution_state === "idle";
      else waiting.onMessage?.(message);
      settle(id, waiting);
    }
  }
  const loops = [listen(channels.shell, false), listen(channels.control, false), listen(iopub, true)];

  function request(
    channel: "shell" | "control",
    type: string,
    content: Record<string, unknown>,
    onMessage?: (message: Message) => void,
  ): Promise<Message> {
    if (ended !== undefined) return Promise.reject(ended);
    const header = newHeader(type, session, "modalscope");
    const message = { identities: [], header, parent: {}, metadata: {}, content, buffers: [] };
    return new Promise((resolve, reject) => {
      asked.set(header.msg_id, { resolve, reject, onMessage, idle: false });
      sends[channel](encodeMessage(message, key)).catch(reject);
    });
  }

  async function execute(code: string, onOutput: (output: Output) => void): Promise<CellResult> {
    // What the reply says may never come.
    let executionCount: number | null = null;
    try {
      const content = {
        code,
        silent: false,
        store_history: true,
        user_expressions: {},
        allow_stdin: false,
        stop_on_error: true,
      };
      const reply = await request("shell", "execute_request", content, ({ header, content }) => {
        if (outputTypes.has(header.msg_type)) onOutput({ type: header.msg_type, content } as Output);
        else if (header.msg_type === "execute_input") executionCount = content.execution_count as number;
      });
      executionCount = (reply.content.execution_count as number | undefined) ?? executionCount;
      return { executionCount, ...errorOf(reply) };
    } catch (error) {
      if (!(error instanceof KernelEnded)) throw error;
      return { executionCount, error: describeEnd(error), died: true };
    }
  }

  const kill = (): void => signalGroup(kernel, "SIGKILL");

  async function close(): Promise<void> {
    if (ended === undefined) {
      void request("control", "shutdown_request", { restart: false }).catch(ignoreEnd);
      const patience = setTimeout(() => signalGroup(kernel, "SIGKILL"), shutdownMs);
      await exited;
      clearTimeout(patience);
    }
    for (const socket of [...Object.values(channels), iopub]) socket.close();
    await Promise.all(loops);
    rmSync(folder, { recursive: true, force: true });
  }

  const client: JupyterClient = {
    process: kernel,
    get languageInfo() {
      return languageInfo;
    },
    get death() {
      return ended === undefined ? undefined : describeEnd(ended);
    },
    request,
    execute,
    interrupt() {
      if (interruptMode === "signal") signalGroup(kernel, "SIGINT");
      else void request("control", "interrupt_request", {}).catch(ignoreEnd);
    },
    kill,
    close,
  };

  /** Asks until an answer and its `idle` have come: then the subscription is known to work. */
  async function started(signal: AbortSignal): Promise<JupyterClient> {
    while (!signal.aborted) {
      const info = request("shell", "kernel_info_request", {});
      const answer = await Promise.race([info, delay(askAgainMs, undefined)]);
      if (answer === undefined) {
        info.catch(ignoreEnd);
        continue;
      }
      languageInfo = answer.content.language_info as Record<string, unknown>;
      return client;
    }
    throw signal.reason;
  }

  return { started, kill, close };
}

const startTimeoutMs = 60_000;
const shutdownMs = 5000;

/** The first question often comes before the subscription stands, and its `idle` is lost. */
const askAgainMs = 150;

const outputTypes = new Set([
  "stream",
  "display_data",
  "update_display_data",
  "execute_result",
  "clear_output",
]);

function errorOf({ content }: Message): { error?: ErrorContent; died: false } {
  if (content.status === "ok") return { died: false };
  const {
    ename = "Aborted",
    evalue = "The kernel did not run the cell.",
    traceback = [],
  } = content as Partial<ErrorContent>;
  return { error: { ename, evalue, traceback }, died: false };
}

/** Reaches a kernel behind a wrapper, too, as `uv run` is one. */
function signalGroup(kernel: ChildProcess, signal: NodeJS.Signals): void {
  if (kernel.pid === undefined || kernel.exitCode !== null || kernel.signalCode !== null) return;
  if (process.platform === "win32") kernel.kill(signal);
  else process.kill(-kernel.pid, signal);
}

function deathText(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === "SIGKILL") {
    return "The kernel was killed from outside (SIGKILL); the system does so when memory is short.";
  }
  return `The kernel died (${signal ?? `exit code ${code}`}).`;
}

function describeEnd({ message }: KernelEnded): ErrorContent {
  return { ename: "DeadKernelError", evalue: message, traceback: [`DeadKernelError: ${message}`] };
}

/** The end of the kernel is reported by whoever waits for a cell. */
function ignoreEnd(error: unknown): void {
  if (!(error instanceof KernelEnded)) throw error;
}

async function newConnection(): Promise<Connection> {
  const [shell, control, iopub, stdin, hb] = await freePorts(5);
  return {
    transport: "tcp",
    ip: "127.0.0.1",
    key: randomBytes(32).toString("hex"),
    signature_scheme: "hmac-sha256",
    shell_port: shell,
    control_port: control,
    iopub_port: iopub,
    stdin_port: stdin,
    hb_port: hb,
  };
}

/** Ports that nobody listens on; all are held until the last is found, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
