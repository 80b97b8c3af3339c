import vm from "node:vm";
import type { MimeBundle } from "../../protocol/outputs.js";
import { type Command, type CompiledCell, scopeSpecifier } from "../messages.js";
import { resultBundle } from "./display.js";
import type { Modules } from "./modules.js";
import { currentRun, type Run, resume } from "./runs.js";
import type { CellPositions } from "./stack.js";

export interface Executor {
  /** Runs a compiled cell; gives its last value as a MIME bundle, or undefined when it has none. */
  execute(command: Command & { type: "run" }): Promise<MimeBundle | undefined>;
  /** Which values the cell that ran last has declared so far. */
  existing(): string[];
  /** The hooks of the models that it has declared, for completion. */
  hooks(): string[];
}

type CellFunction = (scope: object, require: NodeJS.Require, cell: CellRuntime) => unknown;

/** What a compiled cell calls (see compiler/emit.ts). */
interface CellRuntime {
  module(specifier: string): unknown;
  import(specifier: string, attributes?: ImportCallOptions): Promise<unknown>;
  readonly meta: object;
  /** Before an `await`: the run to go on with after it. */
  run(): Run | undefined;
  resumed<T>(run: Run | undefined, value: T): T;
  /** What `for await` goes over. */
  each<T>(items: AsyncIterable<T> | Iterable<T>): AsyncIterable<T>;
  result(value: unknown): void;
}

/** The notebook's top-level values. An instance of a class, because V8 keeps `Object.create(null)` in a slow form. */
class Scope {}
Object.setPrototypeOf(Scope.prototype, null);

export function createExecutor(modules: Modules, positions: CellPositions): Executor {
  const scope = new Scope() as Record<string, unknown>;
  let before = new Map<string, unknown>();
  let running: CompiledCell | undefined;

  async function execute({ cell, code }: Command & { type: "run" }): Promise<MimeBundle | undefined> {
    running = cell;
    before = new Map(
      cell.declared.filter((name) => Object.hasOwn(scope, name)).map((name) => [name, scope[name]]),
    );
    positions.add(cell, code);
    const loaded = new Map<string, unknown>([[scopeSpecifier, scope]]);
    const run = currentRun();
    for (const { specifier, names } of cell.imports) {
      loaded.set(specifier, await modules.importNames(specifier, names));
      resume(run);
    }
    let last: { value: unknown } | undefined;
    const runtime: CellRuntime = {
      module: (specifier) => loaded.get(specifier),
      import: (specifier, attributes) => modules.import(specifier, attributes),
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
    const ended = compile(cell)(scope, modules.require, runtime);
    if (cell.awaits) await ended;
    resume(run);
    return last === undefined || last.value === undefined ? undefined : resultBundle(last.value);
  }

  return {
    execute,
    existing: () =>
      (running?.declared ?? []).filter(
        (name) =>
          Object.hasOwn(scope, name) && !(before.has(name) && Object.is(before.get(name), scope[name])),
      ),
    hooks: () => (running?.declared ?? []).flatMap((name) => hooksOf(scope[name])),
  };
}

/** By the name of its class: to load the library here only for completion would cost a second. */
function hooksOf(value: unknown): string[] {
  if (!(value instanceof Object) || value.constructor?.name !== "Model") return [];
  const { hooks } = value as { hooks?: unknown };
  return Array.isArray(hooks) ? hooks.filter((hook) => typeof hook === "string") : [];
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
  const script = new vm.Script(`${prefix}${cell.javascript}\n})`, {
    filename: cell.name,
    columnOffset: -prefix.length,
  });
  return script.runInThisContext() as CellFunction;
}
