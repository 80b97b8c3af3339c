import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import vm from "node:vm";
import { packageRoot } from "../../../lib/package-root.js";
import { apply, defineProperties, getOwnPropertyDescriptors, SafeMap } from "../intrinsics.js";
import { kernelModule } from "../kernel-packages.js";
import { isTypescript, nearbyFile, urlOfVersion } from "./nearby-files.js";
import { transpile } from "./transpile.js";

interface LoadedModule {
  exports: unknown;
}

/** Modules by the URL of their version. */
const loaded = new SafeMap<string, LoadedModule>();

const requireFromKernel = createRequire(join(packageRoot(), "package.json"));

/** `require` as a file would call it, for TypeScript files too. */
export function requireFrom(filename: string): NodeJS.Require {
  const native = createRequire(filename);
  const require = (specifier: string): unknown => {
    const file = typeof specifier === "string" ? nearbyFile(dirname(filename), specifier) : undefined;
    if (file !== undefined && isTypescript(file)) return requireTypescript(file);
    const own = kernelModule(specifier);
    return own === undefined ? native(specifier) : requireFromKernel(own);
  };
  return defineProperties(require, getOwnPropertyDescriptors(native)) as NodeJS.Require;
}

function requireTypescript(path: string): unknown {
  const url = urlOfVersion(path);
  const known = loaded.get(url);
  if (known !== undefined) return known.exports;
  const module: LoadedModule = { exports: {} };
  const run = vm.compileFunction(
    transpile(path, "commonjs"),
    ["exports", "require", "module", "__filename", "__dirname"],
    { filename: path },
  );
  loaded.set(url, module);
  try {
    apply(run, module.exports, [module.exports, requireFrom(path), module, path, dirname(path)]);
  } catch (error) {
    loaded.delete(url);
    throw error;
  }
  return module.exports;
}
