/** Module hooks: TypeScript files near a notebook, and what they import of each other, run as they are. */
import type { InitializeHook, LoadHook, ResolveHook } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { MessagePort } from "node:worker_threads";
import { packageRoot } from "../../../lib/package-root.js";
import { kernelModule, kernelPackage } from "../kernel-packages.js";
import { isJson, isTypescript, nearbyFile, urlOfVersion } from "./nearby-files.js";
import { starSpecifier } from "./package-imports.js";
import { nameAsker, starSource, starUrl } from "./star-exports.js";
import { transpile } from "./transpile.js";

let askNames: ReturnType<typeof nameAsker>;

/** @param port leads to {@link answerNames} */
export const initialize: InitializeHook<MessagePort> = (port) => {
  askNames = nameAsker(port);
};

export const resolve: ResolveHook = async (specifier, context, next) => {
  const parent = context.parentURL?.startsWith("file:") ? fileURLToPath(context.parentURL) : undefined;
  if (parent === undefined || !isTypescript(parent)) return next(specifier, context);
  if (!specifier.startsWith(starSpecifier)) return resolveFrom(parent, specifier, context, next);
  const all = await resolveFrom(parent, specifier.slice(starSpecifier.length), context, next);
  if (!all.url.startsWith("file:") || isTypescript(new URL(all.url).pathname) || all.format === "json")
    return all;
  return { url: starUrl + all.url, format: "module", shortCircuit: true };
};

async function resolveFrom(
  parent: string,
  ...[specifier, context, next]: Parameters<ResolveHook>
): Promise<Awaited<ReturnType<ResolveHook>>> {
  const file = nearbyFile(dirname(parent), specifier);
  if (file === undefined) return resolvePackage(specifier, context, next);
  if (isTypescript(file)) return { url: urlOfVersion(file), format: "module", shortCircuit: true };
  if (!isJson(file)) return next(pathToFileURL(file).href, context);
  return { url: urlOfVersion(file), format: "json", importAttributes: { type: "json" }, shortCircuit: true };
}

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
  if (url.startsWith(starUrl)) {
    const source = await allExports(url.slice(starUrl.length), context, next);
    return { format: "module", source, shortCircuit: true };
  }
  const parsed = new URL(url);
  if (parsed.protocol !== "file:" || !isTypescript(parsed.pathname)) return next(url, context);
  return { format: "module", source: transpile(fileURLToPath(parsed), "esm"), shortCircuit: true };
};

async function allExports(...[url, context, next]: Parameters<LoadHook>): Promise<string> {
  const { format } = await next(url, { ...context, format: undefined });
  const names = format === "commonjs" ? await askNames(url) : undefined;
  return names === undefined ? `export * from ${JSON.stringify(url)};` : starSource(url, names);
}
