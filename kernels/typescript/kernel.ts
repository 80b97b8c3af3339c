import { setTimeout as delay } from "node:timers/promises";
import type { Router } from "zeromq";
import { packageVersion } from "../../lib/package-root.js";
import type { ErrorContent } from "../protocol/outputs.js";
import { encodeMessage, type Header, type Message, newHeader, protocolVersion } from "../protocol/wire.js";
import { type CodePosition, fromCodePoints, toCodePoints } from "./code-points.js";
import { type History, inputHistory } from "./history.js";
import { languageInfo } from "./language-info.js";
import type { IoPub } from "./publisher.js";
import type { Outcome, Session } from "./session.js";

type Content = Record<string, unknown>;

export interface KernelParts {
  session: Session;
  iopub: IoPub;
  key: string;
  sessionId: string;
  /** Ends the kernel, once the reply to a shutdown is out; to restart it is the client's part. */
  shutDown(): Promise<void>;
}

/** Answers Jupyter's requests; the sockets, and what runs the cells, are given. */
export interface Kernel {
  /** A message from the shell or the control channel. */
  receive(message: Message, socket: Router): Promise<void>;
  /** The header of the request whose cell runs, and who sent it: where input is asked for. */
  executing(): Message | undefined;
  /** Resolves once every cell that was sent has its reply. */
  settled(): Promise<void>;
}

interface Pending {
  message: Message;
  socket: Router;
}

export function createKernel({ session, iopub, key, sessionId, shutDown }: KernelParts): Kernel {
  const history: History = inputHistory();
  let count = 0;
  let executing: Message | undefined;
  let queue: Pending[] = [];
  let working = false;
  let whenSettled: (() => void)[] = [];

  async function reply({ message, socket }: Pending, content: Content): Promise<void> {
    const type = message.header.msg_type.replace(/_request$/, "_reply");
    await socket.send(
      encodeMessage(
        {
          identities: message.identities,
          header: newHeader(type, sessionId),
          parent: message.header,
          metadata: {},
          content,
          buffers: [],
        },
        key,
      ),
    );
  }

  /** Cells wait for each other; all else is answered at once, also while a cell runs. */
  async function receive(message: Message, socket: Router): Promise<void> {
    const pending = { message, socket };
    if (message.header.msg_type === "execute_request") {
      queue.push(pending);
      if (!working) await work();
      return;
    }
    const answer = answers[message.header.msg_type];
    await iopub.status("busy", message.header);
    try {
      if (answer !== undefined) await answer(pending);
    } finally {
      await iopub.status("idle", message.header);
      // A client takes the last status for the kernel's; a cell that runs keeps it busy.
      if (executing !== undefined) await iopub.status("busy", executing.header);
    }
  }

  async function work(): Promise<void> {
    working = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const pending of await executeRequest(next)) await abort(pending);
    }
    working = false;
    for (const resolve of whenSettled) resolve();
    whenSettled = [];
  }

  async function abort(pending: Pending): Promise<void> {
    const { header } = pending.message;
    await iopub.status("busy", header);
    await reply(pending, { status: "aborted", execution_count: count });
    await iopub.status("idle", header);
  }

  /** Gives the cells that are not to be run, because this one has failed. */
  async function executeRequest(pending: Pending): Promise<Pending[]> {
    const { header, content } = pending.message;
    const code = String(content.code);
    const silent = content.silent === true;
    const stored = !silent && content.store_history !== false;
    executing = pending.message;
    await iopub.status("busy", header);
    const empty = code.trim() === "";
    if (stored && !empty) {
      count++;
      history.add(count, code);
    }
    if (!silent) await iopub.send("execute_input", { code, execution_count: count }, header);
    const outcome = empty ? ok : await runCell(code, { silent, stored }, header);
    const { error } = outcome;
    if (error !== undefined && !silent) await iopub.send("error", { ...error }, header);
    const expressions = error === undefined ? await userExpressions(content.user_expressions) : {};
    const aborted = error !== undefined && content.stop_on_error !== false ? await takeQueue() : [];
    executing = undefined;
    await iopub.flush();
    await reply(pending, {
      execution_count: count,
      payload: [],
      user_expressions: expressions,
      ...(error === undefined ? { status: "ok" } : { status: "error", ...error }),
    });
    await iopub.status("idle", header);
    return aborted;
  }

  /** What the client had sent before it could know of the error: it may still be on its way through the socket. */
  async function takeQueue(): Promise<Pending[]> {
    await delay(onItsWayMs);
    const taken = queue;
    queue = [];
    return taken;
  }

  function runCell(
    code: string,
    { silent, stored }: { silent: boolean; stored: boolean },
    header: Header,
  ): Promise<Outcome> {
    return session.execute(code, {
      count,
      onOutput: (output) => {
        if (output.type === "execute_result") {
          if (silent) return;
          if (stored) history.addResult(String(output.content.data["text/plain"] ?? ""));
        }
        return iopub.output(output, header);
      },
    });
  }

  async function userExpressions(expressions: unknown): Promise<Content> {
    const results: Content = {};
    for (const [name, expression] of Object.entries((expressions ?? {}) as Record<string, string>)) {
      let data: Content = {};
      const { error } = await session.execute(`(${expression})`, {
        count,
        onOutput: (output) => {
          if (output.type === "execute_result") data = output.content.data;
        },
      });
      results[name] =
        error === undefined ? { status: "ok", data, metadata: {} } : { status: "error", ...error };
    }
    return results;
  }

  const answers: Record<string, (pending: Pending) => Promise<void>> = {
    kernel_info_request: (pending) => reply(pending, kernelInfo()),
    async complete_request(pending) {
      const { code, cursor_pos: cursor } = pending.message.content as unknown as CodePosition;
      const { matches, start, end, types } = await session.complete(code, fromCodePoints(code, cursor));
      const experimental = types.map((type) => ({
        ...type,
        start: toCodePoints(code, type.start),
        end: toCodePoints(code, type.end),
      }));
      await reply(pending, {
        status: "ok",
        matches,
        cursor_start: toCodePoints(code, start),
        cursor_end: toCodePoints(code, end),
        metadata: { _jupyter_types_experimental: experimental },
      });
    },
    async inspect_request(pending) {
      const { code, cursor_pos: cursor } = pending.message.content as unknown as CodePosition;
      const text = await session.inspect(code, fromCodePoints(code, cursor));
      await reply(pending, {
        status: "ok",
        found: text !== undefined,
        data: text === undefined ? {} : { "text/plain": text },
        metadata: {},
      });
    },
    async is_complete_request(pending) {
      const { status, indent } = await session.isComplete(String(pending.message.content.code));
      await reply(pending, status === "incomplete" ? { status, indent } : { status });
    },
    history_request: (pending) =>
      reply(pending, { status: "ok", history: history.find(pending.message.content) }),
    comm_info_request: (pending) => reply(pending, { status: "ok", comms: {} }),
    async comm_open({ message }) {
      // There are no comm targets here; the client is told at once.
      await iopub.send("comm_close", { comm_id: message.content.comm_id, data: {} }, message.header);
    },
    async interrupt_request(pending) {
      session.interrupt();
      await reply(pending, { status: "ok" });
    },
    async shutdown_request(pending) {
      const restart = pending.message.content.restart === true;
      await reply(pending, { status: "ok", restart });
      await iopub.send("shutdown_reply", { status: "ok", restart }, pending.message.header);
      void shutDown();
    },
  };

  return {
    receive,
    executing: () => executing,
    settled: () => (working ? new Promise((resolve) => whenSettled.push(resolve)) : Promise.resolve()),
  };
}

const onItsWayMs = 10;

const ok: { error?: ErrorContent } & Outcome = { status: "ok" };

function kernelInfo(): Content {
  return {
    status: "ok",
    protocol_version: protocolVersion,
    implementation: "modalscope",
    implementation_version: packageVersion(),
    language_info: languageInfo,
    banner: `modalscope ${packageVersion()}: TypeScript on Node ${process.version}`,
    help_links: [{ text: "TypeScript handbook", url: "https://www.typescriptlang.org/docs/handbook/" }],
    supported_features: [],
    debugger: false,
  };
}
