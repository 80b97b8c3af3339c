import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Dealer, Subscriber } from "zeromq";
import { ModalscopeError } from "../../../lib/errors.js";
import {
  address,
  type Connection,
  decodeMessage,
  type ErrorContent,
  encodeMessage,
  type Message,
  newHeader,
  type Output,
  queuedSend,
} from "../../protocol/index.js";
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

interface PendingRequest {
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
  const client = new JupyterClient(kernel, connection, spec.interrupt_mode ?? "signal", folder);
  try {
    await client.started(signal);
    return client;
  } catch (error) {
    client.kill();
    await client.close();
    if (!(error instanceof KernelEnded)) throw error;
    throw new ModalscopeError("The kernel did not start.", error.message, "", { cause: error });
  }
}

/** A kernel's process, and the channels to it. */
export class JupyterClient implements RunnerKernel {
  readonly process: ChildProcess;
  readonly #key: string;
  readonly #interruptMode: "signal" | "message";
  /** Holds the connection file. */
  readonly #folder: string;
  readonly #session = randomUUID();
  readonly #channels: { readonly shell: Dealer; readonly control: Dealer };
  readonly #sends: Record<"shell" | "control", (frames: Buffer[]) => Promise<void>>;
  readonly #iopub = new Subscriber({ receiveHighWaterMark: 0 });
  readonly #pending = new Map<string, PendingRequest>();
  readonly #listeners: Promise<void>[];
  readonly #exited: Promise<void>;
  #ended: KernelEnded | undefined;
  #stderrTail = "";
  #languageInfo: Record<string, unknown> = {};

  constructor(
    process: ChildProcess,
    connection: Connection,
    interruptMode: "signal" | "message",
    folder: string,
  ) {
    this.process = process;
    this.#key = connection.key;
    this.#interruptMode = interruptMode;
    this.#folder = folder;
    const dealer = (): Dealer => new Dealer({ routingId: this.#session, linger: 0 });
    this.#channels = { shell: dealer(), control: dealer() };
    this.#sends = { shell: queuedSend(this.#channels.shell), control: queuedSend(this.#channels.control) };
    for (const channel of ["shell", "control"] as const)
      this.#channels[channel].connect(address(connection, channel));
    this.#iopub.connect(address(connection, "iopub"));
    this.#iopub.subscribe();
    process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderrTail = (this.#stderrTail + text).slice(-4096);
    });
    this.#exited = new Promise((resolve) => this.#watchProcess(resolve));
    this.#listeners = [
      this.#listen(this.#channels.shell, false),
      this.#listen(this.#channels.control, false),
      this.#listen(this.#iopub, true),
    ];
  }

  get languageInfo(): Record<string, unknown> {
    return this.#languageInfo;
  }

  get death(): ErrorContent | undefined {
    return this.#ended === undefined ? undefined : describeEnd(this.#ended);
  }

  /** Asks until an answer and its `idle` have come: then the subscription is known to work. */
  async started(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const info = this.request("shell", "kernel_info_request", {});
      const answer = await Promise.race([info, delay(askAgainMs, undefined)]);
      if (answer !== undefined) {
        this.#languageInfo = answer.content.language_info as Record<string, unknown>;
        return;
      }
      info.catch(ignoreEnd);
    }
    throw signal.reason;
  }

  /** Sends a request and gives its reply; `onMessage` gets what the kernel publishes of it. */
  request(
    channel: "shell" | "control",
    type: string,
    content: Record<string, unknown>,
    onMessage?: (message: Message) => void,
  ): Promise<Message> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const header = newHeader(type, this.#session, "modalscope");
    const message = { identities: [], header, parent: {}, metadata: {}, content, buffers: [] };
    return new Promise((resolve, reject) => {
      this.#pending.set(header.msg_id, { resolve, reject, onMessage, idle: false });
      this.#sends[channel](encodeMessage(message, this.#key)).catch(reject);
    });
  }

  async execute(code: string, onOutput: (output: Output) => void): Promise<CellResult> {
    // The reply, which has it too, may never come.
    let executionCount: number | null = null;
    const content = {
      code,
      silent: false,
      store_history: true,
      user_expressions: {},
      allow_stdin: false,
      stop_on_error: true,
    };
    try {
      const reply = await this.request("shell", "execute_request", content, ({ header, content }) => {
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

  interrupt(): void {
    if (this.#interruptMode === "signal") signalGroup(this.process, "SIGINT");
    else void this.request("control", "interrupt_request", {}).catch(ignoreEnd);
  }

  kill = (): void => signalGroup(this.process, "SIGKILL");

  async close(): Promise<void> {
    if (this.#ended === undefined) {
      void this.request("control", "shutdown_request", { restart: false }).catch(ignoreEnd);
      const killTimer = setTimeout(this.kill, shutdownMs);
      await this.#exited;
      clearTimeout(killTimer);
    }
    for (const socket of [...Object.values(this.#channels), this.#iopub]) socket.close();
    await Promise.all(this.#listeners);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #watchProcess(onEnd: () => void): void {
    const end = (why: string): void => {
      this.#ended = new KernelEnded([why, this.#stderrTail.trim()].filter(Boolean).join("\n"));
      for (const pending of this.#pending.values()) pending.reject(this.#ended);
      this.#pending.clear();
      onEnd();
    };
    this.process.on("error", (error) => end(`The kernel cannot be started: ${error.message}.`));
    // What it had sent before it ended is still on its way through the sockets.
    this.process.on("exit", (code, signal) => setTimeout(() => end(deathText(code, signal)), 300));
  }

  async #listen(socket: Dealer | Subscriber, published: boolean): Promise<void> {
    for await (const frames of socket) {
      const message = decodeMessage(frames, this.#key);
      const id = message?.parent.msg_id;
      const pending = id === undefined ? undefined : this.#pending.get(id);
      if (message === undefined || id === undefined || pending === undefined) continue;
      if (!published) pending.reply = message;
      else if (message.header.msg_type === "status")
        pending.idle ||= message.content.execution_state === "idle";
      else pending.onMessage?.(message);
      this.#settle(id, pending);
    }
  }

  /** A request is over when its reply and its `idle` have come, in either order. */
  #settle(id: string, pending: PendingRequest): void {
    if (pending.reply === undefined || !pending.idle) return;
    this.#pending.delete(id);
    pending.resolve(pending.reply);
  }
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
