/** Synchronous reads and writes of pipes, whose other end may be slow. */
import { writeSync } from "node:fs";

/** Repeats a synchronous read or write while the pipe at its other end is not ready for it. */
export function waitForPipe<T>(io: () => T): T {
  for (;;) {
    try {
      return io();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(nothing, 0, 0, pauseMs);
    }
  }
}

const nothing = new Int32Array(new SharedArrayBuffer(4));
const pauseMs = 5;

/** Writes all of a text or of bytes to an open file or pipe. */
export function writeAll(file: number, content: string | Uint8Array): void {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  for (let from = 0; from < bytes.length; ) from += waitForPipe(() => writeSync(file, bytes, from));
}
