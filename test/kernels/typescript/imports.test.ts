/** Imports that the checker accepts run, by the same rules: those of bundlers. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { temporaryFolder } from "../temporary.js";
import { type Cells, openCells } from "./cells.js";

const folder = temporaryFolder({
  "data.json": '{ "name": "data", "list": [1, 2] }',
  "helper.ts":
    "import { far } from './deeper/far.js';\nexport enum Kind { One = 1 }\nexport const near = 'near ' + far;\nexport default Kind.One;",
  "deeper/far.ts":
    "import data from '../data.json' with { type: 'json' };\nexport const far = 'far ' + data.name;",
  "lists.ts": `import * as _ from "whole";
import whole, { chunk as cut, zip } from "whole";
import was, { named } from "was-esm";
import * as box from "instance";
import { join } from "node:path";
import type { Nothing } from "not-installed";
export const lists = [_.chunk([1], 1), cut([1, 2], 2), zip([], 3), whole(), was(), named, box.open(), join("a", "b")];
export let typed: Nothing | undefined;`,
  "again.ts": `export { chunk, zip as zipped } from "whole";
export { default as called } from "whole";
export * as was from "was-esm";
export { type Nothing } from "not-installed";
export { far as fromFar } from "./deeper/far.js";
export { basename } from "node:path";`,
  "all.ts": `export * from "whole";
export * from "was-esm";
export * from "./near.cjs";
export * from "node:os";
export * from "./plain.js";
export const zip = "its own";`,
  "nested.ts": "export * from './all';\nexport * from './others.cjs';",
  "near.cjs": `globalThis.runs = (globalThis.runs ?? 0) + 1;
const given = { shared: "near", computed: 1, "not an identifier": 2, default: 3 };
Object.defineProperty(given, "got", { enumerable: true, get: () => "got" });
Object.defineProperty(given, "refused", { enumerable: true, get() { throw new Error("refused") } });
Object.defineProperty(given, "hidden", { value: 4 });
given["\\ud800"] = 5;
module.exports = Object.defineProperties(function near() {}, Object.getOwnPropertyDescriptors(given));`,
  "others.cjs": "for (const name of ['shared', 'other']) exports[name] = 'others';",
  "five.cjs": "module.exports = 5;",
  "throws.cjs":
    "globalThis.thrown = Object.assign(new TypeError('thrown as it loads'), { f() {} });\nthrow thrown;",
  "from-near.ts": `import near, { computed as also, got } from "./near.cjs";
import * as all from "./near.cjs";
import { plain, type Nothing } from "./plain.js";
export { other, shared } from "./others.cjs";
export * as five from "./loose.js";
export const seen = [typeof near, also, got, all.computed, plain];
export let typed: Nothing | undefined;`,
  "from-near-missing.ts": "import { nowhere } from './others.cjs';\nexport const found = nowhere;",
  "loose.js": "for (const name of ['loose']) exports[name] = name;",
  "esm/package.json": '{"type":"module"}',
  "esm/counter.js": "export let count = 0;\nexport const raise = () => { count++ };",
  "live.ts":
    "import { count, raise } from './esm/counter.js';\nexport const counts = (): number[] => { raise(); return [count] };",
  "all-of-five.ts": "export * from './five.cjs';\nexport const six = 6;",
  "all-thrown.ts": "export * from './throws.cjs';",
  "all-nowhere.ts": "export * from 'nowhere-at-all';",
  "all-seen-twice.ts": "export * from './all';\nexport * from './others.cjs';\nexport * from './again-all';",
  "again-all.ts": "export * from './others.cjs';",
  "holds.mjs": "import * as all from './all.ts';\nexport default all;",
  "tables.ts":
    'import { DataFrame } from "danfojs-node";\nimport { seeded } from "modalscope";\nexport const shape = new DataFrame([{ a: seeded(1).int(1) }]).shape;',
  "missing.ts": 'import { nowhere } from "whole";\nexport const found = nowhere;',
  "node_modules/not-installed/index.d.ts": "export interface Nothing { a: number }",
  "view.tsx":
    "const React = { createElement: (...all: unknown[]) => all };\nexport const view = <b>text</b>;",
  "plain.js": "export const plain = 'plain';",
  "folder/index.js": "export const inside = 'inside';",
  "folder2/index.ts": "export const inside2: string = 'inside2';",
  "node_modules/whole/package.json": '{"name":"whole","main":"main.js"}',
  "node_modules/whole/main.js":
    "function whole() { return 'called' }\nfor (const name of ['chunk', 'zip']) whole[name] = (list, n) => [name, list.length, n];\n;(function () { module.exports = whole }).call(this);",
  "node_modules/whole/main.d.ts":
    "declare const whole: { (): string; chunk(list: unknown[], n: number): unknown; zip(list: unknown[], n: number): unknown };\nexport = whole;",
  "node_modules/whole/chunk.js": "module.exports = (list, n) => ['chunk alone', list.length, n];",
  "node_modules/whole/chunk.d.ts":
    "declare function chunk(list: unknown[], n: number): unknown;\nexport = chunk;",
  "node_modules/was-esm/package.json": '{"name":"was-esm","main":"main.js"}',
  "node_modules/was-esm/main.js":
    "Object.defineProperty(exports, '__esModule', { value: true });\nexports.default = () => 'default';\nexports.named = 'named';",
  "node_modules/was-esm/main.d.ts":
    "declare const f: () => string;\nexport default f;\nexport declare const named: string;",
  "node_modules/instance/package.json": '{"name":"instance","main":"main.js"}',
  "node_modules/instance/main.js":
    "class Box { constructor() { this.kept = 5 } open() { return this.kept } }\nmodule.exports = new Box();",
  "node_modules/instance/main.d.ts": "declare const box: { kept: number; open(): number };\nexport = box;",
});
let cells: Cells;

before(() => {
  cells = openCells(folder);
});
after(() => cells.session.close());

const imports: [code: string, value: string, expected: string][] = [
  ["import d from './data.json' with { type: 'json' };", "d.name", "'data'"],
  ["import e from './data.json';", "e.list", "[ 1, 2 ]"],
  ["import { name as n } from './data.json';", "n", "'data'"],
  ["import * as all from './data.json';", "all.name", "'data'"],
  ["const dynamic = await import('./data.json');", "dynamic.default.name", "'data'"],
  ["import w from 'whole';", "[w(), w.zip([], 2)]", "[ 'called', [ 'zip', 0, 2 ] ]"],
  ["import * as _ from 'whole';", "_.chunk([1, 2], 1)", "[ 'chunk', 2, 1 ]"],
  [
    "import { chunk, zip } from 'whole';",
    "[chunk([], 1), zip([], 2)]",
    "[ [ 'chunk', 0, 1 ], [ 'zip', 0, 2 ] ]",
  ],
  ["const lazy = await import('whole');", "lazy.chunk([1], 1)", "[ 'chunk', 1, 1 ]"],
  ["import alone from 'whole/chunk';", "alone([1], 3)", "[ 'chunk alone', 1, 3 ]"],
  ["import was, { named } from 'was-esm';", "[was(), named]", "[ 'default', 'named' ]"],
  ["import * as box from 'instance';", "[box.kept, box.open()]", "[ 5, 5 ]"],
  ["import required = require('whole');", "required.chunk([1], 1)", "[ 'chunk', 1, 1 ]"],
  ["import path = require('node:path');", "path.basename('a/b')", "'b'"],
  [
    "import helper = require('./helper.ts');",
    "[helper.near, helper.Kind.One, helper.default]",
    "[ 'near far data', 1, 1 ]",
  ],
  ["const viaRequire = require('./helper.ts');", "viaRequire.near", "'near far data'"],
  ["const viaRequire2 = require('./helper');", "viaRequire2.near", "'near far data'"],
  ["import one, { near } from './helper.ts';", "[near, one]", "[ 'near far data', 1 ]"],
  [
    "import { lists } from './lists';",
    "JSON.stringify(lists)",
    `'[["chunk",1,1],["chunk",2,2],["zip",0,3],"called","default","named",5,"a/b"]'`,
  ],
  [
    "import { chunk as again, zipped, called, was as whole2, fromFar, basename } from './again';",
    "JSON.stringify([again([1], 1), zipped([], 3), called(), whole2.named, fromFar, basename('a/b')])",
    `'[["chunk",1,1],["zip",0,3],"called","named","far data","b"]'`,
  ],
  ["import { plain } from './plain';", "plain", "'plain'"],
  ["import { inside } from './folder';", "inside", "'inside'"],
  ["import { inside2 } from './folder2';", "inside2", "'inside2'"],
  ["import { view } from './view.tsx';", "view", "[ 'b', null, 'text' ]"],
  ["import { view as view2 } from './view';", "view2", "[ 'b', null, 'text' ]"],
  ["import url from 'data:text/javascript,export default 6';", "url", "6"],
  ["const url2 = await import('data:text/javascript,export default 7');", "url2.default", "7"],
  ["import * as fs from 'node:fs';", "typeof fs.readFileSync", "'function'"],
  [
    "namespace Outer { export const inner = 8; export interface Shape { a: number } }\nimport Inner = Outer.inner;",
    "Inner",
    "8",
  ],
];
for (const [code, expression, expected] of imports)
  test(`${code.replaceAll("\n", " ")} in this cell and the next`, async () => {
    assert.equal(await cells.value(`${code}\n${expression}`), expected);
    assert.equal(await cells.value(expression), expected);
  });

test("far from any package.json the kernel's own packages are there, data frames too, and so they are for files", async () => {
  assert.equal(
    await cells.value("import { DataFrame } from 'danfojs-node';\nnew DataFrame([{ a: 1 }, { a: 2 }]).shape"),
    "[ 2, 1 ]",
  );
  assert.equal(await cells.value("import { shape } from './tables'; shape"), "[ 1, 1 ]");
});

test("a file: URL is the file that it names, typed", async () => {
  const url = pathToFileURL(join(folder, "helper.ts")).href;
  assert.equal(await cells.value(`import { near as far } from ${JSON.stringify(url)}; far.length`), "13");
  assert.match(
    (await cells.error(`import { nothing } from ${JSON.stringify(url)}; nothing`)).evalue,
    /nothing/,
  );
});

test("a JSON or TypeScript file that has changed is read anew, by import and by require", async () => {
  assert.equal(await cells.value("import before from './data.json'; before.name"), "'data'");
  writeFileSync(join(folder, "data.json"), '{ "name": "changed" }');
  assert.equal(await cells.value("import again from './data.json'; again.name"), "'changed'");
  writeFileSync(join(folder, "helper.ts"), "export const near = 'new';");
  assert.equal(await cells.value("require('./helper.ts').near"), "'new'");
});

test("`export *` from CommonJS gives all names that the module has once it has run", async () => {
  const namesOf = (file: string): Promise<string> =>
    cells.value(`// @ts-nocheck
const all = await import("./${file}");
const os = Object.keys(require("node:os"));
JSON.stringify(Object.fromEntries(Object.entries(all).filter(([name]) => !os.includes(name))))`);
  const own = { named: "named", plain: "plain", zip: "its own" };
  const near = { computed: 1, "not an identifier": 2, got: "got" };
  const parsed = async (file: string): Promise<unknown> => JSON.parse((await namesOf(file)).slice(1, -1));
  assert.deepEqual(await parsed("all"), { ...own, ...near, shared: "near" });
  // `shared` comes from two modules: it is neither's.
  assert.deepEqual(await parsed("nested"), { ...own, ...near, other: "others" });
  // The same module reached twice is one.
  assert.deepEqual(await parsed("all-seen-twice"), { ...own, ...near, other: "others" });
  assert.deepEqual(await parsed("all-of-five"), { six: 6 });
  assert.equal(await cells.value("globalThis['runs']"), "1");
  assert.equal(
    await cells.value(
      "// @ts-nocheck\nimport { chunk as c, zip as z, EOL } from './nested'; [c([1], 1), z, EOL]",
    ),
    "[ [ 'chunk', 1, 1 ], 'its own', '\\n' ]",
  );
});

test("a TypeScript file imports all names of a CommonJS file near it", async () => {
  assert.equal(
    await cells.value(
      "// @ts-nocheck\nimport { seen, other, shared, five } from './from-near'; [...seen, other, shared, five.loose]",
    ),
    "[\n  'function', 1,\n  'got',      1,\n  'plain',    'others',\n  'others',   'loose'\n]",
  );
  assert.match(
    (await cells.error("// @ts-nocheck\nimport { found } from './from-near-missing'; found")).evalue,
    /no export named 'nowhere'/,
  );
  // An ECMAScript module's names stay bound to it.
  assert.equal(
    await cells.value("// @ts-nocheck\nimport { counts } from './live'; [counts(), counts()]"),
    "[ [ 1 ], [ 2 ] ]",
  );
});

test("`export *` from CommonJS: what fails there is the error", async () => {
  const { ename, evalue } = await cells.error("// @ts-nocheck\nimport { x } from './all-thrown'; x");
  assert.equal(`${ename}: ${evalue}`, "TypeError: thrown as it loads");
  const missing = await cells.error("// @ts-nocheck\nimport { x } from './all-nowhere'; x");
  assert.match(missing.evalue, /Cannot find package 'nowhere-at-all'/);
  assert.match(
    (await cells.error("// @ts-nocheck\nimport { refused } from './all'; refused")).evalue,
    /no export named 'refused'/,
  );
});

test("what is not there is still an error", async () => {
  assert.match((await cells.error("// @ts-nocheck\nimport x from './nowhere'; x")).evalue, /nowhere/);
  assert.match(
    (await cells.error("// @ts-nocheck\nimport { nowhere } from 'whole'; nowhere")).evalue,
    /no export named 'nowhere'/,
  );
  assert.match(
    (await cells.error("// @ts-nocheck\nimport { found } from './missing'; found")).evalue,
    /no export named 'nowhere'/,
  );
  assert.match((await cells.error("require('./nowhere.ts')")).evalue, /nowhere/);
  assert.match((await cells.error("import x from 'not-installed-anywhere'; x")).evalue, /npm install/);
});
