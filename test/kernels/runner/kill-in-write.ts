/**
 * Loaded before the command (`node --import`): ends the process with SIGKILL inside one of its saves, in the phase
 * that KILL_PHASE names.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/** Earlier saves go well. */
const nth = 4;
const phase = process.env.KILL_PHASE;
const { openSync, writeSync, fsyncSync, renameSync } = fs;
const temporary = new Set<number>();
let saves = 0;

function dieIn(name: string): void {
  if (phase === name && saves >= nth) process.kill(process.pid, "SIGKILL");
}

Object.assign(fs, {
  openSync(path: string, ...rest: unknown[]) {
    const file = openSync(path, ...(rest as [string]));
    if (path.endsWith(".tmp")) {
      temporary.add(file);
      saves++;
      dieIn("opened");
    }
    return file;
  },
  writeSync(file: number, bytes: Buffer, from: number) {
    if (!temporary.has(file)) return writeSync(file, bytes, from);
    if (phase === "half written" && saves >= nth) {
      writeSync(file, bytes, 0, Math.floor(bytes.length / 2));
      dieIn("half written");
    }
    return writeSync(file, bytes, from);
  },
  fsyncSync(file: number) {
    dieIn("written");
    fsyncSync(file);
    dieIn("on disk");
  },
  renameSync(from: string, to: string) {
    renameSync(from, to);
    dieIn("renamed");
  },
});
syncBuiltinESMExports();
