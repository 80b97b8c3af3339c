import { fork } from "node:child_process";
import { once } from "node:events";
import { join, relative } from "node:path";
import { test } from "node:test";

/** What one file may take. */
const LIMIT_MINUTES = 5;

/**
 * Runs test files in one process, which loads once what they share. A file that ends the process, or hangs, fails, and those
 * after it run in a new one.
 */
export async function runTogether(files: readonly string[]): Promise<void> {
  let left = files;
  while (left.length > 0) {
    const { started, ended, reason } = await runSome(left);
    if (ended < started || started === 0)
      test(relative(import.meta.dirname, left[ended]), () => {
        throw new Error(`The file's process ended before its tests: ${reason}.`);
      });
    left = left.slice(Math.max(started, 1));
  }
}

interface Progress {
  started: number;
  ended: number;
  /** Why the process ended. */
  reason: string;
}

async function runSome(files: readonly string[]): Promise<Progress> {
  const child = fork(join(import.meta.dirname, "one-process.js"), files);
  const progress = { started: 0, ended: 0, reason: "" };
  const timer = setTimeout(() => {
    progress.reason = `it took more than ${LIMIT_MINUTES} min`;
    child.kill("SIGKILL");
  }, LIMIT_MINUTES * 60_000);
  child.on("message", (what: "started" | "ended") => {
    progress[what]++;
    timer.refresh();
  });
  const stop = (): void => {
    child.kill("SIGKILL");
    process.exit(1);
  };
  process.once("SIGTERM", stop);
  // Its messages have all come when the channel is closed.
  const [[code, signal]] = await Promise.all([once(child, "exit"), once(child, "disconnect")]);
  process.removeListener("SIGTERM", stop);
  clearTimeout(timer);
  if (code !== 0) process.exitCode = 1;
  progress.reason ||= signal ?? `exit code ${code}`;
  return progress;
}
