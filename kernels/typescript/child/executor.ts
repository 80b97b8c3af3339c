import vm from "node:vm";
import type { MimeBundle } from "../../protocol/index.js";
import { hasOwn, is, SafeMap } from "../intrinsics.js";
import { type Command, type CompiledCell, scopeSpecifier } from "../messages.js";
import { resultBundle } from "./display.js";
import { removeIndexTraps } from "./index-traps.js";
import type { Modules } from "./modules.js";
import { currentRun, type Run, resume } from "./runs.js";
import type { CellPositions } from "./stack.js";

export interface Executor {
  /** Runs a compiled cell; gives its last value as a MIME bundle, or undefined when it has none. */
  execute(command: Command & { type: "run" }): Promise<MimeBundle | undefined>;
  /** Names of the values that the last cell has set so far. */
  existing(): string[];
}

type CellFunction = (scope: object, require: NodeJS.Require, cell: CellRuntime) => unknown;

/** Functions that a compiled cell calls (see compiler/emit.ts). */
interface CellRuntime {
  module(specifier: string): unknown;
  import(specifier: string, attributes?: ImportCallOptions): Promise<unknown>;
  readonly meta: object;
  /** Before an `await`: the run to go on with after it. */
  run(): Run | undefined;
  resumed<T>(run: Run | undefined, value: T): T;
  /** Wraps the iterable of `for await`. */
  each<T>(items: AsyncIterable<T> | Iterable<T>): AsyncIterable<T>;
  result(value: unknown): void;
}

/** The notebook's top-level values. An instance of a class, because V8 keeps `Object.create(null)` in a slow form. */
class Scope {}
Object.setPrototypeOf(Scope.prototype, null);

export function createExecutor(modules: Modules, positions: CellPositions): Executor {
  const scope = new Scope() as Record<string, unknown>;
  let before = new SafeMap<string, unknown>();
  let running: CompiledCell | undefined;

  /** Keeps the values from before the cell, to find out which it has set. */
  function remember(cell: CompiledCell): void {
    running = cell;
    before = new SafeMap<string, unknown>();
    for (let i = 0; i < cell.declared.length; i++) {
      const name = cell.declared[i];
      if (hasOwn(scope, name)) before.set(name, scope[name]);
    }
  }

  async function loadImports(cell: CompiledCell, run: Run | undefined): Promise<Map<string, unknown>> {
    const loaded = new SafeMap<string, unknown>();
    loaded.set(scopeSpecifier, scope);
    for (let i = 0; i < cell.imports.length; i++) {
      const { specifier, names, attributes } = cell.imports[i];
      loaded.set(specifier, await modules.importNames(specifier, names, attributes));
      resume(run);
    }
    return loaded;
  }

  async function execute({ cell, code }: Command & { type: "run" }): Promise<MimeBundle | undefined> {
    remember(cell);
    positions.add(cell, code);
    const run = currentRun();
    const loaded = await loadImports(cell, run);
    let last: { value: unknown } | undefined;
    const runtime: CellRuntime = {
      module: (specifier) => loaded.get(specifier),
      import: (specifier, attributes) => modules.import(specifier, attributes?.with),
      meta: modules.meta,
      run: currentRun,
      resumed(run, value) {
        resume(run);
        return value;
      },
      each,
      result(value) {
        last = { value };
      },
    };
    try {
      const ended = compile(cell)(scope, modules.require, runtime);
      if (cell.awaits) {
        removeIndexTraps();
        await ended;
      }
    } finally {
      removeIndexTraps();
    }
    resume(run);
    if (last === undefined || last.value === undefined) return undefined;
    const bundle = await resultBundle(last.value);
    resume(run);
    return bundle;
  }

  function existing(): string[] {
    const declared = running?.declared ?? [];
    const found: string[] = [];
    for (let i = 0; i < declared.length; i++) {
      const name = declared[i];
      const changed = !before.has(name) || !is(before.get(name), scope[name]);
      if (hasOwn(scope, name) && changed) found[found.length] = name;
    }
    return found;
  }

  return { execute, existing };
}

async function* each<T>(items: AsyncIterable<T> | Iterable<T>): AsyncIterable<T> {
  const run = currentRun();
  for await (const item of items) {
    resume(run);
    yield item;
  }
}

const head = (async: boolean): string => `(${async ? "async " : ""}function (exports, require, __cell) {`;

function compile(cell: CompiledCell): CellFunction {
  const prefix = head(cell.awaits);
  // Without a prototype: Node reads further options, which cells may have put on `Object.prototype`.
  const options = { __proto__: null, filename: cell.name, columnOffset: -prefix.length };
  const script = new vm.Script(`${prefix}${cell.javascript}\n})`, options as vm.ScriptOptions);
  return script.runInThisContext() as CellFunction;
}
