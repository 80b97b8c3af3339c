import { realpathSync } from "node:fs";
import { dirname, relative, sep } from "node:path";

/** Files that the runtime maps, as it is to be told of them. */
export interface MappedFiles {
  readonly folder: string;
  /** A file's path from the folder. */
  locationOf(file: string): string;
}

/**
 * Finds the folder that all files lie in. The runtime refuses a link that leads out of its folder, and in Hugging Face's
 * cache every file is one: so links are followed first.
 */
export function mappedFiles(files: Iterable<string>): MappedFiles {
  const real = new Map([...new Set(files)].map((file) => [file, realpathSync(file)]));
  const folder = [...real.values()].map((file) => dirname(file)).reduce(commonFolder);
  return { folder, locationOf: (file) => relative(folder, real.get(file)!).split(sep).join("/") };
}

function commonFolder(a: string, b: string): string {
  let folder = a;
  while (folder !== b && !b.startsWith(folder.endsWith(sep) ? folder : folder + sep))
    folder = dirname(folder);
  return folder;
}
