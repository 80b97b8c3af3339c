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
