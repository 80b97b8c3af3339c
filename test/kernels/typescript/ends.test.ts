/** A cell always ends, with what can be said, whatever its values, its errors and its displays do when they are read. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Output } from "../../../kernels/protocol/outputs.js";
import { temporaryFolder } from "../temporary.js";
import { type Cells, openCells } from "./cells.js";

const folder = temporaryFolder();
let cells: Cells;

before(() => {
  cells = openCells(folder);
});
after(() => cells.session.close());

const isText = (value: unknown): boolean => typeof value === "string";

describe("values that cannot be read", () => {
  const declared: Record<string, string> = {
    "a proxy whose every trap throws":
      "const trap = new Proxy({}, new Proxy({}, { get() { throw new Error('trap') } }));",
    "a class named Model whose hooks throw":
      "class Model { get hooks() { throw new Error('no hooks') } } const m = new Model();",
    "a class named Model whose hooks do not end":
      "class Model2 { get hooks() { for (;;); } } const m2 = new Model2();",
    "an object whose constructor throws": "const o = { get constructor() { throw 1 } };",
    "a revoked proxy": "const r = Proxy.revocable({}, {}); r.revoke(); const revoked = r.proxy;",
    "a prototype that is a trap":
      "const p = Object.create(new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } }));",
  };
  for (const [name, code] of Object.entries(declared))
    test(`${name}: the cell that declares it ends`, async () => {
      assert.equal(await cells.value(`${code} 1`), "1");
    });

  test("as last values they are shown as text", async () => {
    for (const name of ["trap", "m", "m2", "o", "revoked", "p", "[trap, m]"]) {
      const { outcome, outputs } = await cells.run(name);
      assert.equal(outcome.status, "ok", name);
      const [result] = outputs.filter(({ type }) => type === "execute_result");
      assert.ok(result?.type === "execute_result" && isText(result.content.data["text/plain"]), name);
    }
    assert.match(
      await cells.value("({ [Symbol.for('nodejs.util.inspect.custom')]() { throw 1 } })"),
      /cannot be shown/,
    );
  });
});

describe("display methods", () => {
  const bundles: Record<string, string> = {
    throws: "() => { throw new Error('no image') }",
    rejects: "async () => { throw new Error('no image') }",
    "gives a bigint as JSON": "() => ({ 'application/json': { a: 1n } })",
    "gives a circle as JSON": "() => { const a: any = {}; a.a = a; return { 'application/json': a } }",
    "gives undefined as JSON": "() => ({ 'application/json': undefined })",
    "gives nothing": "() => undefined",
    "gives null": "() => null",
    "gives text": "() => 'text'",
    "gives a number as text": "() => ({ 'text/html': 5 })",
    "gives an object as text": "() => ({ 'text/html': { a: 1 } })",
    "gives a key that is no MIME type": "() => ({ html: 'x' })",
    "gives a bundle that throws": "() => ({ get 'text/html'() { throw 1 } })",
    "gives JSON whose toJSON throws": "() => ({ 'application/json': { toJSON() { throw 1 } } })",
  };
  for (const [name, method] of Object.entries(bundles))
    test(`one that ${name} is said to have failed, and the value is shown as text`, async () => {
      const { outcome, outputs, text } = await cells.run(
        `({ shown: 7, [Symbol.for('Jupyter.display')]: ${method} })`,
      );
      assert.equal(outcome.status, "ok");
      assert.match(text, /display method failed/);
      const result = outputs.at(-1) as Output & { type: "execute_result" };
      assert.deepEqual([result.type, Object.keys(result.content.data)], ["execute_result", ["text/plain"]]);
      assert.match(String(result.content.data["text/plain"]), /shown: 7/);
    });

  test("one that is async is awaited", async () => {
    const method =
      "async () => { await new Promise((r) => setTimeout(r, 20)); return { 'text/html': '<b>' } }";
    const { outputs } = await cells.run(`({ [Symbol.for('Jupyter.display')]: ${method} })`);
    assert.deepEqual(
      outputs.map((o) => (o.type === "execute_result" ? o.content.data : o)),
      [{ "text/html": "<b>" }],
    );
  });

  test("what the display cannot send is an error in the cell", async () => {
    const show = "(globalThis as any)[Symbol.for('modalscope.display')]";
    for (const call of [
      "display({ 'application/json': 1n })",
      "display(null)",
      "display({ 'text/plain': 'x' }, { metadata: 5 })",
      "display({ 'text/plain': 'x' }, { displayId: 5 })",
      "update(5, { 'text/plain': 'x' })",
    ])
      assert.equal((await cells.error(`${show}.${call}`)).ename, "TypeError", call);
    const { outputs } = await cells.run(
      `${show}.clear(5); ${show}.display({ 'application/json': { a: NaN } })`,
    );
    assert.deepEqual(outputs, [
      { type: "clear_output", content: { wait: false } },
      { type: "display_data", content: { data: { "application/json": { a: null } }, metadata: {} } },
    ]);
  });
});

describe("errors that cannot be read", () => {
  const error = (change: string): string => `const e: any = new RangeError('told'); ${change}; throw e`;
  const thrown: Record<string, string> = {
    "whose message is an object": error("e.message = { a: 1 }"),
    "whose message is a number": error("e.message = 5"),
    "whose message throws": error("Object.defineProperty(e, 'message', { get() { throw 1 } })"),
    "whose name is an object": error("e.name = {}"),
    "whose name is a symbol": error("e.name = Symbol('s')"),
    "whose stack is a number": error("e.stack = 5"),
    "whose stack is undefined": error("e.stack = undefined"),
    "whose stack throws": error("Object.defineProperty(e, 'stack', { get() { throw 1 } })"),
    "whose toString throws": error("e.toString = () => { throw 1 }"),
    "whose cause is a trap": error("e.cause = new Proxy({}, { get() { throw 1 } })"),
    "that is a proxy": "throw new Proxy(new Error('x'), { get() { throw 1 }, getPrototypeOf() { throw 2 } })",
    "that is null": "throw null",
    "that is undefined": "throw undefined",
    "that is a symbol": "throw Symbol('s')",
    "that is a bigint": "throw 5n",
    "that is a function": "throw () => 1",
    "that is a promise": "throw Promise.reject(new Error('x'))",
    "that rejects":
      "Promise.reject(new Proxy({}, { get() { throw 1 } })); await new Promise((r) => setTimeout(r, 50))",
    "with ten million letters": "throw new Error('x'.repeat(1e7))",
  };
  for (const [name, code] of Object.entries(thrown))
    test(`one ${name} fails the cell, with texts only`, async () => {
      const { ename, evalue, traceback } = await cells.error(code);
      assert.ok([ename, evalue, ...traceback].every(isText), JSON.stringify({ ename, evalue, traceback }));
      assert.ok(ename !== "" && traceback.length > 0);
    });

  test("one whose stack does not end fails the cell after a while", async () => {
    const { evalue } = await cells.error(error("Object.defineProperty(e, 'stack', { get() { for (;;); } })"));
    assert.match(evalue, /cannot be described/);
  });
});

test("frames that are none end the process with a reason, and the session lives to say so", async () => {
  for (const bytes of [
    "garbage",
    "\\x00\\x00\\x00\\x00",
    "mdm1\\x04\\x00\\x00\\x00null",
    "mdm1\\x04\\x00\\x00\\x00{{{{",
  ]) {
    const doomed = openCells(folder);
    const { outcome } = await doomed.run(
      `import { writeSync } from "node:fs"; writeSync(3, "${bytes}"); await new Promise((r) => setTimeout(r, 200));`,
    );
    assert.equal(outcome.cause, "death", bytes);
    assert.match(outcome.error?.evalue ?? "", /messages to the kernel were damaged/);
    assert.equal((await doomed.run("1")).outcome.cause, "death");
    await doomed.session.close();
  }
});
