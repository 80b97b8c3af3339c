/**
 * A seal on the views that this library makes for a user, with a key that only the user can read, as Jupyter signs
 * the notebooks that its user has run: a notebook from elsewhere cannot pass its scripts off as such a view.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../../folder.js";

/** The seal of a view's document; undefined where this user's key can be neither read nor made. */
export function sealOf(document: string): string | undefined {
  const key = viewKey();
  return key === undefined ? undefined : createHmac("sha256", key).update(document).digest("hex");
}

/** Whether this user's key sealed the document. */
export function isSealed(document: string, seal: string | null): boolean {
  const expected = sealOf(document);
  if (expected === undefined || seal?.length !== expected.length) return false;
  return timingSafeEqual(Buffer.from(expected), Buffer.from(seal.replace(/[^0-9a-f]/g, "-")));
}

const keyBytes = 32;
let known: Buffer | undefined;

function viewKey(): Buffer | undefined {
  known ??= readKey() ?? makeKey();
  return known;
}

function keyFolder(): string {
  return join(process.env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "modalscope");
}

function readKey(): Buffer | undefined {
  try {
    const key = readFileSync(join(keyFolder(), "view.key"));
    return key.length === keyBytes ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Made under a name of its own first, so that of several processes all use the one that came first. */
function makeKey(): Buffer | undefined {
  const path = join(keyFolder(), "view.key");
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    makeFolder(keyFolder());
    writeFileSync(draft, randomBytes(keyBytes), { mode: 0o600, flag: "wx" });
    linkSync(draft, path);
  } catch {
    // Another process has made it, or this user has no place for it.
  }
  rmSync(draft, { force: true });
  return readKey();
}
