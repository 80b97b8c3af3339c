/** Jupyter's wire protocol: signed multipart messages (messaging specification 5.3). */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Router } from "zeromq";
import { ModalscopeError } from "../../lib/errors.js";
import { wellFormedJson } from "./well-formed.js";

export const protocolVersion = "5.3";

export interface Connection {
  transport: string;
  ip: string;
  key: string;
  signature_scheme: string;
  shell_port: number;
  control_port: number;
  iopub_port: number;
  stdin_port: number;
  hb_port: number;
}

export interface Header {
  msg_id: string;
  msg_type: string;
  session: string;
  username: string;
  date: string;
  version: string;
}

export interface Message {
  /** Routing prefix: the sender's identity, or a topic. */
  identities: Buffer[];
  header: Header;
  parent: Partial<Header>;
  metadata: Record<string, unknown>;
  content: Record<string, unknown>;
  buffers: Buffer[];
}

const delimiter = Buffer.from("<IDS|MSG>");

export function readConnection(path: string): Connection {
  let connection: Connection;
  try {
    connection = JSON.parse(readFileSync(path, "utf8")) as Connection;
  } catch (error) {
    throw new ModalscopeError(
      `Cannot read the connection file ${path}.`,
      `${(error as Error).message}.`,
      "A Jupyter client writes it and starts the kernel with its path.",
      { cause: error },
    );
  }
  if (connection.key !== "" && connection.signature_scheme !== "hmac-sha256") {
    throw new ModalscopeError(
      `Messages signed by ${connection.signature_scheme} cannot be read.`,
      "Only hmac-sha256 is supported.",
    );
  }
  return connection;
}

/** Address at which a channel's socket binds or connects. */
export function address(
  connection: Connection,
  channel: "shell" | "control" | "iopub" | "stdin" | "hb",
): string {
  const port = connection[`${channel}_port`];
  const separator = connection.transport === "tcp" ? ":" : "-";
  return `${connection.transport}://${connection.ip}${separator}${port}`;
}

export function newHeader(type: string, session: string, username = "kernel"): Header {
  return {
    msg_id: randomUUID(),
    msg_type: type,
    session,
    username,
    date: new Date().toISOString(),
    version: protocolVersion,
  };
}

export function encodeMessage(message: Message, key: string): Buffer[] {
  const { identities, header, parent, metadata, content, buffers } = message;
  const parts = [header, parent, metadata, content].map((part) =>
    Buffer.from(wellFormedJson(JSON.stringify(part))),
  );
  return [...identities, delimiter, Buffer.from(sign(parts, key)), ...parts, ...buffers];
}

/** A message that came through a socket, or the problem with it, and its header where that could be read. */
export type Received =
  | { message: Message; problem?: undefined }
  | { problem: string; identities: Buffer[]; header?: Header };

/** Reads and validates a message. */
export function receiveMessage(frames: readonly Buffer[], key: string): Received {
  const at = frames.findIndex((frame) => frame.equals(delimiter));
  const identities = frames.slice(0, Math.max(0, at));
  if (at === -1 || frames.length < at + 6) return { problem: "It has too few parts.", identities };
  const parts = frames.slice(at + 2, at + 6);
  const expected = Buffer.from(sign(parts, key));
  const given = frames[at + 1];
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    return { problem: "Its signature is wrong.", identities };
  const [header, parent, metadata, content] = parts.map(parseObject);
  if (header === undefined || !isHeader(header)) return { problem: "Its header is not valid.", identities };
  if (content === undefined) return { problem: "Its content is not a JSON object.", identities, header };
  const buffers = frames.slice(at + 6);
  return {
    message: { identities, header, parent: parent ?? {}, metadata: metadata ?? {}, content, buffers },
  };
}

/** Undefined when the frames are no message, or not signed with the key. */
export function decodeMessage(frames: readonly Buffer[], key: string): Message | undefined {
  const received = receiveMessage(frames, key);
  return received.problem === undefined ? received.message : undefined;
}

function parseObject(part: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(part.toString("utf8"));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function isHeader(header: Record<string, unknown>): header is Record<string, unknown> & Header {
  return typeof header.msg_id === "string" && typeof header.msg_type === "string";
}

/** Sends frames in the order of the calls; a socket itself takes one message at a time. */
export type Send = (frames: Buffer[]) => Promise<void>;

export function queuedSend(socket: Pick<Router, "send">): Send {
  let last: Promise<unknown> = Promise.resolve();
  return (frames) => {
    const sent = last.then(() => socket.send(frames));
    // Who asked for it is told; the next one is sent all the same.
    last = sent.catch(() => undefined);
    return sent;
  };
}

function sign(parts: readonly Buffer[], key: string): string {
  if (key === "") return "";
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest("hex");
}
