import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Compiler, createCompiler } from "../../../../kernels/typescript/compiler/compiler.js";
import { adviceOnMissing } from "../../../../kernels/typescript/compiler/missing-package.js";
import type { CompiledCell, Problem } from "../../../../kernels/typescript/messages.js";

// dist/test/kernels → the repository's notebooks folder, which need not exist.
const notebooks = fileURLToPath(new URL("../../../../../notebooks", import.meta.url));

let compiler: Compiler;
let number = 0;

function compiled(code: string): CompiledCell {
  const result = compiler.compile(code, `In[${++number}]`);
  assert.ok(result.ok, JSON.stringify(result));
  compiler.commit("all");
  return result.cell;
}

function problems(code: string): Problem[] {
  const result = compiler.compile(code, `In[${++number}]`);
  assert.ok(!result.ok, `compiled: ${code}`);
  return result.problems;
}

before(() => {
  compiler = createCompiler(notebooks);
});

describe("types across cells", () => {
  test("a later cell knows the type of an earlier one's value", () => {
    compiled("const width = 3;\nclass Box { private secret = 1; size = width }");
    const [problem] = problems("const text: string =\n  width;");
    assert.equal(problem.message, "Type 'number' is not assignable to type 'string'.");
    assert.deepEqual([problem.line, problem.column, problem.code], [1, 7, 2322]);
    assert.match(problems("new Box().secret")[0].message, /private/);
  });

  test("a name can be declared again with another type", () => {
    compiled("const again = 1;");
    compiled('const again = "text";');
    compiled("again.toUpperCase();");
    assert.match(problems("again.toFixed();")[0].message, /toFixed/);
  });

  test("let can be assigned in a later cell, const cannot", () => {
    compiled("let open = 1; const shut = 1;");
    compiled("open = 2; open++; [open] = [3];");
    assert.equal(
      problems("shut = 2;")[0].message,
      "Cannot assign to 'shut' because an earlier cell made it constant.",
    );
  });

  test("interfaces, type aliases and generics reach later cells", () => {
    compiled("interface Point { x: number }\ntype Pair<T> = [T, T];");
    compiled("const p: Point = { x: 1 }; const q: Pair<string> = ['a', 'b'];");
    assert.match(problems("const r: Pair<string> = ['a', 1];")[0].message, /number/);
  });

  test("imports hold for later cells, types too", () => {
    compiled('import { seeded, type Random } from "modalscope";\nimport fs from "node:fs";');
    compiled("const random: Random = seeded(1); fs.existsSync('x');");
    assert.match(problems("random.nothing();")[0].message, /nothing/);
  });

  test("a failed cell leaves only the names that it had set", () => {
    const result = compiler.compile("const came = 1; const cameNot = 2;", "In[0]");
    assert.ok(result.ok);
    compiler.commit(["came"]);
    compiled("came + 1");
    assert.match(problems("cameNot")[0].message, /Cannot find name 'cameNot'/);
  });

  test("a cell that was thought to succeed is taken back when it fails, with what was compiled on it", () => {
    compiled("const kept = 1; const before = 1;");
    compiled("const before = 'text'; const made = 1; const notMade = 2;");
    assert.ok(compiler.compile("const next = notMade;", "In[0]").ok);
    compiler.amend(["made"]);
    compiler.commit("all");
    compiled("made.toFixed() + before.toFixed() + kept.toFixed()");
    assert.match(problems("notMade")[0].message, /Cannot find name 'notMade'/);
    assert.match(problems("next")[0].message, /Cannot find name 'next'/);
  });

  test("a cell that does not compile leaves nothing", () => {
    problems("const lost: number = 'x';");
    assert.match(problems("lost")[0].message, /Cannot find name/);
  });
});

describe("what a cell compiles to", () => {
  test("imports that only give types are not loaded", () => {
    const { imports } = compiled(
      'import { seeded, Random } from "modalscope";\nconst s: Random = seeded(1);',
    );
    assert.deepEqual(imports, [{ specifier: "modalscope", names: ["seeded"] }]);
  });

  test("current syntax: satisfies, const type parameters, accessor", () => {
    compiled("const literal = <const T,>(x: T) => x; literal([1]) satisfies readonly number[];");
    compiled("class WithAccessor { accessor x = 1 }");
  });

  test("names that it declares, however deep in a pattern", () => {
    assert.deepEqual(compiled("const { a, b: [c, ...d] } = { a: 1, b: [2, 3] }; function e() {}").declared, [
      "a",
      "c",
      "d",
      "e",
    ]);
  });

  test("exports from other modules are refused with a reason", () => {
    for (const code of [
      'export * from "node:fs";',
      "export default 5;",
      "export default class {}",
      "export default function () {}",
    ])
      assert.match(problems(code)[0].message, /Nothing imports a notebook cell/, code);
    compiled("export const exported = 1;");
    compiled("exported + 1");
  });
});

test("a package that is not there: how to get it", () => {
  const [problem] = problems("import x from '@some/no-such-package/deep';");
  assert.match(problem.message, /^Cannot find module '@some.*: npm install @some\/no-such-package\.$/);
  assert.match(
    adviceOnMissing("danfojs-node", "/") ?? "",
    /npm install danfojs-node, with two overrides .*environment\.md/,
  );
  for (const specifier of ["./no-file", "node:no-such", "modalscope/nowhere"])
    assert.doesNotMatch(problems(`import x from '${specifier}';`)[0].message, /npm install/);
});

test("the language service completes names, members, modules' names and paths", () => {
  compiled('const measure = { width: 1, height: 2 }; import { seeded as makeRandom } from "modalscope";');
  assert.deepEqual(compiler.complete("measure.wi", 10).matches, ["width"]);
  assert.equal(compiler.complete("x = measu", 9).matches[0], "measure");
  assert.equal(compiler.complete("makeR", 5).matches[0], "makeRandom");
  assert.ok(compiler.complete('import { seed } from "modalscope"', 13).matches.includes("seeded"));
});

test("each subpath of the package completes, explains and checks its names", () => {
  const completed = (code: string): readonly string[] =>
    compiler.complete(code.replace("|", ""), code.indexOf("|")).matches;
  const subpaths = [
    ["analysis", "wilson"],
    ["circuits", "sumCheck"],
    ["methods", "truncation"],
    ["studies", "judge"],
    ["studies/circuit-tracing", "circuitEvidence"],
    ["studies/gap-phase1", "openGapStudy"],
    ["studies/knowledge-evolution", "EvolutionStudy"],
    ["studies/phase3-z", "patchArms"],
    ["studies/pid-flow", "pidEvidence"],
    ["tasks", "loadGqa"],
    ["plot", "facets"],
    ["onnx", "openOnnx"],
    ["runner", "runNotebook"],
    ["tfjs", "learningBackend"],
    ["tslab", "newDisplay"],
  ];
  for (const [subpath, name] of subpaths) {
    const begun = subpath.slice(0, 3);
    assert.deepEqual(
      completed(`import x from "modalscope/${begun}|"`),
      subpaths.map(([path]) => `modalscope/${path}`).filter((path) => path.startsWith(`modalscope/${begun}`)),
    );
    assert.ok(completed(`import { ${name.slice(0, -1)}| } from "modalscope/${subpath}"`).includes(name));
    const use = `import { ${name} } from "modalscope/${subpath}";\n${name}`;
    assert.match(compiler.inspect(use, use.length - 1) ?? "", new RegExp(`\\b${name}\\b`));
    const [problem] = problems(`import { ${name}s } from "modalscope/${subpath}"; ${name}s();`);
    assert.match(problem.message, new RegExp(`no exported member.*'${name}s'.*'${name}'`));
  }
});

test("documentation of a name", () => {
  const text = compiler.inspect("makeRandom(1)", 10) ?? "";
  assert.match(text, /seed: number/);
  assert.doesNotMatch(text, /alias|import/, "it is of an earlier cell");
  assert.match(text, /A generator from a seed/);
  assert.equal(compiler.inspect("   ", 1), undefined);
});

test("how the cells hang together is not seen in types, nor among completions", () => {
  compiled("class Ball { size = 1 }\nfunction makeBalls(): Ball[] { return []; }");
  assert.equal(compiler.inspect("new Ball()", 5), "new Ball(): Ball");
  assert.equal(compiler.inspect("makeBalls()", 2), "makeBalls(): Ball[]");
  assert.match(problems("const s: string = new Ball();")[0].message, /^Type 'Ball' is not assignable/);
  assert.deepEqual(compiler.complete("__c", 3).matches, []);
});

test("complete, incomplete and invalid code", () => {
  const status = (code: string): string => compiler.isComplete(code).status;
  for (const code of ["1 + 1", "await f()", "`a`", "if (x) { y }", ""])
    assert.equal(status(code), "complete", code);
  for (const code of ["f(", "if (x) {", "`open", "/* open", "const x ="]) {
    assert.equal(status(code), "incomplete", code);
  }
  for (const code of ["f(a))", "const = 1", '"open', "if (x) }"]) assert.equal(status(code), "invalid", code);
  assert.equal(compiler.isComplete("if (x) {\n  f(").indent, "    ");
});
