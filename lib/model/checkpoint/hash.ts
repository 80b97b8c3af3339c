import { createHash } from "node:crypto";
import { type OpenFile, readExactly } from "./files.js";
import type { StoredWeight } from "./store.js";

/** Files up to this size are hashed whole; of larger ones, samples of each weight. */
const wholeFileBytes = 64 * 2 ** 20;

/** Bytes of a sample: a weight is sampled at its start, middle and end. */
const sampleBytes = 4096;

/**
 * SHA-256 (hex) of a checkpoint's content. A fine-tuned model has the headers and sizes of its base, so the
 * data must count too; samples find any change that training makes, since that touches every row.
 * @param texts configuration files
 * @param headers each file with its header's bytes
 */
export function contentHash(
  texts: readonly string[],
  headers: readonly { readonly file: OpenFile; readonly header: Uint8Array }[],
  weights: Iterable<StoredWeight>,
): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${Buffer.byteLength(text)}\n${text}`);
  for (const { file, header } of headers) {
    hash.update(`${file.size}\n${header.byteLength}\n`);
    hash.update(header);
  }
  for (const { file } of headers) if (file.size <= wholeFileBytes) hashWhole(hash, file);
  for (const weight of weights) {
    if (weight.source.size > wholeFileBytes) {
      for (const sample of samples(weight)) hash.update(sample);
    }
  }
  return hash.digest("hex");
}

/** Bytes of a weight's start, middle and end, as stored. */
export function samples(weight: StoredWeight): Uint8Array[] {
  const length = Math.min(sampleBytes, weight.byteLength);
  const starts = new Set([0, Math.floor((weight.byteLength - length) / 2), weight.byteLength - length]);
  return [...starts].map((start) => {
    const bytes = new Uint8Array(length);
    readExactly(weight.source, bytes, weight.offset + start);
    return bytes;
  });
}

function hashWhole(hash: ReturnType<typeof createHash>, file: OpenFile): void {
  const piece = new Uint8Array(Math.min(file.size, 2 ** 20));
  for (let at = 0; at < file.size; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, file.size - at));
    readExactly(file, part, at);
    hash.update(part);
  }
}
