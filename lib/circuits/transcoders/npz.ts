/** NumPy's .npz: a ZIP archive of arrays. What Gemma Scope's transcoders are saved in. */
import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { ModalscopeError } from "../../errors.js";
import { describeFileError } from "../../file-errors.js";
import { sizeOf, type Tensor } from "../../tensor.js";

const [END, ENTRY, LOCAL] = [0x06054b50, 0x02014b50, 0x04034b50];
const END_BYTES = 22;
/** A length or offset of this value stands in a ZIP64 field instead. */
const ELSEWHERE = 0xffffffff;
const MOST_BYTES = 2 ** 31;

/**
 * Reads the arrays of an .npz file as float32.
 * @throws ModalscopeError when it cannot be read, is damaged or cut off, or holds arrays that are no
 *   numbers of float type
 */
export function readNpz(path: string): Map<string, Tensor> {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (cause) {
    throw new ModalscopeError(`${path} cannot be read.`, describeFileError(cause), "", { cause });
  }
  try {
    return new Map(
      entriesOf(file).map(({ name, bytes }) => [name.replace(/\.npy$/, ""), arrayOf(name, bytes)]),
    );
  } catch (cause) {
    const reason = cause instanceof RangeError ? "it is cut off or damaged." : (cause as Error).message;
    throw new ModalscopeError(`${path} is not a sound .npz file:`, reason, "Download or copy it again.", {
      cause,
    });
  }
}

interface Entry {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * By the directory at the archive's end (PKWARE's APPNOTE 4.3). Reads outside the file throw a RangeError.
 */
function entriesOf(file: Buffer): Entry[] {
  let end = file.length - END_BYTES;
  while (end >= 0 && file.readUInt32LE(end) !== END) end--;
  if (end < 0) throw new Error("it has no directory: it is cut off, or no archive.");
  let at = file.readUInt32LE(end + 16);
  return Array.from({ length: file.readUInt16LE(end + 10) }, () => {
    if (file.readUInt32LE(at) !== ENTRY) throw new Error("its directory is damaged.");
    const [packed, size] = [file.readUInt32LE(at + 20), file.readUInt32LE(at + 24)];
    const [nameLength, extra, comment] = [28, 30, 32].map((i) => file.readUInt16LE(at + i));
    const name = file.toString("utf8", at + 46, at + 46 + nameLength);
    const local = file.readUInt32LE(at + 42);
    if ([packed, size, local].includes(ELSEWHERE)) throw new Error("it is larger than 4 GB.");
    const bytes = contentOf(file, { method: file.readUInt16LE(at + 10), local, packed, size });
    at += 46 + nameLength + extra + comment;
    return { name, bytes };
  });
}

interface Stored {
  readonly method: number;
  readonly local: number;
  readonly packed: number;
  readonly size: number;
}

function contentOf(file: Buffer, { method, local, packed, size }: Stored): Buffer {
  if (file.readUInt32LE(local) !== LOCAL) throw new Error("its directory points to no entry.");
  const start = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
  const content = file.subarray(start, start + packed);
  if (content.length !== packed || size > MOST_BYTES) throw new RangeError("outside the file");
  if (method === 0) return content;
  if (method === 8) return inflateRawSync(content, { maxOutputLength: size });
  throw new Error(`it is packed by ZIP's method ${method}, which NumPy does not write.`);
}

const TYPES: ReadonlyMap<string, { readonly bytes: number; read(view: DataView, at: number): number }> =
  new Map([
    ["<f4", { bytes: 4, read: (view: DataView, at: number) => view.getFloat32(at, true) }],
    ["<f8", { bytes: 8, read: (view: DataView, at: number) => view.getFloat64(at, true) }],
  ]);

/**
 * An array in NumPy's format (numpy.lib.format, versions 1 to 3): magic, version, a header as a Python
 * literal, the data.
 */
function arrayOf(name: string, bytes: Buffer): Tensor {
  if (bytes.toString("latin1", 0, 6) !== "\x93NUMPY") throw new Error(`its "${name}" is no array.`);
  const wide = bytes[6] > 1;
  const start = wide ? 12 : 10;
  const length = wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", start, start + length);
  const descr = /'descr': '([^']*)'/.exec(header)?.[1] ?? "";
  const dims = /'shape': \(([\d, ]*)\)/.exec(header)?.[1];
  const type = TYPES.get(descr);
  if (!type || dims === undefined || !header.includes("'fortran_order': False"))
    throw new Error(
      `its "${name}" has the header ${header.slice(0, 80).trim()}; only <f4 and <f8 in C order are read.`,
    );
  const shape = dims.split(",").flatMap((d) => (d.trim() === "" ? [] : [Number(d)]));
  const size = sizeOf(shape);
  const at = start + length;
  if (bytes.length !== at + size * type.bytes) throw new RangeError("outside the file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { shape, data: Float32Array.from({ length: size }, (_, i) => type.read(view, at + i * type.bytes)) };
}
