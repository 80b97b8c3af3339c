import { ModalscopeError } from "../errors.js";
import type { Source } from "./source.js";

/**
 * Protobuf's wire format, walked in place.
 *
 * A whole decode is not used to read ONNX files, for three reasons: it drops the fields that its schema does
 * not know (a later ONNX's function attributes and overloads, so that a rewritten model would mean something
 * else), it turns packed numbers into arrays of objects many times their size, and it needs the weights in
 * memory. Walking costs nothing for what is skipped, and every length is checked against its parent's end.
 */
export interface Field {
  readonly number: number;
  readonly wire: number;
  /** Position at which the field's tag begins. */
  readonly at: number;
  /** Position at which its content begins: after the tag, and after the length where there is one. */
  readonly start: number;
  readonly end: number;
  /** A varint's value as a signed 64-bit integer (rounded beyond 2^53); 0 for other wire types. */
  readonly value: number;
}

export const VARINT = 0;
const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;

/** A stretch of bytes in the source. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * The fields of the message that lies at `start … end`, in order.
 * @throws ModalscopeError at the first byte that cannot be protobuf.
 */
export function* fields(source: Source, start: number, end: number): Generator<Field> {
  const cursor = new Cursor(source, start, end);
  while (cursor.pos < end) {
    const at = cursor.pos;
    const tag = cursor.varint();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (!(number >= 1 && number < 2 ** 29)) throw damaged(source, at, `${number} is no field number`);
    if (wire === VARINT) {
      const from = cursor.pos;
      const value = cursor.varint();
      yield { number, wire, at, start: from, end: cursor.pos, value };
    } else if (wire === BYTES || wire === FIXED64 || wire === FIXED32) {
      const length = wire === BYTES ? cursor.varint() : wire === FIXED64 ? 8 : 4;
      const from = cursor.pos;
      if (!(length >= 0 && length <= end - from)) {
        throw damaged(source, at, `a field says it is ${length} bytes long where ${end - from} are left`);
      }
      cursor.pos = from + length;
      yield { number, wire, at, start: from, end: cursor.pos, value: 0 };
    } else {
      throw damaged(source, at, `${wire} is no wire type that ONNX uses`);
    }
  }
}

/** The integers of a repeated field, whether it was written packed or one by one; `limit` bounds their count. */
export function integers(source: Source, field: Field, limit: number, into: number[]): void {
  if (field.wire === VARINT) into.push(field.value);
  else {
    expectBytes(source, field);
    const cursor = new Cursor(source, field.start, field.end);
    while (cursor.pos < field.end && into.length <= limit) into.push(cursor.varint());
  }
  if (into.length > limit) throw damaged(source, field.at, `more than ${limit} dimensions`);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const longestName = 65_536;

/** A string field: a name, never a payload, so its length has a limit. */
export function text(source: Source, field: Field): string {
  expectBytes(source, field);
  const length = field.end - field.start;
  if (length > longestName) throw damaged(source, field.at, `a name ${length} bytes long`);
  try {
    return utf8.decode(source.bytes(field.start, field.end));
  } catch {
    throw damaged(source, field.at, "a name that is not UTF-8 text");
  }
}

/** Checks that the field holds a message, a string or bytes. */
export function expectBytes(source: Source, field: Field): void {
  if (field.wire !== BYTES)
    throw damaged(source, field.at, `field ${field.number} has wire type ${field.wire}`);
}

/** Checks that the field holds an integer, and gives it. */
export function integer(source: Source, field: Field): number {
  if (field.wire !== VARINT)
    throw damaged(source, field.at, `field ${field.number} has wire type ${field.wire}`);
  return field.value;
}

/** The error for bytes that cannot be an ONNX model. */
export function damaged(source: Source, at: number, found: string): ModalscopeError {
  return new ModalscopeError(
    `${source.label} is not an ONNX model that can be read.`,
    `At byte ${at} of ${source.size}: ${found}.`,
    source.hint() || "The file is cut short, damaged, or of another format: get it again.",
  );
}

class Cursor {
  constructor(
    private readonly source: Source,
    public pos: number,
    private readonly end: number,
  ) {}

  /** The next varint as a signed 64-bit integer. */
  varint(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      if (this.pos >= this.end) throw damaged(this.source, this.pos, "the bytes end inside a number");
      const byte = this.source.byte(this.pos++);
      if (i >= 7) return this.longVarint(value, byte);
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) return value;
    }
    return value;
  }

  /** The rest of a varint that a double cannot count up: `low` holds its first 49 bits. */
  private longVarint(low: number, first: number): number {
    let value = BigInt(low);
    let byte = first;
    for (let i = 7; i < 10; i++) {
      value |= BigInt(byte & 127) << BigInt(7 * i);
      if (byte < 128) return Number(BigInt.asIntN(64, value));
      if (this.pos >= this.end) break;
      byte = this.source.byte(this.pos++);
    }
    throw damaged(this.source, this.pos, "a number longer than 64 bits");
  }
}
