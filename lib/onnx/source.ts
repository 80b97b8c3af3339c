import { closeSync, openSync, readSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { ModalscopeError } from "../errors.js";

/** Bytes that can be looked at in place: a file's, through a window, or an array's. */
export interface Source {
  /** Name in error messages. */
  readonly label: string;
  readonly size: number;
  byte(at: number): number;
  /** The bytes at `start … end`; they may be overwritten by the next call. */
  bytes(start: number, end: number): Uint8Array;
  /** Advice when the bytes are recognised as something other than ONNX; "" otherwise. */
  hint(): string;
}

/** Origin of a model, and the folders that may hold its side files. */
export interface Origin {
  readonly label: string;
  /** The model file itself, links resolved; undefined for bytes in memory. */
  readonly file?: string;
  /** Folders in which side files are looked for, in this order. */
  readonly folders: readonly string[];
  /** The folder, links resolved, that no side file may lie outside of; undefined when there is none. */
  readonly root?: string;
  /** Calls `use` with the bytes, which are there until it returns. */
  read<T>(use: (source: Source) => T): T;
}

/** The model at a path. A link's target folder counts as its own too: model caches keep their files behind links. */
export function fileOrigin(path: string): Origin {
  const stat = statOf(path);
  const file = realpathSync(path);
  const root = dirname(file);
  return {
    label: path,
    file,
    folders: [...new Set([dirname(path), root])],
    root,
    read(use) {
      const { size } = unchanged(path, stat);
      const fd = openSync(file, "r");
      try {
        return use(new FileBytes(fd, path, size));
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** A model in memory; its side files, if any, lie in `folder`. */
export function bytesOrigin(bytes: Uint8Array, folder: string | undefined): Origin {
  const root = folder === undefined ? undefined : realpathSync(folder);
  const source = new ArrayBytes(bytes);
  return {
    label: source.label,
    folders: root === undefined ? [] : [root],
    root,
    read: (use) => use(source),
  };
}

function statOf(path: string): Stats {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new ModalscopeError(`There is no file ${path}.`, "", "Give the path of an .onnx file.");
  }
  if (!stat.isFile()) {
    throw new ModalscopeError(`${path} is not a file.`, "", "Give the path of an .onnx file.");
  }
  return stat;
}

function unchanged(path: string, before: Stats): Stats {
  const now = statOf(path);
  if (now.size !== before.size || now.mtimeMs !== before.mtimeMs) {
    throw new ModalscopeError(`${path} has changed since it was opened.`, "", "Open it again.");
  }
  return now;
}

const windowSize = 1 << 16;

/** A file seen through one window, so that a model of two gigabytes is scanned in 64 KB. */
class FileBytes implements Source {
  private readonly window: Uint8Array = new Uint8Array(windowSize);
  private from = 0;
  private to = 0;

  constructor(
    private readonly fd: number,
    readonly label: string,
    readonly size: number,
  ) {}

  byte(at: number): number {
    if (at < this.from || at >= this.to) this.load(at);
    return this.window[at - this.from];
  }

  bytes(start: number, end: number): Uint8Array {
    if (end - start > windowSize) {
      const own = new Uint8Array(end - start);
      this.fill(own, start);
      return own;
    }
    if (start < this.from || end > this.to) this.load(start);
    return this.window.subarray(start - this.from, end - this.from);
  }

  hint(): string {
    return hintFrom(this.bytes(0, Math.min(64, this.size)));
  }

  private load(at: number): void {
    const length = Math.min(windowSize, this.size - at);
    this.fill(this.window.subarray(0, length), at);
    this.from = at;
    this.to = at + length;
  }

  private fill(target: Uint8Array, at: number): void {
    for (let done = 0; done < target.length; ) {
      const read = readSync(this.fd, target, done, target.length - done, at + done);
      if (read === 0) {
        throw new ModalscopeError(`${this.label} ended while it was being read.`, "", "Open it again.");
      }
      done += read;
    }
  }
}

class ArrayBytes implements Source {
  readonly label: string = "The model in memory";
  readonly size: number;
  constructor(private readonly array: Uint8Array) {
    this.size = array.length;
  }
  byte(at: number): number {
    return this.array[at];
  }
  bytes(start: number, end: number): Uint8Array {
    return this.array.subarray(start, end);
  }
  hint(): string {
    return hintFrom(this.array.subarray(0, 64));
  }
}

function hintFrom(head: Uint8Array): string {
  const start = Buffer.from(head).toString("latin1");
  if (start === "") return "The file is empty: get it again.";
  if (start.startsWith("version https://git-lfs"))
    return "It is a Git LFS pointer, not the file: run `git lfs pull`.";
  if (start.slice(4, 8) === "ORTM")
    return "It is in onnxruntime's own .ort format: take the .onnx file it was made from.";
  if (start.startsWith("PK\x03\x04"))
    return "It is a zip archive, perhaps a PyTorch checkpoint: export it to ONNX.";
  if (/^\s*[{<]/.test(start)) return "It is a text file (JSON or HTML), perhaps a failed download.";
  return "";
}
