/** Module hooks: TypeScript files near a notebook, and what they import of each other, run as they are. */
import type { LoadHook, ResolveHook } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { packageRoot } from "../../../lib/package-root.js";
import { kernelModule, kernelPackage } from "../kernel-packages.js";
import { isJson, isTypescript, nearbyFile, urlOfVersion } from "./nearby-files.js";
import { transpile } from "./transpile.js";

export const resolve: ResolveHook = async (specifier, context, next) => {
  const parent = context.parentURL?.startsWith("file:") ? fileURLToPath(context.parentURL) : undefined;
  if (parent === undefined || !isTypescript(parent)) return next(specifier, context);
  const file = nearbyFile(dirname(parent), specifier);
  if (file === undefined) return resolvePackage(specifier, context, next);
  if (isTypescript(file)) return { url: urlOfVersion(file), format: "module", shortCircuit: true };
  if (!isJson(file)) return next(pathToFileURL(file).href, context);
  return { url: urlOfVersion(file), format: "json", importAttributes: { type: "json" }, shortCircuit: true };
};

const resolvePackage: ResolveHook = async (specifier, context, next) => {
  const fromKernel = { ...context, parentURL: pathToFileURL(join(packageRoot(), "notebook.mjs")).href };
  const own = kernelModule(specifier);
  if (own !== undefined) return next(own, fromKernel);
  try {
    return await next(specifier, context);
  } catch (error) {
    if (!kernelPackage.test(specifier)) throw error;
    return next(specifier, fromKernel);
  }
};

export const load: LoadHook = async (url, context, next) => {
  const parsed = new URL(url);
  if (parsed.protocol !== "file:" || !isTypescript(parsed.pathname)) return next(url, context);
  return { format: "module", source: transpile(fileURLToPath(parsed), "esm"), shortCircuit: true };
};
