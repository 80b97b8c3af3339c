import { writeSync } from "node:fs";
import { lockNative, unlockNative } from "../../../lib/native-lock.js";
import { encodeFrame } from "../frames.js";
import {
  defineProperty,
  deleteProperty,
  getOwnPropertyDescriptor,
  hasOwn,
  objectPrototype,
  setPrototypeOf,
} from "../intrinsics.js";
import type { Report } from "../messages.js";

/** File descriptors that the session opens for the process that runs the cells. */
export const commandsFd = 4;
const reportsFd = 3;

const write = writeSync;

/**
 * Hands a report to the session. It is written at once and in order, and waits when the pipe is full: so
 * output streams while a cell computes, memory stays bounded, and nothing is lost when the process ends. The
 * lock keeps an interrupt from cutting a message in two.
 * @param then is one step with the last byte: an interrupt comes before both or after both.
 */
export function report(message: Report, then?: () => void): void {
  const frame = encodeFrame(message);
  lockNative();
  try {
    for (let from = 0; from < frame.length; ) {
      try {
        from += writeUntrapped(frame, from);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
        waitBriefly();
        if (from > 0) continue;
        // Nothing of it is out yet: an interrupt need not wait until the client reads.
        unlockNative();
        lockNative();
      }
    }
    then?.();
  } finally {
    unlockNative();
  }
}

/** Before Node 22, writeSync looks for these on an object of its own, and takes what it finds for the write's failure. */
const lookedUp = ["errno", "error"] as const;

/** Writes without what cells may have put on `Object.prototype` under these names, and puts it back. */
function writeUntrapped(frame: Uint8Array, from: number): number {
  for (let i = 0; i < lookedUp.length; i++) {
    const name = lookedUp[i];
    if (!hasOwn(objectPrototype, name)) continue;
    const trap = getOwnPropertyDescriptor(objectPrototype, name) as PropertyDescriptor;
    // One that cannot be taken away: the write fails, and this process with it.
    if (!deleteProperty(objectPrototype, name)) continue;
    try {
      return writeUntrapped(frame, from);
    } finally {
      defineProperty(objectPrototype, name, setPrototypeOf(trap, null) as PropertyDescriptor);
    }
  }
  return write(reportsFd, frame, from);
}

const never = new Int32Array(new SharedArrayBuffer(4));
const { wait } = Atomics;

function waitBriefly(): void {
  wait(never, 0, 0, 1);
}
