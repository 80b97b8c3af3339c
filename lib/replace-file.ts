import { closeSync, fsyncSync, openSync, readlinkSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { writeAll } from "./pipe.js";

/**
 * Replaces a file so that it is whole at every moment: the old one or the new one, also after a kill or a power
 * cut. There must be one writer at a time. Where the path is a link, what it names is replaced.
 * @param content in pieces, written one after the other
 */
export function replaceFile(path: string, content: Iterable<string | Uint8Array>): void {
  const target = linkTarget(path);
  const mode = (statSync(target, { throwIfNoEntry: false })?.mode ?? 0o666) & 0o777;
  const temporary = temporaryPath(target);
  try {
    const file = openNew(temporary, mode);
    try {
      for (const piece of content) writeAll(file, piece);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Path at which a file is written before it takes its name. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.tmp`);
}

/**
 * Opens a file that is made by this call: a leftover of that name goes, and a link is never followed, whoever put
 * it there.
 */
export function openNew(path: string, mode = 0o666): number {
  rmSync(path, { force: true });
  return openSync(path, "wx", mode);
}

const mostLinks = 40;

/** The path that a chain of links ends at, which need not exist; the path itself when it is not a link. */
export function linkTarget(path: string): string {
  let target = resolve(path);
  for (let i = 0; i < mostLinks; i++) {
    let next: string;
    try {
      next = readlinkSync(target);
    } catch (error) {
      // Not there, or there and not a link; whoever opens it is told what else is the matter.
      if ((error as NodeJS.ErrnoException).syscall === "readlink") return target;
      throw error;
    }
    target = resolve(dirname(target), next);
  }
  throw Object.assign(new Error("There are too many links, one behind the other"), { code: "ELOOP" });
}
