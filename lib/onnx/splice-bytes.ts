import type { Source } from "./source.js";
import { BYTES, type Field, fields, type Span } from "./wire.js";

/** Replacement of a whole field; with `start` = `end` = a field's start, an insertion before it. */
export interface Change extends Span {
  readonly put: readonly Uint8Array[];
  /** Keeps the field, with the changes inside of it, and puts the new ones behind it. */
  readonly behind?: boolean;
}

type Piece = Span | Uint8Array;

/**
 * A copy of the message at `span` with fields replaced, at any depth; the lengths of the messages around them
 * follow. Everything else stays byte for byte, whatever version of ONNX wrote it.
 */
export function splice(source: Source, span: Span, changes: readonly Change[]): Uint8Array {
  const sorted = [...changes].sort((a, b) => a.start - b.start || a.end - b.end);
  const pieces = spliced(source, span, sorted);
  const bytes = new Uint8Array(sizeOfPieces(pieces));
  let at = 0;
  for (const piece of pieces) {
    const part = piece instanceof Uint8Array ? piece : source.bytes(piece.start, piece.end);
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The pieces of the new message; `changes` are in order and lie in the span. */
function spliced(source: Source, span: Span, changes: readonly Change[]): Piece[] {
  const pieces: Piece[] = [];
  let copied = span.start;
  let next = 0;
  const copyTo = (end: number): void => {
    if (end > copied) pieces.push({ start: copied, end });
    copied = end;
  };
  for (const field of fields(source, span.start, span.end)) {
    if (next === changes.length) break;
    const behind: Uint8Array[] = [];
    for (; next < changes.length && changes[next].start === field.at; next++) {
      const change = changes[next];
      if (change.behind) for (const bytes of change.put) behind.push(bytes);
      else {
        copyTo(field.at);
        for (const bytes of change.put) pieces.push(bytes);
        copied = change.end;
      }
    }
    const first = next;
    while (next < changes.length && changes[next].start < field.end) next++;
    if (next > first) {
      const inner = spliced(source, { start: field.start, end: field.end }, changes.slice(first, next));
      copyTo(field.at);
      pieces.push(header(field, sizeOfPieces(inner)));
      for (const piece of inner) pieces.push(piece);
      copied = field.end;
    }
    if (behind.length > 0) {
      copyTo(field.end);
      for (const bytes of behind) pieces.push(bytes);
    }
  }
  if (next < changes.length) throw new RangeError(`No field begins at byte ${changes[next].start}.`);
  copyTo(span.end);
  return pieces;
}

function sizeOfPieces(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + ("length" in piece ? piece.length : piece.end - piece.start), 0);
}

function header(field: Field, length: number): Uint8Array {
  return Uint8Array.from([...varint(field.number * 8 + BYTES), ...varint(length)]);
}

/** A length-delimited field: a message's bytes, or text. */
export function encodeField(number: number, content: Uint8Array | string): Uint8Array {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const head = [...varint(number * 8 + BYTES), ...varint(bytes.length)];
  const out = new Uint8Array(head.length + bytes.length);
  out.set(head);
  out.set(bytes, head.length);
  return out;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}
