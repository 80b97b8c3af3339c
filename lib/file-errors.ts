import { own } from "./own.js";

const troubles: Readonly<Record<string, string>> = {
  EACCES: "You may not do that there.",
  EISDIR: "It is a folder.",
  ENOENT: "There is no such file or folder.",
  ENOSPC: "There is no room left on the disk.",
  ENOTDIR: "A part of its path is a file.",
  EROFS: "It can only be read there.",
};

/** Reason why a file cannot be read or written, in words. */
export function describeFileError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return own(troubles, code ?? "") ?? `${message}.`;
}
