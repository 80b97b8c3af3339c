/** Jupyter's wire protocol: signed multipart messages (messaging specification 5.3). */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { ModalscopeError } from "../../lib/errors.js";

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
  /** Routing prefix: who sent it, or a topic. */
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
      "Only hmac-sha256 is known.",
    );
  }
  return connection;
}

/** Where a channel's socket binds or connects. */
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
  const parts = [header, parent, metadata, content].map((part) => Buffer.from(JSON.stringify(part)));
  return [...identities, delimiter, Buffer.from(sign(parts, key)), ...parts, ...buffers];
}

/** Undefined when the frames are no message, or not signed with the key: such a one is not answered. */
export function decodeMessage(frames: readonly Buffer[], key: string): Message | undefined {
  const at = frames.findIndex((frame) => frame.equals(delimiter));
  if (at === -1 || frames.length < at + 6) return undefined;
  const parts = frames.slice(at + 2, at + 6);
  const expected = Buffer.from(sign(parts, key));
  const given = frames[at + 1];
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const [header, parent, metadata, content] = parts.map((part) => JSON.parse(part.toString("utf8")));
  return {
    identities: frames.slice(0, at),
    header,
    parent,
    metadata,
    content,
    buffers: frames.slice(at + 6),
  };
}

function sign(parts: readonly Buffer[], key: string): string {
  if (key === "") return "";
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest("hex");
}
