import { statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ModalscopeError } from "./errors.js";

/**
 * Where this package keeps what it can make again: `$MODALSCOPE_CACHE`, else `$XDG_CACHE_HOME/modalscope`, else
 * `~/.cache/modalscope`.
 */
export function cacheFolder(): string {
  const { MODALSCOPE_CACHE: own, XDG_CACHE_HOME: shared } = process.env;
  return own || join(shared || join(homedir(), ".cache"), "modalscope");
}

/**
 * Refuses a folder in which others could change a copy.
 * @throws ModalscopeError when it belongs to somebody else, or others may write to it
 */
export function checkPrivate(folder: string): void {
  // Windows has neither owners nor modes of this kind.
  const user = process.getuid?.();
  if (user === undefined) return;
  const stats = statSync(folder);
  if (stats.uid !== user) {
    throw new ModalscopeError(
      `The cache folder ${folder} belongs to another user (uid ${stats.uid}),`,
      "who could change what is read from it.",
      "Set MODALSCOPE_CACHE to a folder of your own.",
    );
  }
  if ((stats.mode & 0o022) !== 0) {
    throw new ModalscopeError(
      `Other users may write to the cache folder ${folder},`,
      "and could change what is read from it.",
      `Run: chmod go-w ${folder}`,
    );
  }
}
