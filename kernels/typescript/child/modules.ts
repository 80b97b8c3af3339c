import { existsSync, statSync } from "node:fs";
import { createRequire, register } from "node:module";
import { dirname, extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import vm from "node:vm";
import { packageRoot } from "../../../lib/package-root.js";

type Namespace = Record<string, unknown>;

/** Imports as a module in the notebook's folder would make them. */
export interface Modules {
  import(specifier: string, attributes?: ImportCallOptions): Promise<Namespace>;
  /** The same, and sure to have the names, as an import statement is. */
  importNames(specifier: string, names: readonly string[]): Promise<Namespace>;
  readonly require: NodeJS.Require;
  readonly meta: { url: string; dirname: string; filename: string; resolve(specifier: string): string };
}

export function notebookModules(folder: string): Modules {
  const filename = join(folder, "notebook.mjs");
  const importFrom = importer(filename);
  const importFromKernel = importer(join(packageRoot(), "notebook.mjs"));
  const require = createRequire(filename);
  let typescriptFiles = false;

  async function load(specifier: string, attributes?: ImportCallOptions): Promise<Namespace> {
    const file = typescriptFile(folder, specifier);
    if (file !== undefined) {
      if (!typescriptFiles) register(new URL("./typescript-files.js", import.meta.url));
      typescriptFiles = true;
      // A file that was edited since is another module; the cell that imports it again sees the new one.
      return importFrom(`${pathToFileURL(file).href}?changed=${statSync(file).mtimeMs}`, attributes);
    }
    try {
      return await importFrom(specifier, attributes);
    } catch (error) {
      if (!isMissing(error, specifier)) throw error;
      return importFromKernel(specifier, attributes);
    }
  }

  async function loadKnown(specifier: string, attributes?: ImportCallOptions): Promise<Namespace> {
    const namespace = await load(specifier, attributes);
    if (specifier === "tslab") await connectTslab();
    return namespace;
  }

  return {
    import: loadKnown,
    async importNames(specifier, names) {
      const namespace = await loadKnown(specifier);
      const missing = names.filter((name) => !(name in namespace));
      if (missing.length === 0) return namespace;
      // Node finds a CommonJS module's names by reading it; what it does not find is still there.
      const whole = namespace.default;
      if (Object(whole) === whole && missing.every((name) => name in (whole as object))) {
        return new Proxy(namespace, {
          get: (target, name) =>
            name in target ? target[name as string] : (whole as Namespace)[name as string],
        });
      }
      throw new SyntaxError(`The module '${specifier}' has no export named '${missing[0]}'.`);
    },
    require,
    meta: {
      url: pathToFileURL(filename).href,
      dirname: folder,
      filename,
      resolve: (specifier) => pathToFileURL(require.resolve(specifier)).href,
    },
  };
}

/** `import()` as code in the file would call it, by Node's own rules: self-reference, exports, ESM first. */
function importer(
  filename: string,
): (specifier: string, attributes?: ImportCallOptions) => Promise<Namespace> {
  return vm.runInThisContext("(specifier, attributes) => import(specifier, attributes)", {
    filename,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

/** The kernel's own packages are found from anywhere; others are not. */
function isMissing(error: unknown, specifier: string): boolean {
  const name = /^(modalscope|tslab)($|\/)/.exec(specifier)?.[1];
  const { code, message } = error as { code?: string; message?: string };
  return name !== undefined && code === "ERR_MODULE_NOT_FOUND" && (message ?? "").includes(`'${name}'`);
}

/** A TypeScript file near the notebook that the specifier means, as the compiler finds it. */
function typescriptFile(folder: string, specifier: string): string | undefined {
  if (!/^\.{0,2}\//.test(specifier)) return undefined;
  const path = resolve(folder, specifier);
  const candidates = [path, path.replace(/\.(m?)js$/, ".$1ts"), `${path}.ts`, join(path, "index.ts")];
  const isFile = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
  const found = candidates.find(isFile);
  return found !== undefined && /\.[mc]?tsx?$/.test(extname(found)) ? found : undefined;
}

/** Lets notebooks written for tslab show things: its `display` ends in this kernel's. */
async function connectTslab(): Promise<void> {
  const from = createRequire(join(packageRoot(), "package.json"));
  const inside = dirname(from.resolve("tslab"));
  if (!existsSync(join(inside, "jupyter.js"))) return;
  const jupyter = from(join(inside, "jupyter.js")) as { lastWriteDisplayData: unknown };
  jupyter.lastWriteDisplayData = (
    { data, transient }: { data: Record<string, unknown>; transient: { display_id?: string } },
    update: boolean,
  ): void => {
    const display = (globalThis as unknown as Record<symbol, Display>)[Symbol.for("modalscope.display")];
    if (update && transient.display_id !== undefined) display.update(transient.display_id, data);
    else display.display(data, { displayId: transient.display_id });
  };
}

interface Display {
  display(bundle: Record<string, unknown>, options?: { displayId?: string }): void;
  update(displayId: string, bundle: Record<string, unknown>): void;
}
