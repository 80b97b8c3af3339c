import { ModalscopeError } from "./errors.js";
import { describeFileError } from "./file-errors.js";
import { replaceFile } from "./replace-file.js";

/**
 * Writes a text file that appears whole or not at all; where the path is a link, what it names.
 * @throws ModalscopeError when it cannot be written
 */
export function writeWhole(path: string, text: string): void {
  try {
    replaceFile(path, [text]);
  } catch (cause) {
    throw new ModalscopeError(`Cannot write ${path}.`, describeFileError(cause), "", { cause });
  }
}
