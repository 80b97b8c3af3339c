import { closeSync, fstatSync, openSync, readFileSync, readSync, type Stats, statSync } from "node:fs";
import { ModalscopeError } from "../../errors.js";

/** A file held open for reading at any position. */
export interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly size: number;
  /** Whether `close` was called. */
  readonly closed: boolean;
  close(): void;
}

/**
 * Opens a regular file.
 * @throws ModalscopeError when it does not exist, cannot be read or is not a file.
 */
export function openFile(path: string): OpenFile {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw cannotRead(path, error);
  }
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    closeSync(fd);
    throw new ModalscopeError(`${path} is not a file.`);
  }
  if (stat.size < mostPointerBytes && isLfsPointer(readFileSync(fd, "utf8"))) {
    closeSync(fd);
    throw lfsPointer(path);
  }
  let closed = false;
  return {
    path,
    fd,
    size: stat.size,
    get closed() {
      return closed;
    },
    close() {
      if (!closed) closeSync(fd);
      closed = true;
    },
  };
}

/**
 * Fills `into` with the file's bytes from `position` on.
 * @throws ModalscopeError when the file ends before, or was closed.
 */
export function readExactly(file: OpenFile, into: Uint8Array, position: number): void {
  if (file.closed) {
    throw new ModalscopeError(`${file.path} cannot be read:`, "its checkpoint was closed.", "Load it again.");
  }
  const most = 2 ** 30; // a single read takes less than 2 GiB
  let done = 0;
  while (done < into.byteLength) {
    const want = Math.min(most, into.byteLength - done);
    const got = readSync(file.fd, into, done, want, position + done);
    if (got === 0) {
      throw new ModalscopeError(
        `${file.path} ended at byte ${position + done}`,
        `while ${into.byteLength - done} more were to be read: it is cut off, or was changed while open.`,
        "Download or copy it again.",
      );
    }
    done += got;
  }
}

/**
 * Stats of what is at `path`; undefined when nothing is.
 * @throws ModalscopeError when it cannot be determined.
 */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ENOTDIR: a part of the path is a file, so nothing lies beyond it.
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw cannotRead(path, error);
  }
}

/** Whether a regular file lies at `path`. */
export function isFile(path: string): boolean {
  return statOf(path)?.isFile() ?? false;
}

/** Largest JSON file that is read at all: tokenizers of large vocabularies take some 30 MB. */
const mostJsonBytes = 256 * 2 ** 20;

/**
 * Reads a JSON file that holds an object.
 * @throws ModalscopeError when it is missing, too large, not JSON or not an object.
 */
export function readJsonObject(path: string): Record<string, unknown> {
  const text = readText(path);
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new ModalscopeError(
      `${path} is not valid JSON:`,
      `${(error as Error).message}.`,
      "Download or copy it again.",
      { cause: error },
    );
  }
  if (!isObject(value)) throw new ModalscopeError(`${path} should hold a JSON object, and does not.`);
  return value;
}

/** JSON as Python writes it, too: with NaN and Infinity, which JavaScript's own parser does not take. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    let isPython = false;
    const plain = text.replace(/"(?:[^"\\]|\\.)*"|NaN|Infinity/g, (token) => {
      if (token.startsWith('"')) return token;
      isPython = true;
      return token === "NaN" ? JSON.stringify(notANumber) : "1e999";
    });
    if (!isPython) throw error;
    return JSON.parse(plain, (_, value: unknown) => (value === notANumber ? Number.NaN : value));
  }
}

/** Stands for NaN between two parsers. */
const notANumber = "\u0000NaN";

/** Reads a text file of a sane size. */
export function readText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > mostJsonBytes) {
      throw new ModalscopeError(`${path} has ${size} bytes,`, `more than the ${mostJsonBytes} allowed here.`);
    }
    const text = readFileSync(path, "utf8");
    if (isLfsPointer(text)) throw lfsPointer(path);
    // Editors of Windows put a byte order mark before it.
    return text.startsWith("\uFEFF") ? text.slice(1) : text;
  } catch (error) {
    throw error instanceof ModalscopeError ? error : cannotRead(path, error);
  }
}

const mostPointerBytes = 1024;

/** Whether it is what Git leaves of a large file where Git LFS was not installed. */
function isLfsPointer(text: string): boolean {
  return text.startsWith("version https://git-lfs.github.com/");
}

function lfsPointer(path: string): ModalscopeError {
  return new ModalscopeError(
    `${path} is not the file itself, but Git LFS' pointer to it.`,
    "Its repository was cloned without large files.",
    "Run git lfs pull in its folder, or download the file.",
  );
}

/** Whether `value` is a JSON object, not an array and not null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function cannotRead(path: string, error: unknown): ModalscopeError {
  return new ModalscopeError(`${path} cannot be read:`, `${(error as Error).message}.`, "", { cause: error });
}

/**
 * The first key that stands twice in one object of a JSON text, or undefined. `JSON.parse` keeps the last
 * of them without a word, which would hide a damaged or crafted file.
 * @param text valid JSON: call `JSON.parse` first.
 */
export function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  let i = 0;
  while (i < text.length) {
    const char = text[i];
    if (char === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      const end = ++i;
      while (isSpace(text[i])) i++;
      if (text[i] !== ":") continue;
      const key = JSON.parse(text.slice(start, end)) as string;
      const keys = open[open.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    } else {
      // Arrays need no entry: keys only stand directly inside the innermost open object.
      if (char === "{") open.push(new Set());
      else if (char === "}") open.pop();
      i++;
    }
  }
  return undefined;
}

function isSpace(char: string): boolean {
  return char === " " || char === "\n" || char === "\t" || char === "\r";
}
