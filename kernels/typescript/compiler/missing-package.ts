import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageRoot } from "../../../lib/package-root.js";

/** TypeScript's number for a module that it does not find. */
export const moduleNotFound = 2307;

const packageName = /^(@[\w.-]+\/)?[a-z0-9][\w.-]*/;

/**
 * Advice on an import that is not found: how to install its package, where the notebook's project does not have it.
 * @param folder the notebook's.
 */
export function adviceOnMissing(specifier: string, folder: string): string | undefined {
  const [name] = packageName.exec(specifier) ?? [];
  if (name === undefined || specifier.includes(":") || isInstalled(name, folder)) return undefined;
  const advice = `Install it in the notebook's project: npm install ${name}`;
  // One of its own packages is not in the registry.
  if (name !== "danfojs-node") return `${advice}.`;
  return `${advice}, with two overrides in package.json that ${join(packageRoot(), "environment.md")} names (Tables).`;
}

function isInstalled(name: string, folder: string): boolean {
  if (name === "modalscope") return true;
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, "node_modules", name))) return true;
    if (dirname(at) === at) return false;
  }
}
