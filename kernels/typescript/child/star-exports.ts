/**
 * `export * from` a CommonJS module: a module in its place that exports the names which it has once it has run. Module
 * hooks have a thread of their own, so they ask the cells' thread, where the module belongs, to run it and name them.
 */
import { setImmediate as nativeImmediate } from "node:timers";
import { fileURLToPath } from "node:url";
import type { MessagePort } from "node:worker_threads";
import { attempt, keys, NativeError, regExpExec, toText } from "../intrinsics.js";
import { commonJsView } from "./interop.js";
import { packageView } from "./package-imports.js";

/** Begins the URL of the module that has all names of another. */
export const starUrl = "modalscope-star:";

interface Question {
  readonly id: number;
  readonly url: string;
}

type Answer = { readonly id: number } & (
  | { readonly type: "running" }
  | { readonly type: "names"; readonly names: readonly string[] }
  | { readonly type: "error"; readonly error: unknown }
);

/** Runs the modules that are asked for, in the cells' thread. */
export function answerNames(port: MessagePort, require: NodeJS.Require): void {
  port.on("message", ({ id, url }: Question) => {
    port.postMessage({ id, type: "running" } satisfies Answer);
    let answer: Answer = { id, type: "error", error: new NativeError(interruptedAdvice(url)) };
    // In another turn, since an interrupt ends this one, whatever it would still have done.
    nativeImmediate(() => {
      try {
        port.postMessage(answer);
      } catch {
        // What the module threw cannot be sent to another thread.
        port.postMessage({ id, type: "error", error: describe(answer) } satisfies Answer);
      }
    });
    try {
      answer = { id, type: "names", names: exportedNames(require(fileURLToPath(url))) };
    } catch (error) {
      answer = { id, type: "error", error };
    }
  });
  // It alone keeps no process alive.
  port.unref();
}

const interruptedAdvice = (url: string): string =>
  `Loading '${url}' was interrupted, and Node loads no module twice. Restart the kernel to load it.`;

function describe(answer: Answer): Error {
  const thrown = answer.type === "error" ? answer.error : undefined;
  return new NativeError(attempt(() => toText(thrown), "The module threw what cannot be shown."));
}

/** What `export *` takes of it: all but the default, names that are no text, and getters that throw. */
function exportedNames(exported: unknown): string[] {
  const view = commonJsView({ default: exported });
  const names = keys(view);
  const found: string[] = [];
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const readable = attempt(() => [view[name]], undefined) !== undefined;
    if (name !== "default" && readable && isText(name)) found[found.length] = name;
  }
  return found;
}

/** Exports may have any name without lone surrogates. */
const isText = (name: string): boolean => regExpExec(/\p{Surrogate}/u, name) === null;

/** Asks the thread that {@link answerNames} for a module's names; undefined when it does not listen. */
export function nameAsker(port: MessagePort): (url: string) => Promise<readonly string[] | undefined> {
  const waiting = new Map<number, (answer: Answer) => void>();
  let next = 0;
  port.on("message", (answer: Answer) => waiting.get(answer.id)?.(answer));
  return (url) =>
    new Promise((resolve, reject) => {
      const id = next++;
      const settle = (): void => {
        clearTimeout(timer);
        waiting.delete(id);
      };
      // A `require` of an ECMAScript module holds that thread until all of it is loaded.
      const timer = setTimeout(() => {
        settle();
        resolve(undefined);
      }, listenMs);
      waiting.set(id, (answer) => {
        clearTimeout(timer);
        if (answer.type === "running") return;
        settle();
        if (answer.type === "names") resolve(answer.names);
        else reject(answer.error);
      });
      port.postMessage({ id, url } satisfies Question);
    });
}

const listenMs = 5000;

/** Source of the module that exports these names of a CommonJS module, with the values that they have once it has run. */
export function starSource(url: string, names: readonly string[]): string {
  const from = JSON.stringify(url);
  const view = `globalThis[Symbol.for(${JSON.stringify(packageView)})](namespace, ${from}, [])`;
  const values = names.map((name, i) => `const value${i} = view[${JSON.stringify(name)}];`);
  const exports = names.map((name, i) => `value${i} as ${JSON.stringify(name)}`);
  return [
    `import * as namespace from ${from};`,
    `const view = ${view};`,
    ...values,
    `export { ${exports.join(", ")} };`,
  ].join("\n");
}
