/**
 * Runs once for a snapshot of V8's heap (`node --build-snapshot`; see snapshot.ts): reads TypeScript and the libraries'
 * declarations. A process that starts from the snapshot has them, and goes on with the script that it was started with.
 * This is one file, in CommonJS, because that is what Node can take a snapshot of.
 */
import fs = require("node:fs");
import nodeModule = require("node:module");
import path = require("node:path");
import v8 = require("node:v8");
import vm = require("node:vm");

import type ts = require("typescript");

interface SnapshotInput {
  /** Path of TypeScript's module. */
  readonly typescript: string;
  readonly options: ts.CompilerOptions;
  /** Folder of the text, and a text that imports what is to be read. */
  readonly folder: string;
  readonly text: string;
  /** Texts by path that stand for what is on the disk (joined-declarations.ts). */
  readonly joined: readonly (readonly [string, string])[];
}

const { typescript, options, folder, text, joined } = JSON.parse(
  fs.readFileSync(process.argv[2], "utf8"),
) as SnapshotInput;

const loaded = new nodeModule(typescript);
loaded.filename = typescript;
const load = vm.compileFunction(
  fs.readFileSync(typescript, "utf8"),
  ["module", "exports", "require", "__filename", "__dirname"],
  { filename: typescript },
);
load(loaded, loaded.exports, require, typescript, path.dirname(typescript));
loaded.loaded = true;
const compiler = loaded.exports as typeof ts;

const documents = compiler.createDocumentRegistry();
const sample = path.join(folder, "__snapshot__.ts");
const joinedTexts = new Map(joined);
const texts = new Map<string, string | undefined>([[sample, text], ...joined]);
const readFile = (file: string): string | undefined => {
  if (!texts.has(file)) texts.set(file, compiler.sys.readFile(file));
  return texts.get(file);
};
const service = compiler.createLanguageService(
  {
    getScriptFileNames: () => [sample],
    // As the compiler's own program has them (program.ts): a file that has changed since is read again.
    getScriptVersion: (file) =>
      file === sample || file.includes("/node_modules/")
        ? "1"
        : String(fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0),
    getScriptSnapshot(file) {
      const content = readFile(file);
      return content === undefined ? undefined : compiler.ScriptSnapshot.fromString(content);
    },
    getCurrentDirectory: () => folder,
    getCompilationSettings: () => options,
    getDefaultLibFileName: compiler.getDefaultLibFilePath,
    fileExists: (file) => file === sample || compiler.sys.fileExists(file),
    readFile,
    directoryExists: compiler.sys.directoryExists,
    getDirectories: compiler.sys.getDirectories,
    realpath: compiler.sys.realpath,
  },
  documents,
);
// The checker binds every file.
const problems = service.getSemanticDiagnostics(sample);
if (problems.length > 0)
  throw new Error(compiler.flattenDiagnosticMessageText(problems[0].messageText, "\n"));

v8.startupSnapshot.setDeserializeMainFunction(() => {
  const [, main] = process.argv;
  const requireFromMain = nodeModule.createRequire(main);
  requireFromMain.cache[typescript] = loaded;
  Object.defineProperty(globalThis, Symbol.for("modalscope.prepared"), {
    value: { documents, joined: joinedTexts },
  });
  requireFromMain(main);
});
