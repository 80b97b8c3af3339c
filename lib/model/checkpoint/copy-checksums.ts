/** Checksums of the float32 copy: made as it is written, compared when a process first opens it. */
import { read as readAsync, type Stats } from "node:fs";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import type { TaskOptions } from "../../progress.js";
import type { OpenFile } from "./files.js";
import type { StoredWeight } from "./store.js";

/** Metadata entry that holds them: the CRC-32 of each weight in hexadecimal, in the order of the weights' names. */
const ENTRY = "crc32";
const DIGITS = 8;

/** CRC-32 of each weight, which is an order of magnitude faster than SHA-256 and as good against what is not malice. */
export class Checksums {
  private readonly values: Map<string, number>;

  constructor(private readonly names: readonly string[]) {
    this.values = new Map(names.map((name) => [name, 0]));
  }

  /** Adds bytes that follow those added to the same weight before. */
  add(name: string, bytes: Uint8Array): void {
    this.values.set(name, crc32(bytes, this.values.get(name)!));
  }

  /** As an entry of the file's metadata, whose length does not depend on the values. */
  metadata(): Record<string, string> {
    const sorted = [...this.names].sort();
    return {
      [ENTRY]: sorted.map((name) => this.values.get(name)!.toString(16).padStart(DIGITS, "0")).join(""),
    };
  }
}

const promisedRead = promisify(readAsync);

/** Bytes read at a time: large enough for the disk's speed, and another task's turn comes between two. */
const CHUNK = 2 ** 24;

/** Copies that this process has compared, with what told that they are the same file as before. */
const compared = new Map<string, string>();

/**
 * Whether every weight of a copy has the bytes that were written. Compared once by a process, and again when the file's
 * times, size or inode changed.
 */
export async function isIntact(
  file: OpenFile,
  stats: Stats,
  metadata: Readonly<Record<string, string>>,
  weights: ReadonlyMap<string, StoredWeight>,
  { onProgress, signal }: TaskOptions = {},
): Promise<boolean> {
  const state = `${stats.ino} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs}`;
  if (compared.get(file.path) === state) return true;
  const checksums = new Checksums([...weights.keys()]);
  const buffer = new Uint8Array(Math.min(CHUNK, stats.size));
  const stored = [...weights.values()].sort((a, b) => a.offset - b.offset);
  const total = stored.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let done = 0;
  for (const { name, offset, byteLength } of stored) {
    for (let at = 0; at < byteLength; ) {
      signal?.throwIfAborted();
      const want = Math.min(buffer.length, byteLength - at);
      const { bytesRead } = await promisedRead(file.fd, buffer, 0, want, offset + at);
      if (bytesRead === 0) return false;
      checksums.add(name, buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
    done += byteLength;
    onProgress?.(done, total, "Checking the float32 copy");
  }
  if (checksums.metadata()[ENTRY] !== metadata[ENTRY]) return false;
  compared.set(file.path, state);
  return true;
}
