import { renameSync, writeFileSync } from "node:fs";
import { ModalscopeError } from "./errors.js";
import { describeFileError } from "./file-errors.js";

/**
 * Writes a text file that appears whole or not at all.
 * @throws ModalscopeError when it cannot be written
 */
export function writeWhole(path: string, text: string): void {
  try {
    writeFileSync(`${path}.tmp`, text);
    renameSync(`${path}.tmp`, path);
  } catch (cause) {
    throw new ModalscopeError(`Cannot write ${path}.`, describeFileError(cause), "", { cause });
  }
}
