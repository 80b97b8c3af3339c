/** Messages on the pipes between the kernel and the process that runs the cells: a 4-byte length, then JSON. */

const headerBytes = 4;

export function encodeFrame(message: unknown): Buffer {
  const body = JSON.stringify(message);
  const length = Buffer.byteLength(body);
  const frame = Buffer.allocUnsafe(headerBytes + length);
  frame.writeUInt32LE(length, 0);
  frame.write(body, headerBytes);
  return frame;
}

/** Cuts a stream of chunks into the messages it carries; a last, incomplete frame stays inside. */
export function frameReader(): (chunk: Buffer) => unknown[] {
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
      needed = headerBytes + buffer.readUInt32LE(0);
      if (buffer.length < needed) break;
      messages.push(JSON.parse(buffer.toString("utf8", headerBytes, needed)));
      buffer = buffer.subarray(needed);
      needed = headerBytes;
    }
    chunks = [buffer];
    size = buffer.length;
    return messages;
  };
}
