import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { didYouMean, ModalscopeError } from "../errors.js";

const FOLDER = fileURLToPath(new URL("../../../data/studies", import.meta.url));

/**
 * The figures that a study's document reports, each with its place there: `data/studies/<name>.json`.
 * @throws ModalscopeError when there is no such study
 */
export function loadStudy<T = unknown>(name: string): T {
  const path = join(FOLDER, `${name}.json`);
  if (!existsSync(path)) {
    const known = readdirSync(FOLDER).map((file) => file.replace(/\.json$/, ""));
    throw new ModalscopeError(
      `There is no study "${name}".`,
      `There are ${known.join(", ")}.`,
      didYouMean(name, known),
    );
  }
  return JSON.parse(readFileSync(path, "utf8")) as T;
}
