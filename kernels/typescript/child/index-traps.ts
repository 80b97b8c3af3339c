import {
  arrayPrototype,
  deleteProperty,
  getOwnPropertyDescriptor,
  getOwnPropertyNames,
  NativeError,
  objectPrototype,
  stringCharCode,
} from "../intrinsics.js";
import { sendOutput } from "./runs.js";

/**
 * Removes accessors, and values that cannot be changed, from the array indexes of the prototypes: Node's own lists (of
 * timers, of asynchronous contexts) grow by assignment, and would call them outside any cell, which ends the process.
 * @throws Error where one cannot be removed
 */
export function removeIndexTraps(): void {
  removeFrom(objectPrototype, "Object.prototype");
  removeFrom(arrayPrototype, "Array.prototype");
}

function removeFrom(prototype: object, called: string): void {
  // Indexes come before all other names.
  const names = getOwnPropertyNames(prototype);
  for (let i = 0; i < names.length && startsWithDigit(names[i]); i++) {
    const name = names[i];
    if (getOwnPropertyDescriptor(prototype, name)?.writable) continue;
    const what = `${called}[${name}] is an accessor, or a value that cannot be changed`;
    const why = "Node's own lists would come upon it";
    if (!deleteProperty(prototype, name))
      throw new NativeError(`${what}: ${why}, and it cannot be removed. Restart the kernel.`);
    const text = `${what}: ${why}, so it was removed.\n`;
    sendOutput({ type: "stream", content: { name: "stderr", text } });
  }
}

function startsWithDigit(name: string): boolean {
  const code = stringCharCode(name, 0);
  return code >= 48 && code <= 57;
}
