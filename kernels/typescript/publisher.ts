import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { XPublisher } from "zeromq";
import { encodeMessage, type Header, newHeader, type Output } from "../protocol/index.js";

/** Publishes what the kernel does and shows. Everything goes out in the order in which it was asked for. */
export interface IoPub {
  status(state: "starting" | "busy" | "idle", parent: Partial<Header>): Promise<void>;
  send(type: string, content: Record<string, unknown>, parent: Partial<Header>): Promise<void>;
  /** The same as {@link send}, but printed text waits a moment for more of its kind. */
  output(output: Output, parent: Partial<Header>): Promise<void>;
  flush(): Promise<void>;
}

const longestWaitMs = 4;

const gatherMs = 15;
/** No message gathers more text than this. */
const gatherChars = 1 << 16;

export function ioPub(
  socket: XPublisher,
  key: string,
  session: string,
  log: (error: unknown) => void,
): IoPub {
  let gathered: { name: string; text: string; parent: Partial<Header> } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();

  /** One at a time: the socket takes no second send while a first one waits for a slow client. */
  function queue(type: string, content: Record<string, unknown>, parent: Partial<Header>): Promise<void> {
    const message = {
      identities: [Buffer.from(type)],
      header: newHeader(type, session),
      parent,
      metadata: {},
      content,
      buffers: [],
    };
    const frames = encodeMessage(message, key);
    const sent = last.then(() => sendPatiently(socket, frames));
    // Who asked for it is told; the next one is sent all the same.
    last = sent.catch(() => undefined);
    return sent;
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (gathered === undefined) return last.then(() => undefined);
    const { name, text, parent } = gathered;
    gathered = undefined;
    return queue("stream", { name, text }, parent);
  }

  async function send(
    type: string,
    content: Record<string, unknown>,
    parent: Partial<Header>,
  ): Promise<void> {
    flush().catch(log);
    await queue(type, content, parent);
  }

  return {
    send,
    flush,
    status: (state, parent) => send("status", { execution_state: state }, parent),
    async output({ type, content }, parent) {
      if (type !== "stream") return send(type, { ...content }, parent);
      const { name, text } = content;
      if (gathered !== undefined && (gathered.name !== name || gathered.parent !== parent))
        flush().catch(log);
      if (gathered === undefined) gathered = { name, text, parent };
      else gathered.text += text;
      if (gathered.text.length >= gatherChars) return flush();
      timer ??= setTimeout(() => void flush().catch(log), gatherMs);
    },
  };
}

/** A publisher whose queue to a slow client is full says so (EAGAIN) and does not tell when it has room again. */
async function sendPatiently(socket: XPublisher, frames: Buffer[]): Promise<void> {
  for (let waitMs = 1; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    try {
      await socket.send(frames);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      await delay(waitMs);
    }
  }
}

export function newSessionId(): string {
  return randomUUID();
}
