import { setTimeout as delay } from "node:timers/promises";
import {
  encodeMessage,
  type Header,
  type Message,
  newHeader,
  receiveMessage,
  type Send,
} from "../protocol/index.js";
import { createAnswers } from "./answers.js";
import { type History, inputHistory } from "./history.js";
import type { IoPub } from "./publisher.js";
import { type Content, errorContent, textIn, userExpressionsIn } from "./request.js";
import type { Outcome, Session } from "./session.js";

export interface KernelParts {
  session: Session;
  iopub: IoPub;
  key: string;
  sessionId: string;
  /** Ends the kernel, once the reply to a shutdown is out; restarting it is up to the client. */
  shutDown(): Promise<void>;
  /** Takes a line on each message that could not be answered. */
  log(line: string): void;
}

/** Answers Jupyter's requests, given the sockets and the session that runs the cells. */
export interface Kernel {
  /** Takes frames from the shell or the control channel, and answers through `send`. Never rejects. */
  receive(frames: readonly Buffer[], send: Send): Promise<void>;
  /** The request whose cell runs, and who sent it: where input is asked for. */
  executing(): Message | undefined;
  /** Resolves once every cell that was sent has its reply. */
  settled(): Promise<void>;
}

interface Pending {
  message: Message;
  send: Send;
}

type Requester = Pick<Message, "identities" | "header">;

export function createKernel({ session, iopub, key, sessionId, shutDown, log }: KernelParts): Kernel {
  const history: History = inputHistory();
  const answers = createAnswers({ session, history, iopub, shutDown });
  let count = 0;
  let executing: Message | undefined;
  let queue: Pending[] = [];
  let working = false;
  let whenSettled: (() => void)[] = [];

  async function reply({ identities, header }: Requester, send: Send, content: Content): Promise<void> {
    const type = header.msg_type.replace(/_request$/, "_reply");
    const message = {
      identities,
      header: newHeader(type, sessionId),
      parent: header,
      metadata: {},
      content,
      buffers: [],
    };
    await send(encodeMessage(message, key));
  }

  async function receive(frames: readonly Buffer[], send: Send): Promise<void> {
    const received = receiveMessage(frames, key);
    try {
      if (received.problem === undefined) return await handle({ message: received.message, send });
      log(`A message was dropped. ${received.problem}`);
      const { header, identities, problem } = received;
      if (header?.msg_type.endsWith("_request"))
        await reply({ header, identities }, send, errorContent(new Error(problem)));
    } catch (error) {
      log(`A message could not be answered. ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  /** Cells wait for each other; all else is answered at once, also while a cell runs. */
  async function handle(pending: Pending): Promise<void> {
    const { header } = pending.message;
    if (header.msg_type === "execute_request") {
      queue.push(pending);
      if (!working) await work();
      return;
    }
    await iopub.status("busy", header);
    const after = await answer(pending);
    await iopub.status("idle", header);
    // A client takes the last status for the kernel's; a cell that runs keeps it busy.
    if (executing !== undefined) await iopub.status("busy", executing.header);
    after?.();
  }

  async function answer({ message, send }: Pending): Promise<(() => void) | undefined> {
    const { msg_type: type } = message.header;
    const known = answers.get(type);
    if (known === undefined) {
      log(`A message of the unknown type ${JSON.stringify(type.slice(0, 100))} was ignored.`);
      return undefined;
    }
    try {
      const answered = await known(message);
      if (answered !== undefined) await reply(message, send, answered.content);
      return answered?.after;
    } catch (error) {
      log(`A message of type ${type} failed. ${error instanceof Error ? error.message : String(error)}`);
      if (type.endsWith("_request")) await reply(message, send, errorContent(error));
      return undefined;
    }
  }

  async function work(): Promise<void> {
    working = true;
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        for (const pending of await executeRequest(next)) await abort(pending);
      }
    } finally {
      working = false;
      for (const resolve of whenSettled) resolve();
      whenSettled = [];
    }
  }

  async function abort({ message, send }: Pending): Promise<void> {
    await iopub.status("busy", message.header);
    await reply(message, send, { status: "aborted", execution_count: count });
    await iopub.status("idle", message.header);
  }

  /** Gives the cells that are not to be run, because this one has failed. */
  async function executeRequest({ message, send }: Pending): Promise<Pending[]> {
    executing = message;
    await iopub.status("busy", message.header);
    let content: Content;
    let aborted: Pending[] = [];
    try {
      const outcome = await runRequest(message);
      content = outcome.content;
      if (outcome.failed && message.content.stop_on_error !== false) aborted = await takeQueue();
    } catch (error) {
      // Not the cell's error: a request that is not as the protocol says, or the kernel's own.
      log(`A cell could not be run. ${error instanceof Error ? error.message : String(error)}`);
      content = { execution_count: count, ...errorContent(error) };
    }
    executing = undefined;
    await iopub.flush();
    await reply(message, send, content);
    await iopub.status("idle", message.header);
    return aborted;
  }

  async function runRequest({ header, content }: Message): Promise<{ content: Content; failed: boolean }> {
    const code = textIn(content, "code");
    const expressions = userExpressionsIn(content);
    const silent = content.silent === true;
    const stored = !silent && content.store_history !== false;
    const empty = code.trim() === "";
    if (stored && !empty) {
      count++;
      history.add(count, code);
    }
    if (!silent) await iopub.send("execute_input", { code, execution_count: count }, header);
    const { error }: Outcome = empty ? { status: "ok" } : await runCell(code, { silent, stored }, header);
    if (error !== undefined && !silent) await iopub.send("error", { ...error }, header);
    const results = error === undefined ? await evaluate(expressions) : {};
    const status = error === undefined ? { status: "ok" } : { status: "error", ...error };
    return {
      content: { execution_count: count, payload: [], user_expressions: results, ...status },
      failed: error !== undefined,
    };
  }

  /** Takes the requests sent before the client could know of the error; some may still be on their way through the socket. */
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

  async function evaluate(expressions: readonly [string, string][]): Promise<Content> {
    const results: [string, Content][] = [];
    for (const [name, expression] of expressions) {
      let data: Content = {};
      const { error } = await session.execute(`(${expression})`, {
        count,
        onOutput: (output) => {
          if (output.type === "execute_result") data = output.content.data;
        },
      });
      results.push([
        name,
        error === undefined ? { status: "ok", data, metadata: {} } : { status: "error", ...error },
      ]);
    }
    // From entries, so that no name is taken for an object's own machinery.
    return Object.fromEntries(results);
  }

  return {
    receive,
    executing: () => executing,
    settled: () => (working ? new Promise((resolve) => whenSettled.push(resolve)) : Promise.resolve()),
  };
}

const onItsWayMs = 10;
