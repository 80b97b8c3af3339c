/**
 * Messages on the pipes between the kernel and the process that runs the cells: four bytes that mark a frame, four with
 * its length, then JSON. The mark tells a frame from what a cell writes to the pipe itself.
 */
import { encodeUtf8, jsonOf, NativeUint8Array, setBytes } from "./intrinsics.js";

const mark = 0x31_6d_64_6d;
const headerBytes = 8;
/** A longer text would be no string in V8. */
const longestBody = 2 ** 29;

/** Runs beside cells too: see intrinsics.ts. */
export function encodeFrame(message: unknown): Uint8Array {
  const body = encodeUtf8(jsonOf(message));
  const frame = new NativeUint8Array(headerBytes + body.length);
  putUInt32(frame, 0, mark);
  putUInt32(frame, 4, body.length);
  setBytes(frame, body, headerBytes);
  return frame;
}

function putUInt32(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = (value >>> (8 * i)) & 255;
}

/**
 * Cuts a stream of chunks into the messages it carries; a last, incomplete frame stays inside.
 * @param amend changes a message's JSON before it is read
 * @throws Error at anything that is no frame.
 */
export function frameReader(amend = (json: string): string => json): (chunk: Buffer) => unknown[] {
  let chunks: Buffer[] = [];
  let size = 0;
  let needed = headerBytes;
  return (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size < needed) return [];
    let buffer = Buffer.concat(chunks, size);
    const messages: unknown[] = [];
    needed = headerBytes;
    while (buffer.length >= headerBytes) {
      needed = headerBytes + bodyLength(buffer);
      if (buffer.length < needed) break;
      messages.push(JSON.parse(amend(buffer.toString("utf8", headerBytes, needed))));
      buffer = buffer.subarray(needed);
      needed = headerBytes;
    }
    chunks = [buffer];
    size = buffer.length;
    return messages;
  };
}

function bodyLength(frame: Buffer): number {
  const length = frame.readUInt32LE(4);
  if (frame.readUInt32LE(0) !== mark || length > longestBody) throw new Error("These bytes are no message.");
  return length;
}
