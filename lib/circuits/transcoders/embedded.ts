/** Transcoders that come with the package. */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { didYouMean, ModalscopeError } from "../../errors.js";
import { packageRoot } from "../../package-root.js";
import { CONFIG_FILE } from "./config.js";

const folder = (): string => join(packageRoot(), "data/transcoders");

/**
 * Names of the embedded sets, `<checkpoint>/<set>`: what `readTranscoders` takes in the place of a folder.
 */
export function embeddedTranscoders(): string[] {
  if (!existsSync(folder())) return [];
  return readdirSync(folder()).flatMap((model) =>
    readdirSync(join(folder(), model))
      .filter((set) => existsSync(join(folder(), model, set, CONFIG_FILE)))
      .map((set) => `${model}/${set}`),
  );
}

/** The folder of a name or path. @throws ModalscopeError when there is neither */
export function transcoderFolder(nameOrPath: string): string {
  const embedded = embeddedTranscoders();
  if (embedded.includes(nameOrPath)) return join(folder(), nameOrPath);
  if (existsSync(nameOrPath)) return nameOrPath;
  throw new ModalscopeError(
    `No transcoders were found at "${nameOrPath}".`,
    `${resolve(nameOrPath)} does not exist, and embedded are ${embedded.join(", ") || "none here"}.`,
    didYouMean(nameOrPath, embedded),
  );
}
