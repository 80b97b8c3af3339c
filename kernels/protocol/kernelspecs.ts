import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { didYouMean, ModalscopeError } from "../../lib/errors.js";
import { makeFolder } from "../../lib/folder.js";

export interface KernelPlace {
  /** The folder above share/jupyter; the user's own data folder when neither is given. */
  prefix?: string;
  sysPrefix?: boolean;
  name: string;
}

const kernelMain = fileURLToPath(new URL("../typescript/main.js", import.meta.url));

/** Writes the kernelspec and gives its folder. */
export function installKernel(options: KernelPlace & { displayName?: string }): string {
  const folder = specFolder(options);
  makeFolder(folder);
  const spec = {
    argv: [process.execPath, join(folder, launcherName), kernelMain, "{connection_file}"],
    display_name: options.displayName ?? "TypeScript (modalscope)",
    language: "typescript",
    interrupt_mode: "message",
    metadata: { debugger: false },
  };
  writeFileSync(join(folder, "kernel.json"), `${JSON.stringify(spec, null, 2)}\n`);
  writeFileSync(join(folder, launcherName), launcher);
  return folder;
}

const launcherName = "launch.mjs";

/** Script in the kernelspec that reports when the package has moved or is not built. */
const launcher = `// Starts modalscope's kernel. Written by "modalscope kernel install".
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
const [main] = process.argv.splice(2, 1);
if (!existsSync(main)) {
  process.stderr.write(
    "modalscope's kernel is not at " + main + ": the package was moved, removed or not built. " +
    "Run \\"npx modalscope kernel install\\" again where it is now.\\n",
  );
  process.exit(1);
}
await import(pathToFileURL(main).href);
`;

/** Removes the kernelspec and gives the folder that it was in. */
export function uninstallKernel(options: KernelPlace): string {
  const folder = specFolder(options);
  if (!existsSync(join(folder, "kernel.json"))) {
    const known = listKernels().map((kernel) => kernel.name);
    throw new ModalscopeError(
      `There is no kernel "${options.name}" to remove.`,
      `${folder} does not exist.`,
      didYouMean(options.name, known) || 'See "modalscope kernel list".',
    );
  }
  if (!existsSync(join(folder, launcherName))) {
    throw new ModalscopeError(
      `The kernel "${options.name}" is not modalscope's.`,
      `${folder} was written by another program.`,
      "Remove it with `jupyter kernelspec remove`.",
    );
  }
  rmSync(folder, { recursive: true });
  return folder;
}

export interface InstalledKernel {
  name: string;
  folder: string;
  /** True where `installKernel` wrote it. */
  ours: boolean;
  /** "ok", or the problem. */
  state: string;
}

/** Kernels that Jupyter finds; of those with the same name the first in its search order. */
export function listKernels(): InstalledKernel[] {
  const found = new Map<string, InstalledKernel>();
  for (const data of dataFolders()) {
    const kernels = join(data, "kernels");
    if (!existsSync(kernels)) continue;
    for (const name of readdirSync(kernels).sort()) {
      const folder = join(kernels, name);
      if (!found.has(name) && existsSync(join(folder, "kernel.json"))) {
        const ours = existsSync(join(folder, launcherName));
        found.set(name, { name, folder, ours, state: stateOf(folder) });
      }
    }
  }
  return [...found.values()];
}

function stateOf(folder: string): string {
  let argv: string[];
  try {
    ({ argv } = JSON.parse(readFileSync(join(folder, "kernel.json"), "utf8")) as { argv: string[] });
  } catch (error) {
    return `unreadable: ${(error as Error).message}`;
  }
  if (!existsSync(join(folder, launcherName))) return "ok";
  const missing = [argv[0], argv[2]].find((path) => !existsSync(path));
  return missing === undefined ? "ok" : `broken: ${missing} is gone; install it again`;
}

function specFolder({ prefix, sysPrefix, name }: KernelPlace): string {
  if (!/^[a-z0-9._-]+$/i.test(name)) {
    throw new ModalscopeError(
      `"${name}" cannot be a kernel's name.`,
      "Jupyter allows letters, digits, . _ and -.",
    );
  }
  return join(prefix !== undefined || sysPrefix ? prefixData(prefix) : userData(), "kernels", name);
}

function prefixData(prefix: string | undefined): string {
  const folder = prefix ?? process.env.VIRTUAL_ENV ?? process.env.CONDA_PREFIX;
  if (folder === undefined) {
    throw new ModalscopeError(
      "No Python environment is active.",
      "Neither VIRTUAL_ENV nor CONDA_PREFIX is set.",
      "Activate it, or name its folder with --prefix.",
    );
  }
  return join(resolve(folder), "share", "jupyter");
}

/** Jupyter's data folder of the user, by jupyter_core's rules. */
function userData(): string {
  if (process.env.JUPYTER_DATA_DIR) return process.env.JUPYTER_DATA_DIR;
  if (process.platform === "darwin") return join(homedir(), "Library", "Jupyter");
  if (process.platform === "win32")
    return join(process.env.APPDATA ?? join(homedir(), "AppData", "Roaming"), "jupyter");
  return join(process.env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "jupyter");
}

/** Jupyter's data folders, in its search order. */
function dataFolders(): string[] {
  const environment = process.env.VIRTUAL_ENV ?? process.env.CONDA_PREFIX;
  return [
    ...(process.env.JUPYTER_PATH?.split(delimiter).filter(Boolean) ?? []),
    userData(),
    ...(environment === undefined ? [] : [join(environment, "share", "jupyter")]),
    ...(process.platform === "win32" ? [] : ["/usr/local/share/jupyter", "/usr/share/jupyter"]),
  ];
}
