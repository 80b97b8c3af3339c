import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ModalscopeError } from "./errors.js";

/** Folder of modalscope's own package.json. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder);
    if (parent === folder) {
      throw new ModalscopeError(
        "No package.json lies above the kernel.",
        `The kernel's files are in ${dirname(fileURLToPath(import.meta.url))}.`,
        "Install the package again.",
      );
    }
    folder = parent;
  }
  return folder;
}

/** Folder of the models that come with the package. */
export const embeddedFolder = (): string => join(packageRoot(), "data", "models");

/** Version of this package. */
export function packageVersion(): string {
  return manifest().version;
}

/** Names under which the package can be imported: "modalscope", "modalscope/analysis" and the other subpaths. */
export function packageEntries(): string[] {
  const { name, exports } = manifest();
  const subpaths = Object.keys(exports).filter((path) => !path.endsWith(".json"));
  return subpaths.map((path) => name + path.slice(1));
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as Manifest;
}
