/** Paths and helpers that these tests share. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../../../test/fixtures/weights/", import.meta.url));

/** A file of test/fixtures/weights; see make.py there. */
export function fixture(name: string): string {
  return join(folder, name);
}

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "modalscope-weights-"));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The numbers' bytes: equal bytes are equal down to the sign of zero and the payload of NaN. */
export function bytesOf(x: Float32Array): Buffer {
  return Buffer.from(x.buffer, x.byteOffset, x.byteLength);
}
