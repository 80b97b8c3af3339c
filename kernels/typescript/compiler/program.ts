import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import ts = require("typescript");

import { packageRoot } from "../../../lib/package-root.js";
import { kernelModule, kernelPackage } from "../kernel-packages.js";
import { joinedDeclarations, type Texts } from "./joined-declarations.js";

/** A language service over a notebook's cells: one virtual file each, in the notebook's folder. */
export interface CellProgram {
  readonly service: ts.LanguageService;
  /**
   * The path of the cell that is looked at now. It is always the same file, because TypeScript reuses
   * the rest of the program only while its roots stay; the cells that it imports come with it.
   */
  readonly current: string;
  /** Sets the current cell's text. */
  show(text: string): void;
  /** Sets the text of a file in the notebook's folder that is not on disk. */
  set(file: string, text: string): void;
}

/** Lenient on purpose, as tslab is: exploring code may leave types out and null unchecked. */
const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  customConditions: ["node"],
  lib: ["lib.es2023.d.ts"],
  types: ["node"],
  allowImportingTsExtensions: true,
  experimentalDecorators: true,
  esModuleInterop: true,
  resolveJsonModule: true,
  jsx: ts.JsxEmit.React,
  allowJs: true,
  skipLibCheck: true,
  noEmit: true,
};

/** Options for cells in the folder. */
export function compilerOptions(folder: string): ts.CompilerOptions {
  return { ...options, typeRoots: typeRoots(folder, packageRoot()) };
}

export function cellProgram(folder: string): CellProgram {
  const root = packageRoot();
  const virtual = new Map<string, { text: string; version: number }>();
  const snapshots = new Map<string, { version: string; snapshot: ts.IScriptSnapshot }>();
  const current = join(folder, "__cell__.ts");
  const globals = join(folder, "__globals__.d.ts");
  let version = 0;
  const settings = compilerOptions(folder);
  const resolutions = ts.createModuleResolutionCache(folder, (name) => name, settings);

  /** Files that may change while the notebook is open: all but installed packages. */
  const versionOf = (path: string): string => {
    const cell = virtual.get(path);
    if (cell !== undefined) return String(cell.version);
    if (path.includes("/node_modules/")) return "1";
    return String(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  };
  const node = nodeDeclarations(folder, settings);
  // Those in the snapshot are of the same files, unless the notebook's project has Node's declarations of its own.
  const joined =
    prepared !== undefined && (node === undefined || prepared.joined.has(node))
      ? prepared.joined
      : joinedDeclarations(settings.lib ?? [], node);
  const fileExists = (path: string): boolean => virtual.has(path) || ts.sys.fileExists(path);
  const readFile = (path: string): string | undefined =>
    virtual.get(path)?.text ?? joined.get(path) ?? ts.sys.readFile(path);

  const host: ts.LanguageServiceHost = {
    getScriptFileNames: () => [globals, current],
    getScriptVersion: versionOf,
    getProjectVersion: () => String(version),
    getScriptSnapshot(path) {
      const current = versionOf(path);
      const known = snapshots.get(path);
      if (known?.version === current) return known.snapshot;
      const text = fileExists(path) ? readFile(path) : undefined;
      if (text === undefined) return undefined;
      const snapshot = ts.ScriptSnapshot.fromString(text);
      snapshots.set(path, { version: current, snapshot });
      return snapshot;
    },
    getCurrentDirectory: () => folder,
    getCompilationSettings: () => settings,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists,
    readFile,
    directoryExists: (path) => path === folder || ts.sys.directoryExists(path),
    getDirectories: ts.sys.getDirectories,
    readDirectory: ts.sys.readDirectory,
    realpath: ts.sys.realpath,
    resolveModuleNameLiterals: (literals, containing) =>
      literals.map(({ text }) => resolve(text, containing)),
    // Not in the public type: without it the package.json files are read again for every cell.
    ...{ getModuleResolutionCache: () => resolutions },
  };

  function resolve(name: string, containing: string): ts.ResolvedModuleWithFailedLookupLocations {
    const cell = join(folder, name);
    if (name.startsWith("./") && virtual.has(cell)) {
      const extension = ts.Extension.Ts;
      return { resolvedModule: { resolvedFileName: cell, extension, isExternalLibraryImport: false } };
    }
    if (name.startsWith("file:")) return resolve(fileURLToPath(name), containing);
    const fromKernel = join(root, "__cell__.ts");
    const own = kernelModule(name);
    if (own !== undefined) return ts.resolveModuleName(own, fromKernel, settings, host);
    // Files near the notebook come and go; only packages are worth remembering.
    const cache = virtual.has(containing) && name.startsWith(".") ? undefined : resolutions;
    const found = ts.resolveModuleName(name, containing, settings, host, cache);
    if (found.resolvedModule !== undefined) return found;
    const fallback = kernelPackage.test(name)
      ? ts.resolveModuleName(name, fromKernel, settings, host)
      : found;
    // What is not there may be installed before the next cell.
    if (fallback.resolvedModule === undefined) resolutions.clear();
    return fallback;
  }

  const set = (path: string, text: string): void => {
    version++;
    virtual.set(path, { text, version });
  };
  set(globals, cellGlobals);
  set(current, "");
  return {
    service: ts.createLanguageService(host, keepingRegistry()),
    current,
    show: (text) => set(current, text),
    set: (file, text) => set(join(folder, file), text),
  };
}

/**
 * Keeps each file that was parsed. A cell that mentions nothing of a package leaves it out of the program; the next
 * one that does would read its hundreds of declaration files again. A process that was started from a snapshot has those of
 * the libraries already (snapshot-contents.cts).
 */
function keepingRegistry(): ts.DocumentRegistry {
  const registry = prepared?.documents ?? ts.createDocumentRegistry();
  registry.releaseDocument = () => {};
  registry.releaseDocumentWithKey = () => {};
  return registry;
}

/** What a process has that was started from a snapshot. */
interface Prepared {
  readonly documents: ts.DocumentRegistry;
  readonly joined: Texts;
}

const prepared = (globalThis as { [key: symbol]: unknown })[Symbol.for("modalscope.prepared")] as
  | Prepared
  | undefined;

/** Globals that the kernel gives every cell (see child/main.ts). */
const cellGlobals = `
/** Asks the person at the client for a line of text. Rejects where nobody can answer. */
declare function input(prompt?: string, password?: boolean): Promise<string>;
`;

/** The first file of Node's declarations. */
export function nodeDeclarations(folder: string, settings: ts.CompilerOptions): string | undefined {
  const containing = join(folder, "__types__.ts");
  return ts.resolveTypeReferenceDirective("node", containing, settings, ts.sys).resolvedTypeReferenceDirective
    ?.resolvedFileName;
}

/** Folders that may hold `@types/node`: in the notebook's project, else beside the kernel. */
function typeRoots(folder: string, root: string): string[] {
  const above: string[] = [];
  for (let at of [folder, root]) {
    for (;;) {
      above.push(join(at, "node_modules", "@types"));
      const parent = dirname(at);
      if (parent === at) break;
      at = parent;
    }
  }
  return above.filter((path) => ts.sys.directoryExists(join(path, "node")));
}
