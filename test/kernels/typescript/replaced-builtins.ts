import assert from "node:assert/strict";
import { seeded } from "../../../lib/random.js";
import { openCells } from "./cells.js";

/** Objects whose functions cells can reach, and the names of the global values that they can replace. */
const holders: Record<string, object> = {
  Object: Object,
  "Object.prototype": Object.prototype,
  "Function.prototype": Function.prototype,
  Array: Array,
  "Array.prototype": Array.prototype,
  String: String,
  "String.prototype": String.prototype,
  "Number.prototype": Number.prototype,
  Math: Math,
  JSON: JSON,
  Reflect: Reflect,
  Atomics: Atomics,
  Promise: Promise,
  "Promise.prototype": Promise.prototype,
  "Map.prototype": Map.prototype,
  "Set.prototype": Set.prototype,
  "WeakMap.prototype": WeakMap.prototype,
  "RegExp.prototype": RegExp.prototype,
  Error: Error,
  "Error.prototype": Error.prototype,
  Symbol: Symbol,
  Uint8Array: Uint8Array,
  "Uint8Array.prototype": Uint8Array.prototype,
  "Object.getPrototypeOf(Uint8Array.prototype)": Object.getPrototypeOf(Uint8Array.prototype),
  "Object.getPrototypeOf([][Symbol.iterator]())": Object.getPrototypeOf([][Symbol.iterator]()),
  Buffer: Buffer,
  "Buffer.prototype": Buffer.prototype,
  "TextEncoder.prototype": TextEncoder.prototype,
  "AbortController.prototype": AbortController.prototype,
  process: process,
  globalThis: globalThis,
};

/** Node's own event and async machinery calls the first two; the cells below need the third. */
const untouched = new Set(["Function.prototype.apply", "Array.prototype.pop", "globalThis.RangeError"]);

interface Builtin {
  /** The built-in as a cell writes it. */
  text: string;
  holder: string;
  key: string;
}

function builtins(): Builtin[] {
  return Object.entries(holders).flatMap(([holder, object]) =>
    Reflect.ownKeys(object).flatMap((name) => {
      const descriptor = Object.getOwnPropertyDescriptor(object, name);
      if (typeof descriptor?.value !== "function" || !descriptor.writable) return [];
      const key =
        typeof name === "symbol" ? `[Symbol.${name.description?.replace(/^Symbol\./, "")}]` : `.${name}`;
      const text = `${holder}${key}`;
      const isPlain =
        typeof name === "symbol" ? /^\[Symbol\.\w+\]$/.test(key) : /^\.[A-Za-z_$][\w$]*$/.test(key);
      return !isPlain || untouched.has(text) ? [] : [{ text, holder, key }];
    }),
  );
}

/**
 * Replaces built-ins one after the other by a function that throws, and runs cells meanwhile: one that prints and has a
 * result, one that throws, one that shows a bundle. Each must end with what it shows.
 */
export async function replaceBuiltins(
  folder: string,
  { count, seed }: { count: number; seed: number },
): Promise<void> {
  const chosen = seeded(seed).shuffle(builtins()).slice(0, count);
  const cells = openCells(folder);
  try {
    await cells.value("const shownBy = Symbol.for('Jupyter.display');");
    for (const { text } of chosen) {
      const kept = `const kept = ${text} as any;`;
      const replace = `// @ts-nocheck\n${kept} ${text} = function () { throw new Error("replaced") }; 1`;
      const replaced = await cells.run(replace);
      assert.equal(replaced.outcome.status, "ok", `${text}: ${JSON.stringify(replaced.outcome.error)}`);
      const printed = await cells.run("// @ts-nocheck\nprocess.stdout.write('printed'); 'result'");
      assert.deepEqual(
        [printed.text, printed.result],
        ["printed", "'result'"],
        `${text}: ${JSON.stringify(printed.outcome)}`,
      );
      const failed = await cells.run("// @ts-nocheck\nthrow new RangeError('thrown')");
      assert.deepEqual(
        [failed.outcome.cause, failed.outcome.error?.ename, failed.outcome.error?.evalue],
        ["thrown", "RangeError", "thrown"],
        `${text}: ${JSON.stringify(failed.outcome)}`,
      );
      const shown = await cells.run("// @ts-nocheck\n({ [shownBy]: () => ({ 'application/json': [1] }) })");
      assert.equal(shown.outcome.status, "ok", `${text}: ${JSON.stringify(shown.outcome)}`);
      const back = await cells.run(`// @ts-nocheck\n${text} = kept; 1`);
      assert.equal(back.outcome.status, "ok", `${text}: ${JSON.stringify(back.outcome)}`);
    }
  } finally {
    await cells.session.close();
  }
}
