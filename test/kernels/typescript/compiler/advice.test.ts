import assert from "node:assert/strict";
import { before, test } from "node:test";
import { type Compiler, createCompiler } from "../../../../kernels/typescript/compiler/compiler.js";
import { temporaryFolder } from "../../temporary.js";

const folder = temporaryFolder();
let compiler: Compiler;

before(() => {
  compiler = createCompiler(folder);
});

function messages(code: string): string[] {
  const result = compiler.compile(code, "In[1]");
  assert.ok(!result.ok, `compiled: ${code}`);
  return result.problems.map(({ message }) => message);
}

test("IPython's habits get a hint, once", () => {
  for (const [code, hint] of [
    ["%timeit 1+1", /console\.time\(\)/],
    ["%%time\n1 + 1", /console\.time\(\)/],
    ["%matplotlib inline", /without IPython's magics/],
    ["%cd /tmp", /process\.chdir\("\/tmp"\)/],
    ["%pip install x", /npm/],
    ["!pip install x", /npm/],
    ["!ls", /execSync\("ls"/],
    ["!ls -la", /execSync\("ls -la"/],
    ["const a = 1;\n!git status --short", /execSync\("git status --short"/],
    ["%%bash\nls", /execSync/],
    ["?compiler", /Shift\+Tab/],
    ["compiler?", /Shift\+Tab/],
    [
      "const two = (t: any, c: any) => t;\n@two class D {}",
      /experimental decorators.*\(target\), of a class/,
    ],
    ["compiler??", /Shift\+Tab/],
  ] as const) {
    assert.equal(
      messages(code).filter((message) => hint.test(message)).length,
      1,
      `${code}: ${messages(code)}`,
    );
  }
});

test("JSX gets a hint", () => {
  for (const code of ["<div>hi</div>", "const a = <b x='1' />;", "const f = () => <><i/></>;"])
    assert.match(messages(code).join("\n"), /Cells take no JSX.*\.tsx/, code);
});

test("other mistakes do not", () => {
  for (const code of [
    "!nothing.here(",
    "a < b >",
    "const x = 5 %",
    "nothing",
    "1 +",
    "if (!ls) 1",
    "cond ? 1",
    "x: number?",
  ])
    assert.doesNotMatch(messages(code).join("\n"), /IPython|JSX/, code);
});

test("a cell that is too large for the checker says how to run it all the same", () => {
  const branches = Array.from({ length: 3000 }, (_, i) => `if (Math.random() < ${i}) { f() }`);
  const code = `let v: string | number = Math.random() > 1 ? 1 : "a";\nfunction f() {}\n${branches.join("\n")}\nv`;
  assert.match(messages(code)[0], /too large for control flow analysis.*@ts-nocheck/);
  assert.ok(compiler.compile(`// @ts-nocheck\n${code}`, "In[1]").ok);
});
