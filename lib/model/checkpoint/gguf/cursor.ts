import { ModalscopeError } from "../../../errors.js";
import { type OpenFile, readExactly } from "../files.js";

/** Reads a file from its start on, piece by piece; every length is checked against what is left of the file. */
export interface Cursor {
  readonly path: string;
  readonly size: number;
  readonly position: number;
  /** An unsigned 32-bit integer. */
  u32(what: string): number;
  /** An unsigned 64-bit integer that is exact as a number. */
  u64(what: string): number;
  /** A 64-bit count of things of at least `smallest` bytes each: so many must still fit the file. */
  count(what: string, smallest: number): number;
  /** A UTF-8 string after its 64-bit length. */
  string(what: string): string;
  /** `count` of them. */
  strings(count: number, what: string): string[];
  /** Passes over `count` of them. */
  skipStrings(count: number, what: string): void;
  numbers<T>(type: NumbersOf<T>, length: number): T;
  /** The error for a file that breaks the format's rules. */
  broken(why: string): ModalscopeError;
}

/** The constructor of a typed array over a whole buffer. */
export interface NumbersOf<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): T;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A character that no text uses (U+FFFF), in UTF-8. */
const separator = Uint8Array.of(0xef, 0xbf, 0xbf);

/** Bytes read ahead at once. */
const windowBytes = 2 ** 20;

export function cursorOf(file: OpenFile): Cursor {
  const window = Buffer.alloc(Math.min(windowBytes, file.size));
  let windowStart = 0;
  let windowEnd = 0;
  let position = 0;

  const broken = (why: string, cause?: unknown): ModalscopeError =>
    new ModalscopeError(`${file.path} is not a sound GGUF file:`, why, "Download or copy it again.", {
      cause,
    });

  /** Makes the next `length` bytes, at most a window, readable; returns where they start in the window. */
  const advance = (length: number, what: string): number => {
    if (position + length > file.size) throw broken(`it ends within ${what}.`);
    if (position + length > windowEnd) {
      const fill = Math.min(window.length, file.size - position);
      readExactly(file, window.subarray(0, fill), position);
      windowStart = position;
      windowEnd = position + fill;
    }
    const at = position - windowStart;
    position += length;
    return at;
  };

  /** A copy of the next `length` bytes, however many. */
  const take = (length: number, what: string): Uint8Array<ArrayBuffer> => {
    if (position + length > file.size) throw broken(`it ends within ${what}.`);
    const bytes = new Uint8Array(length);
    if (length <= window.length) bytes.set(window.subarray(advance(length, what)).subarray(0, length));
    else {
      readExactly(file, bytes, position);
      position += length;
    }
    return bytes;
  };

  const decode = (bytes: Uint8Array, what: string): string => {
    try {
      return utf8.decode(bytes);
    } catch (error) {
      throw broken(`${what} is not UTF-8 text.`, error);
    }
  };

  /** Strings at `ends`, a separator after each, decoded at once. */
  const splitBatch = (batch: Uint8Array, used: number, ends: readonly number[], what: string): string[] => {
    const texts = decode(batch.subarray(0, used), what).split("\uffff");
    texts.pop();
    if (texts.length === ends.length) return texts;
    // One of them holds the separator itself.
    return ends.map((end, i) =>
      decode(batch.subarray(i === 0 ? 0 : ends[i - 1] + separator.length, end), what),
    );
  };

  const u64 = (what: string): number => {
    const at = advance(8, what);
    const value = window.readUInt32LE(at) + window.readUInt32LE(at + 4) * 2 ** 32;
    if (!Number.isSafeInteger(value)) throw broken(`${what} is ${value}.`);
    return value;
  };

  const count = (what: string, smallest: number): number => {
    const n = u64(what);
    if (n * smallest > file.size - position) {
      throw broken(`it claims ${n} ${what}, more than its ${file.size} bytes can hold.`);
    }
    return n;
  };

  return {
    path: file.path,
    size: file.size,
    get position() {
      return position;
    },
    u32: (what) => window.readUInt32LE(advance(4, what)),
    u64,
    count,
    string: (what) => decode(take(count(what, 1), what), what),
    strings(many, what) {
      // A vocabulary has some 300,000 strings: decoding them one by one takes ten times as long as in batches.
      const batch = new Uint8Array(window.length);
      const out: string[] = [];
      let ends: number[] = [];
      let used = 0;
      const flush = (): void => {
        for (const text of splitBatch(batch, used, ends, what)) out.push(text);
        ends = [];
        used = 0;
      };
      for (let i = 0; i < many; i++) {
        const length = count(what, 1);
        if (used + length + separator.length > batch.length) flush();
        if (length + separator.length > batch.length) {
          out.push(decode(take(length, what), what));
          continue;
        }
        const at = advance(length, what);
        for (let j = 0; j < length; j++) batch[used + j] = window[at + j];
        used += length;
        ends.push(used);
        for (const byte of separator) batch[used++] = byte;
      }
      flush();
      return out;
    },
    skipStrings(many, what) {
      for (let i = 0; i < many; i++) {
        const length = count(what, 1); // which moves on by itself
        position += length;
      }
    },
    numbers(type, length) {
      return new type(take(length * type.BYTES_PER_ELEMENT, "numbers").buffer);
    },
    broken,
  };
}
