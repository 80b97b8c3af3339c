import { apply } from "../intrinsics.js";

type Listener = (argument: unknown) => void;

/**
 * Listens to the process's events, also after a cell has called `process.removeAllListeners`: without these listeners
 * an error that nobody catches would end the process, and with it all variables.
 */
export function keepListeners(listeners: Record<string, Listener>): void {
  const { on, rawListeners, removeAllListeners } = process;
  const events = Object.keys(listeners);
  const listen = (): void => {
    for (let i = 0; i < events.length; i++) {
      const event = events[i];
      const listener = listeners[event];
      if (!holds(apply(rawListeners, process, [event]), listener)) apply(on, process, [event, listener]);
    }
  };
  listen();
  process.removeAllListeners = (...event) => {
    apply(removeAllListeners, process, event);
    listen();
    return process;
  };
}

function holds(list: readonly unknown[], item: unknown): boolean {
  for (let i = 0; i < list.length; i++) if (list[i] === item) return true;
  return false;
}
