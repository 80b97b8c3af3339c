import { ModalscopeError } from "../../../errors.js";
import { isObject, type OpenFile, openFile, readExactly, repeatedKey } from "../files.js";
import { byteLengthOf, isSafetensorsDtype, layouts, type WeightDtype } from "../numbers/dtypes.js";

/** Location of one tensor in a safetensors file. */
export interface SafetensorsEntry {
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** The header of a safetensors file: free-form metadata and the tensors by name, in file order. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
}

/** Cap on the header's size, as in the reference implementation. */
const mostHeaderBytes = 100_000_000;

/**
 * Tensors of this prefix only fill the gaps that alignment leaves, since the format allows none:
 * `writeSafetensors` writes them, and readers here leave them out.
 */
export const paddingPrefix = "__padding__/";

/**
 * Reads and checks the header of a safetensors file; the tensors' data are not touched.
 *
 * The rules are those of the format's reference implementation: tensors follow each other without gap or
 * overlap and end with the file; each takes as many bytes as its shape and dtype say; no name comes twice.
 * @throws ModalscopeError when any of that does not hold, before memory is taken for the claimed sizes.
 */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  const file = openFile(path);
  try {
    return readHeader(file);
  } finally {
    file.close();
  }
}

/** As `readSafetensorsHeader`, on a file that is open already. */
export function readHeader(file: OpenFile): SafetensorsHeader {
  const { dataStart, text } = headerText(file);
  const json = parseHeader(file, text);
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = checkMetadata(file, value);
    else tensors.set(name, checkEntry(file, name, value, dataStart));
  }
  const ordered = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);
  checkNoGaps(file, ordered, dataStart);
  return {
    metadata,
    tensors: new Map(ordered.filter(([name]) => !name.startsWith(paddingPrefix))),
  };
}

/** The header's bytes as they lie in the file, its length included: what identifies the layout. */
export function headerBytes(file: OpenFile): Uint8Array {
  const length = headerLength(file);
  const bytes = new Uint8Array(8 + length);
  readExactly(file, bytes, 0);
  return bytes;
}

function headerLength(file: OpenFile): number {
  if (file.size < 8) throw broken(file, `it has ${file.size} bytes, and the header's length alone takes 8.`);
  const start = new Uint8Array(8);
  readExactly(file, start, 0);
  const view = new DataView(start.buffer);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > mostHeaderBytes) {
    throw broken(
      file,
      `its header claims ${length} bytes, more than the ${mostHeaderBytes} that the format allows.`,
    );
  }
  if (8 + length > file.size) {
    throw broken(file, `its header claims ${length} bytes, but the file has only ${file.size}.`);
  }
  return length;
}

function headerText(file: OpenFile): { text: string; dataStart: number } {
  const bytes = headerBytes(file);
  try {
    return {
      text: new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8)),
      dataStart: bytes.byteLength,
    };
  } catch (error) {
    throw broken(file, "its header is not UTF-8 text.", error);
  }
}

function parseHeader(file: OpenFile, text: string): Record<string, unknown> {
  if (!text.startsWith("{")) throw broken(file, "its header does not start with '{'.");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw broken(file, `its header is not valid JSON: ${(error as Error).message}.`, error);
  }
  const repeated = repeatedKey(text);
  if (repeated !== undefined) throw broken(file, `its header holds the name "${repeated}" twice.`);
  return json as Record<string, unknown>; // it starts with a brace, so it is an object
}

function checkMetadata(file: OpenFile, value: unknown): Record<string, string> {
  if (!isObject(value) || !Object.values(value).every((v) => typeof v === "string")) {
    throw broken(file, "its __metadata__ is not a map from text to text.");
  }
  return value as Record<string, string>;
}

function checkEntry(file: OpenFile, name: string, value: unknown, dataStart: number): SafetensorsEntry {
  const bad = (why: string): ModalscopeError => broken(file, `tensor "${name}" ${why}`);
  if (!isObject(value)) throw bad("is not described by an object.");
  const { dtype, shape, data_offsets: range } = value;
  if (typeof dtype !== "string" || !isSafetensorsDtype(dtype)) {
    const known = Object.keys(layouts).filter(isSafetensorsDtype).join(", ");
    throw bad(`has the unknown dtype ${brief(dtype)}; known: ${known}.`);
  }
  if (!isCounts(shape)) throw bad(`has the shape ${brief(shape)}, not a list of counts.`);
  if (!isCounts(range) || range.length !== 2 || range[0] > range[1]) {
    throw bad(`has the data_offsets ${brief(range)}, not a start and an end.`);
  }
  const byteLength = byteLengthOf(dtype, shape);
  if (byteLength !== range[1] - range[0]) {
    throw bad(`takes ${range[1] - range[0]} bytes, but ${dtype} (${shape.join(", ")}) needs ${byteLength}.`);
  }
  if (dataStart + range[1] > file.size) {
    throw bad(`ends at byte ${dataStart + range[1]}, past the file's end at ${file.size}.`);
  }
  return { dtype, shape, offset: dataStart + range[0], byteLength };
}

function checkNoGaps(
  file: OpenFile,
  ordered: readonly (readonly [string, SafetensorsEntry])[],
  dataStart: number,
): void {
  let end = dataStart;
  for (const [name, entry] of ordered) {
    if (entry.offset !== end) {
      const what = entry.offset < end ? "overlaps the tensor before it" : "leaves a gap before it";
      throw broken(file, `tensor "${name}" ${what}: it starts at byte ${entry.offset}, not ${end}.`);
    }
    end += entry.byteLength;
  }
  if (end !== file.size) {
    throw broken(file, `its tensors end at byte ${end}, but the file has ${file.size}.`);
  }
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** A value as JSON, cut to what fits in a message. */
function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function broken(file: OpenFile, why: string, cause?: unknown): ModalscopeError {
  return new ModalscopeError(
    `${file.path} is not a sound safetensors file:`,
    why,
    "Download or copy it again.",
    cause === undefined ? undefined : { cause },
  );
}
