import {
  closeSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { ModalscopeError } from "../../../lib/errors.js";
import { isRemote } from "../../../lib/storage/index.js";

interface Owner {
  pid: number;
  host: string;
  /** When the process began, so that another one with its number is not taken for it. */
  began?: string;
  /** The batch system's job that it is part of; one that is requeued has the same. */
  job?: string;
}

/**
 * Keeps other runs from writing to the same output; a lock that a killed run has left is taken over.
 * @returns what gives it free
 * @throws ModalscopeError when another run has it.
 */
export function lockOutput(path: string): () => void {
  const lock = lockPath(path);
  const own = JSON.stringify(thisProcess());
  let tries = 0;
  for (;;) {
    if (create(lock, own)) return () => rmSync(lock, { force: true });
    const text = read(lock);
    if (text === undefined) continue;
    if (text === "" && tries++ < writerTries) {
      Atomics.wait(nothing, 0, 0, writerMs);
      continue;
    }
    const owner = parse(text);
    if (owner !== undefined && isAlive(owner)) throw taken(path, lock, owner);
    removeStale(lock, text);
  }
}

/** Removes the lock of a run that is known to have ended, wherever it was. */
export function removeLock(path: string): void {
  if (isRemote(path)) return;
  rmSync(lockPath(path), { force: true });
}

function lockPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.lock`);
}

/** One that is empty has a writer at work, or one that was killed over it. */
const writerTries = 20;
const writerMs = 50;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/** False when it exists already. */
function create(lock: string, text: string): boolean {
  let file: number;
  try {
    file = openSync(lock, "wx");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  writeSync(file, text);
  closeSync(file);
  return true;
}

/** Undefined when it has just gone. A link is nobody's lock, and what it names is nobody's business: it is stale. */
function read(lock: string): string | undefined {
  try {
    return lstatSync(lock).isSymbolicLink() ? LINK : readFileSync(lock, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "EISDIR")
      throw new ModalscopeError(`${lock} is a folder.`, "A run puts its lock there.", "Move it away.");
    throw error;
  }
}

const LINK = "a link";

/** Undefined for one that its writer was killed over. */
function parse(text: string): Owner | undefined {
  try {
    return JSON.parse(text) as Owner;
  } catch {
    return undefined;
  }
}

/** Moves it away first: if meanwhile another run has put its own there, that one is put back. */
function removeStale(lock: string, text: string): void {
  const moved = `${lock}.${process.pid}`;
  try {
    renameSync(lock, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (read(moved) !== text) linkSync(moved, lock);
  rmSync(moved);
}

function thisProcess(): Owner {
  return { pid: process.pid, host: hostname(), began: beginning(process.pid), job: process.env.SLURM_JOB_ID };
}

function isAlive({ pid, host, began, job }: Owner): boolean {
  // A task that Slurm has started anew: it has ended the one before.
  if (job !== undefined && job === process.env.SLURM_JOB_ID && host !== hostname()) return false;
  // Nothing can be known of a process on another machine that shares the folder.
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there, and another user's.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return began === beginning(pid);
}

/** Linux's start time of a process; elsewhere its number alone must do. */
function beginning(pid: number): string | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function taken(path: string, lock: string, { pid, host }: Owner): ModalscopeError {
  const where = host === hostname() ? "" : ` on ${host}`;
  return new ModalscopeError(
    `Another run is writing to ${path}.`,
    `It is process ${pid}${where}.`,
    where === "" ? "Wait for it, or choose another output." : `If it is no longer there, remove ${lock}.`,
  );
}
