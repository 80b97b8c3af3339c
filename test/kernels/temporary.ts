import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";

/** A folder with these files, removed after the tests of this file. */
export function temporaryFolder(files: Record<string, string> = {}): string {
  // A space in the path: kernels and notebooks must work there too.
  const folder = mkdtempSync(join(tmpdir(), "modalscope test "));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
