import { randomUUID } from "node:crypto";
import type { Publisher } from "zeromq";
import type { Output } from "./messages.js";
import { encodeMessage, type Header, newHeader } from "./wire.js";

/** Publishes what the kernel does and shows. Everything goes out in the order in which it was asked for. */
export interface IoPub {
  status(state: "starting" | "busy" | "idle", parent: Partial<Header>): Promise<void>;
  send(type: string, content: Record<string, unknown>, parent: Partial<Header>): Promise<void>;
  /** The same as {@link send}, but printed text waits a moment for more of its kind. */
  output(output: Output, parent: Partial<Header>): Promise<void>;
  flush(): Promise<void>;
}

const gatherMs = 15;
/** No message gathers more text than this. */
const gatherChars = 1 << 16;

export function ioPub(socket: Publisher, key: string, session: string): IoPub {
  let gathered: { name: string; text: string; parent: Partial<Header> } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();

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
    last = last.then(() => socket.send(encodeMessage(message, key)));
    return last;
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (gathered === undefined) return last;
    const { name, text, parent } = gathered;
    gathered = undefined;
    return queue("stream", { name, text }, parent);
  }

  async function send(
    type: string,
    content: Record<string, unknown>,
    parent: Partial<Header>,
  ): Promise<void> {
    void flush();
    await queue(type, content, parent);
  }

  return {
    send,
    flush,
    status: (state, parent) => send("status", { execution_state: state }, parent),
    async output({ type, content }, parent) {
      if (type !== "stream") return send(type, { ...content }, parent);
      const { name, text } = content;
      if (gathered !== undefined && (gathered.name !== name || gathered.parent !== parent)) void flush();
      if (gathered === undefined) gathered = { name, text, parent };
      else gathered.text += text;
      if (gathered.text.length >= gatherChars) return flush();
      timer ??= setTimeout(() => void flush(), gatherMs);
    },
  };
}

export function newSessionId(): string {
  return randomUUID();
}
