import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { temporaryFolder } from "../temporary.js";
import { type Cells, openCells } from "./cells.js";
import { replaceBuiltins } from "./replaced-builtins.js";

const folder = temporaryFolder();
let cells: Cells;

before(() => {
  cells = openCells(folder);
});
after(() => cells.session.close());

/** Cells end, print, throw with their line, and have results. */
async function assertWorking(what: string): Promise<void> {
  const { outcome, text, result } = await cells.run(
    "// @ts-nocheck\nprocess.stdout.write('printed'); 'result'",
  );
  assert.deepEqual([text, result], ["printed", "'result'"], `${what}: ${JSON.stringify(outcome)}`);
  const { evalue, traceback } = await cells.error(
    "// @ts-nocheck\n(() => { throw 'x' in ({}) ? 1 : ({}).a.b })()",
  );
  assert.match(evalue, /Cannot read properties of undefined/, what);
  assert.match(traceback.join("\n"), /In\[\d+\]/, what);
}

test("cells that replace built-ins do not break the cells after them", () =>
  replaceBuiltins(folder, { count: 8, seed: 1 }));

test("a cell may set Error.prepareStackTrace, as is usual for call sites", async () => {
  await cells.value(
    "const original = Error.prepareStackTrace; Error.prepareStackTrace = (e, frames) => frames as any; 1",
  );
  assert.equal(await cells.value("Array.isArray(new Error('x').stack)"), "true");
  await assertWorking("call sites");
  await cells.value("Error.prepareStackTrace = () => { throw 1 }; 1");
  await assertWorking("a hook that throws");
  await cells.value("Error.prepareStackTrace = undefined as any; 1");
  await assertWorking("no hook");
  await cells.value("Error.prepareStackTrace = original; 1");
});

const changes: Record<string, string> = {
  "toJSON on the prototypes":
    "Object.prototype.toJSON = Array.prototype.toJSON = String.prototype.toJSON = () => 'changed'",
  "enumerable methods on the prototypes":
    "Object.prototype.last = Array.prototype.first = String.prototype.shout = function () { return 1 }",
  "no listeners": "process.removeAllListeners()",
  "no listeners of uncaught errors":
    "process.removeAllListeners('uncaughtException').removeAllListeners('unhandledRejection')",
  "accessors that throw, under names that Node's own writes look up":
    "for (const name of ['error', 'errno', 'cachedData', 'lineOffset']) Object.defineProperty(Object.prototype, name, { configurable: true, get() { throw new Error('trap') }, set() { throw new Error('trap') } })",
  "no stack traces' limit": "Error.stackTraceLimit = 'x'",
  "a frozen Error": "Error.stackTraceLimit = 10; Object.freeze(Error)",
};
for (const [name, code] of Object.entries(changes))
  test(`a cell may leave behind ${name}`, async () => {
    await cells.run(`// @ts-nocheck\n${code}; 1`);
    if (name !== "no stack traces' limit") await assertWorking(name);
    else assert.equal((await cells.error("throw new Error('x')")).evalue, "x");
    const rejected = await cells.error(
      "Promise.reject(new Error('nobody')); await new Promise((r) => setTimeout(r, 20));",
    );
    assert.equal(rejected.evalue, "nobody");
    await cells.run(
      "// @ts-nocheck\nfor (const type of [Object, Array, String]) for (const name of ['toJSON', 'last', 'first', 'shout', 'error', 'errno', 'cachedData', 'lineOffset']) delete type.prototype[name];",
    );
  });

const removed =
  "JSON Math Reflect Atomics Buffer Promise Map Array Object String Error TypeError Proxy setTimeout setImmediate".split(
    " ",
  );

test("a cell may remove the global values that the kernel uses", async () => {
  const lonely = openCells(folder);
  try {
    await lonely.run("// @ts-nocheck\nconst print = process.stdout.write.bind(process.stdout);");
    const { outcome } = await lonely.run(
      `// @ts-nocheck\nfor (const name of ${JSON.stringify(removed)}) globalThis[name] = undefined;`,
    );
    assert.equal(outcome.status, "ok", JSON.stringify(outcome));
    const { text, result } = await lonely.run("// @ts-nocheck\nprint('printed'); 'result'");
    assert.deepEqual([text, result], ["printed", "'result'"]);
    assert.equal((await lonely.error("// @ts-nocheck\nnull.x")).ename, "TypeError");
  } finally {
    await lonely.session.close();
  }
});

test("an accessor under an array's index is removed before Node comes upon it, and the cell is told", async () => {
  const plant = (on: string, how: string) =>
    `// @ts-nocheck\nObject.defineProperty(${on}.prototype, "1", { configurable: true, ${how} });`;
  const trap = "get() { throw new Error('trap') }, set() { throw new Error('trap') }";
  for (const on of ["Object", "Array"])
    for (const how of [trap, "value: 1, writable: false"])
      for (const wait of ["", "await new Promise((r) => setTimeout(r, 5));"]) {
        const name = `${on} ${how} ${wait}`;
        const { outcome, outputs, result } = await cells.run(`${plant(on, how)} ${wait} 5`);
        assert.deepEqual([outcome.status, result], ["ok", "5"], name);
        assert.match(JSON.stringify(outputs), /\.prototype\[1\] is an accessor.*removed/, name);
        await assertWorking(name);
      }
  const inTimer = `await new Promise((r) => setTimeout(() => { ${plant("Object", trap)} r(1) }, 5)); 5`;
  assert.equal((await cells.run(`// @ts-nocheck\n${inTimer}`)).result, "5");
  await assertWorking("planted in a timer");
  // What can be written to is harmless, and the cell's own.
  const plain = await cells.run("// @ts-nocheck\nObject.prototype[1] = 7; [][1]");
  assert.equal(plain.result, "7");
  assert.equal(
    await cells.value("// @ts-nocheck\nconst seen = [][1]; delete Object.prototype[1]; seen"),
    "7",
  );
});

test("one that cannot be removed fails its cell with the reason", async () => {
  const doomed = openCells(folder);
  try {
    const { evalue } = await doomed.error(
      `// @ts-nocheck\nObject.defineProperty(Object.prototype, "1", { get() {}, set() { throw 1 } });`,
    );
    assert.match(evalue, /cannot be removed. Restart the kernel/);
  } finally {
    await doomed.session.close();
  }
});
