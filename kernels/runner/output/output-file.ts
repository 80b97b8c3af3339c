import { closeSync, existsSync, openSync, realpathSync, rmSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ModalscopeError } from "../../../lib/errors.js";
import { describeFileError } from "../../../lib/file-errors.js";
import { makeFolder } from "../../../lib/folder.js";
import type { Notebook } from "../notebook/notebook.js";
import { lockOutput } from "./lock.js";
import { notebookText, replaceFile, temporaryPath, writeAll } from "./write.js";

/** Where a run's notebook goes. */
export interface OutputFile {
  /** Brings the file up to date; what can be written only once, as standard output, waits for `finish`. */
  save(notebook: Notebook): void;
  /** The last save. */
  finish(notebook: Notebook): void;
  /** Lets other runs write to it. */
  release(): void;
}

/**
 * Makes the output's folder, sees that it can be written to, and keeps other runs from it, before any work is done.
 * What lies there is not touched before the first `save`.
 * @param path a file, or `-` for standard output
 * @throws ModalscopeError when it cannot be written, or another run is writing it.
 */
export function openOutput(path: string): OutputFile {
  if (path === "-") return stream(path, (text) => writeAll(1, text));
  const existing = existsSync(path) ? statSync(path) : undefined;
  // Such as /dev/null or a pipe: no other file may take its place.
  if (existing !== undefined && !existing.isFile() && !existing.isDirectory()) {
    return stream(path, (text) => toDevice(path, text));
  }
  // What a link names is replaced, and not the link.
  const target = existing === undefined ? resolve(path) : realpathSync(path);
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
  const save = (notebook: Notebook): void => attempt(path, () => replaceFile(target, notebookText(notebook)));
  return { save, finish: save, release };
}

function stream(path: string, write: (text: string) => void): OutputFile {
  return {
    save() {},
    finish: (notebook) => attempt(path, () => write(notebookText(notebook))),
    release() {},
  };
}

function toDevice(path: string, text: string): void {
  const file = openSync(path, "w");
  try {
    writeAll(file, text);
  } finally {
    closeSync(file);
  }
}

/** Writes nothing, but would fail where a save would. */
function probe(target: string): void {
  const temporary = temporaryPath(target);
  closeSync(openSync(temporary, "w"));
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
