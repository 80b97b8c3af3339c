import { createRequire } from "node:module";
import type yaml from "yaml";

/** The package yaml, loaded when it is first asked for: its files are a quarter of those that the command would start with. */
export function loadYaml(): typeof yaml {
  return createRequire(import.meta.url)("yaml") as typeof yaml;
}
