import { closeSync, existsSync, openSync, realpathSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ModalscopeError } from "../../../lib/errors.js";
import { describeFileError } from "../../../lib/file-errors.js";
import { makeFolder } from "../../../lib/folder.js";
import { type Notebook, notebookPieces } from "../../../lib/notebook/index.js";
import { writeAll } from "../../../lib/pipe.js";
import { linkTarget, openNew, replaceFile, temporaryPath } from "../../../lib/replace-file.js";
import { isRemote } from "../../../lib/storage/index.js";
import type { Destination } from "./destination.js";
import { lockOutput } from "./lock.js";
import { remoteOutput } from "./remote-output.js";

/**
 * Makes the output's folder, sees that it can be written to, and keeps other runs from it, before any work is done.
 * A file that is already there is not touched before the first `save`.
 * @param path a file, an `s3://` or `https://` URL, or `-` for standard output
 * @throws ModalscopeError when it cannot be written, or another run is writing it.
 */
export function openOutput(path: string): Destination {
  if (isRemote(path)) return remoteOutput(path);
  if (path === "-") return stream(path, (pieces) => writePieces(1, pieces));
  const existing = existsSync(path) ? statSync(path) : undefined;
  // Such as /dev/null or a pipe: no other file may take its place.
  if (existing !== undefined && !existing.isFile() && !existing.isDirectory()) {
    return stream(path, (pieces) => toDevice(path, pieces));
  }
  // What a link names is replaced, and not the link.
  const target = attempt(path, () => (existing === undefined ? linkTarget(path) : realpathSync(path)));
  const release = attempt(path, () => {
    makeFolder(dirname(target));
    if (existing !== undefined) closeSync(openSync(target, "r+"));
    const free = lockOutput(target);
    try {
      probe(target);
    } catch (error) {
      free();
      throw error;
    }
    return free;
  });
  const save = (notebook: Notebook): void =>
    attempt(path, () => replaceFile(target, notebookPieces(notebook)));
  const saveNow = async (notebook: Notebook): Promise<void> => save(notebook);
  return { begin: saveNow, save, finish: saveNow, release };
}

function stream(path: string, write: (pieces: Iterable<string>) => void): Destination {
  return {
    async begin() {},
    save() {},
    finish: async (notebook) => attempt(path, () => write(notebookPieces(notebook))),
    release() {},
  };
}

function toDevice(path: string, pieces: Iterable<string>): void {
  const file = openSync(path, "w");
  try {
    writePieces(file, pieces);
  } finally {
    closeSync(file);
  }
}

function writePieces(file: number, pieces: Iterable<string>): void {
  for (const piece of pieces) writeAll(file, piece);
}

/** Writes nothing, but would fail where a save would. */
function probe(target: string): void {
  const temporary = temporaryPath(target);
  closeSync(openNew(temporary));
  rmSync(temporary);
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ModalscopeError) throw error;
    throw new ModalscopeError(
      `Cannot write ${path === "-" ? "to standard output" : path}.`,
      describeFileError(error),
      "Choose an output that you may write to and that has room.",
      { cause: error },
    );
  }
}
