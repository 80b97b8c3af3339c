import { createRequire, isBuiltin, register } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import vm from "node:vm";
import { MessageChannel } from "node:worker_threads";
import { packageRoot } from "../../../lib/package-root.js";
import { hasOwn, keys, NativeSyntaxError, regExpExec, stringIncludes, toObject } from "../intrinsics.js";
import { kernelModule, kernelPackage } from "../kernel-packages.js";
import { commonJsView, type Namespace } from "./interop.js";
import { isJson, isTypescript, nearbyFile, urlOfVersion } from "./nearby-files.js";
import { packageView } from "./package-imports.js";
import { requireFrom } from "./require.js";
import { answerNames } from "./star-exports.js";

type Attributes = Record<string, string>;

/** Imports as a module in the notebook's folder would make them. */
export interface Modules {
  import(specifier: string, attributes?: Attributes): Promise<Namespace>;
  /** Like `import`, and checks the names, as an import statement does. */
  importNames(specifier: string, names: readonly string[], attributes?: Attributes): Promise<Namespace>;
  readonly require: NodeJS.Require;
  readonly meta: { url: string; dirname: string; filename: string; resolve(specifier: string): string };
}

export function notebookModules(folder: string): Modules {
  const filename = join(folder, "notebook.mjs");
  const importFrom = importer(filename);
  const importFromKernel = importer(join(packageRoot(), "notebook.mjs"));
  const native = createRequire(filename);
  let typescriptFiles = false;

  /** Loads what the checker resolves the specifier to, which is more than Node does: files without extension, folders. */
  async function load(specifier: string, attributes?: Attributes): Promise<Namespace> {
    const file = nearbyFile(folder, specifier);
    if (file !== undefined) return loadFile(file, attributes);
    const own = kernelModule(specifier);
    if (own !== undefined) return importFromKernel(own);
    try {
      return await importFrom(specifier, attributes);
    } catch (error) {
      if (isMissingKernelPackage(error, specifier)) return importFromKernel(specifier, attributes);
      const found = isUnresolved(error) ? resolveCommonJs(specifier) : undefined;
      if (found === undefined) throw error;
      return loadFile(found, attributes);
    }
  }

  function loadFile(file: string, attributes?: Attributes): Promise<Namespace> {
    if (isJson(file)) return importFrom(urlOfVersion(file), attributes ?? { type: "json" });
    if (!isTypescript(file)) return importFrom(pathToFileURL(file).href, attributes);
    if (!typescriptFiles) registerHooks();
    typescriptFiles = true;
    return importFrom(urlOfVersion(file), attributes);
  }

  function registerHooks(): void {
    const { port1, port2 } = new MessageChannel();
    answerNames(port1, native);
    register(new URL("./typescript-files.js", import.meta.url), { data: port2, transferList: [port2] });
  }

  function resolveCommonJs(specifier: string): string | undefined {
    try {
      return native.resolve(specifier);
    } catch {
      // Then Node's first error is the one to show.
      return undefined;
    }
  }

  /** Node marks CommonJS namespaces from version 23 on; before, the module cache tells. */
  function isCommonJs(namespace: Namespace, specifier: string): boolean {
    if (!hasOwn(namespace, "default") || isBuiltin(specifier)) return false;
    if (hasOwn(namespace, "module.exports")) return true;
    const files = keys(native.cache);
    for (let i = 0; i < files.length; i++) {
      if (native.cache[files[i]]?.exports === namespace.default) return true;
    }
    return false;
  }

  function asChecked(namespace: Namespace, specifier: string): Namespace {
    return isJson(specifier) || isCommonJs(namespace, specifier) ? commonJsView(namespace) : namespace;
  }

  function checkNames(namespace: Namespace, specifier: string, names: readonly string[]): Namespace {
    for (let i = 0; i < names.length; i++) {
      if (!(names[i] in namespace))
        throw new NativeSyntaxError(`The module '${specifier}' has no export named '${names[i]}'.`);
    }
    return namespace;
  }

  const forFiles = (namespace: Namespace, specifier: string, names: readonly string[]): Namespace =>
    checkNames(asChecked(namespace, specifier), specifier, names);
  Object.defineProperty(globalThis, Symbol.for(packageView), { value: forFiles });

  async function importAny(specifier: string, attributes?: Attributes): Promise<Namespace> {
    const namespace = await load(specifier, attributes);
    return asChecked(namespace, specifier);
  }

  return {
    import: importAny,
    async importNames(specifier, names, attributes) {
      return checkNames(await importAny(specifier, attributes), specifier, names);
    },
    require: requireFrom(filename),
    meta: {
      url: pathToFileURL(filename).href,
      dirname: dirname(filename),
      filename,
      resolve: (specifier) => pathToFileURL(native.resolve(specifier)).href,
    },
  };
}

/** `import()` as code in the file would call it, by Node's own rules: self-reference, exports, ESM first. */
function importer(filename: string): (specifier: string, attributes?: Attributes) => Promise<Namespace> {
  return vm.runInThisContext(
    "(specifier, attributes) => import(specifier, attributes && { with: attributes })",
    { filename, importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER },
  );
}

/** True where one of the kernel's own packages, which resolve from anywhere, was not found. */
function isMissingKernelPackage(error: unknown, specifier: string): boolean {
  const name = regExpExec(kernelPackage, specifier)?.[1];
  const { code, message } = toObject(error) as { code?: string; message?: string };
  return name !== undefined && code === "ERR_MODULE_NOT_FOUND" && stringIncludes(message ?? "", `'${name}'`);
}

function isUnresolved(error: unknown): boolean {
  const { code } = toObject(error) as { code?: string };
  return code === "ERR_MODULE_NOT_FOUND" || code === "ERR_UNSUPPORTED_DIR_IMPORT";
}
