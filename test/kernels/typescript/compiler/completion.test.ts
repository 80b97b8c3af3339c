/** Completion where code is unfinished, as it always is when somebody asks for it. `|` is the cursor. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Compiler, createCompiler } from "../../../../kernels/typescript/compiler/compiler.js";
import { temporaryFolder } from "../../temporary.js";

const folder = temporaryFolder();
let compiler: Compiler;

before(() => {
  compiler = createCompiler(folder);
  const result = compiler.compile(
    `const obj = { alpha: 1, beta: { gamma: "s" } };
     const arr = [1, 2];
     let later = Promise.resolve(obj);
     class Counter { turns = 1 }
     function make(a: number) { return obj }
     interface Point { across: number }`,
    "In[1]",
  );
  assert.ok(result.ok);
  compiler.commit("all");
});

const cases: [code: string, expected: string][] = [
  ["obj.|", "alpha"],
  ["obj.al|", "alpha"],
  ["obj?.|", "alpha"],
  ["obj . |", "alpha"],
  ["obj.|)", "alpha"],
  ["obj['|", "alpha"],
  ["obj.beta.|", "gamma"],
  ["obj.beta.gamma.|", "toUpperCase"],
  ["arr.|", "map"],
  ["arr[0].|", "toFixed"],
  ["arr.map((x) => x.|", "toFixed"],
  ["make(1).|", "alpha"],
  ["new Counter().|", "turns"],
  ["later.|", "then"],
  ["await later.|", "then"],
  ["(await later).|", "alpha"],
  ["await obj.|", "alpha"],
  ["console.log(obj.|", "alpha"],
  ["console.log(obj.alpha, obj.|", "alpha"],
  ["if (obj.|", "alpha"],
  ["while (true) { obj.|", "alpha"],
  ["for (const x of arr.|", "map"],
  ["switch (obj.|", "alpha"],
  ["throw obj.|", "alpha"],
  ["function f() { return obj.|", "alpha"],
  ["async () => { await later.|", "then"],
  ["class Z { q() { obj.|", "alpha"],
  ["@dec\nobj.|", "alpha"],
  ["`text ${obj.|", "alpha"],
  ["[obj.|", "alpha"],
  ["({ a: obj.|", "alpha"],
  ["const y = obj.|", "alpha"],
  ["const y = obj.|\nconst z = 1", "alpha"],
  ["obj.|\nmake(1)", "alpha"],
  ["obj.|\n// the end", "alpha"],
  ["obj.|\nimport fs from 'node:fs'", "alpha"],
  ["export const q = obj.|", "alpha"],
  ["const { | } = obj", "alpha"],
  ["type T = typeof obj.|", "alpha"],
  ["let v: Counter; v.|", "turns"],
  ["const p: Point = { ac|", "across"],
  ["const p: Poi|", "Point"],
  ["}\nobj.|", "alpha"],
  ["const s = 'open\nobj.|", "alpha"],
  ["/* comment */ obj.|", "alpha"],
  ["%time obj.|", "alpha"],
  ["!obj.|", "alpha"],
  ["x = ob|", "obj"],
];

describe("completion offers the names of earlier cells in unfinished code", () => {
  for (const [marked, expected] of cases)
    test(JSON.stringify(marked), () => {
      const position = marked.indexOf("|");
      const { matches, start, end } = compiler.complete(marked.replace("|", ""), position);
      assert.ok(matches.includes(expected), `${matches.slice(0, 5)}`);
      assert.ok(start <= position && end >= position);
    });
});

test("the documentation of a name in unfinished code", () => {
  assert.match(compiler.inspect("console.log(make(", 14) ?? "", /make\(a: number\)/);
  for (const marked of [
    "make(|",
    "make(1|",
    "make(1, |",
    "make(obj.alpha, |",
    "make(obj.alpha,|",
    "make(1 + |)",
    "make('', |)",
  ])
    assert.match(
      compiler.inspect(marked.replace("|", ""), marked.indexOf("|")) ?? "",
      /make\(a: number\)/,
      marked,
    );
  assert.equal(compiler.inspect("|1, ", 4), undefined);
});

test("mistakes in unfinished code are told as the cell has them", () => {
  for (const [code, message, line, column] of [
    ["obj.", "Identifier expected.", 1, 5],
    ["1 +\n", "Expression expected.", 1, 4],
    ["make(1", "')' expected.", 1, 7],
  ] as const) {
    const result = compiler.compile(code, "In[2]");
    assert.ok(!result.ok);
    const [problem] = result.problems;
    assert.deepEqual([problem.message, problem.line, problem.column], [message, line, column], code);
  }
});
