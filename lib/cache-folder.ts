import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where this package keeps what it can make again: `$MODALSCOPE_CACHE`, else `$XDG_CACHE_HOME/modalscope`, else
 * `~/.cache/modalscope`.
 */
export function cacheFolder(): string {
  const { MODALSCOPE_CACHE: own, XDG_CACHE_HOME: shared } = process.env;
  return own || join(shared || join(homedir(), ".cache"), "modalscope");
}
