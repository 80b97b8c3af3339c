/** Runs whose output is more than a notebook can hold, and outputs that are links. */
import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runNotebook } from "../../../../kernels/runner/index.js";
import { injectParameters } from "../../../../kernels/runner/parameters/inject.js";
import {
  type Parameters,
  parseParameters,
  parseValue,
} from "../../../../kernels/runner/parameters/values.js";
import { joined } from "../../../../lib/notebook/index.js";
import { rounds } from "../../../rounds.js";
import { temporaryFolder } from "../../temporary.js";
import { command, type Ended, installStub, load, notebookOf, writeNotebook } from "../support.js";

const folder = temporaryFolder();
Object.assign(process.env, installStub(folder));
/** 100 kB each; 20,000 make the 2 GB that no string holds. */
const prints = rounds(50, 20_000);

function writeText(path: string, text: string): string {
  writeFileSync(path, text);
  return path;
}

test("a cell that prints without end is cut, ends as any other, and the next one has its result", async () => {
  const input = writeNotebook(join(folder, "prints.ipynb"), [
    `const line = "x".repeat(99_999); for (let i = 0; i < ${prints}; i++) console.log(line);`,
    "'after'",
  ]);
  const output = join(folder, "printed.ipynb");
  const { status } = await runNotebook({ input, output, maxOutput: 1e6 });
  assert.equal(status, "completed");
  assert.ok(statSync(output).size < 1.1e6, `${statSync(output).size} bytes`);
  const [first, second] = load(output).cells;
  const last = first.outputs?.at(-1);
  assert.ok(last?.output_type === "stream" && /cut here.*1\.0 MB for one cell/.test(joined(last.text)));
  assert.equal(second.outputs?.[0].output_type, "execute_result");
});

test("--max-output takes a size", async () => {
  writeNotebook(join(folder, "few.ipynb"), [`print ${"y".repeat(5000)}`], "stub");
  const args = ["run", "few.ipynb", "few-out.ipynb", "--max-output"];
  assert.equal((await command([...args, "2kB"], { cwd: folder })).code, 0);
  assert.match(readFileSync(join(folder, "few-out.ipynb"), "utf8"), /limit of 2\.0 kB/);
  assert.equal((await command([...args, "much"], { cwd: folder })).code, 2);
});

test("outputs of many kinds are cut and end alike: one line, displays, stderr, timers, and what comes after the cell", async () => {
  const size = rounds(2_000_000, 100_000_000);
  const cells = [
    `console.log("x".repeat(${size}));`,
    `console.log("é\\n".repeat(${size / 4}));`,
    `import { display } from "tslab"; for (let i = 0; i < ${size / 1e5}; i++) display.html("<p>" + "x".repeat(1e5) + "</p>");`,
    `for (let i = 0; i < ${size / 1e5}; i++) process.stderr.write("e".repeat(1e5) + "\\n");`,
    `console.log(Array.from({ length: 100 }, (_, i) => ({ [i]: "y".repeat(${size / 100}) })));`,
    `let n = 0; await new Promise<void>((done) => { const timer = setInterval(() => { console.log("i".repeat(1e5)); if (++n === ${size / 1e5}) { clearInterval(timer); done(); } }, 0); });`,
    `import { execSync } from "node:child_process"; execSync("head -c ${size} /dev/zero | tr '\\\\0' f", { stdio: ["ignore", "inherit", "inherit"] });`,
    `let m = 0; const later = setInterval(() => { console.log("a".repeat(1e5)); if (++m === ${size / 1e5}) clearInterval(later); }, 0); "ended";`,
    `while (m < ${size / 1e5}) await new Promise((next) => setTimeout(next, 5)); "after";`,
  ];
  const input = writeNotebook(join(folder, "kinds.ipynb"), cells);
  const output = join(folder, "kinds-out.ipynb");
  const { status, error } = await runNotebook({ input, output, maxOutput: 1e6 });
  assert.equal(status, "completed", error?.evalue);
  for (const [i, cell] of load(output).cells.slice(0, 8).entries()) {
    const last = cell.outputs?.at(-1);
    assert.ok(last?.output_type === "stream" && /cut here.*1\.0 MB/.test(joined(last.text)), cells[i]);
  }
  assert.equal(load(output).cells[8].outputs?.[0].output_type, "execute_result");
  assert.ok(statSync(output).size < 10e6);
});

test("an error of any length is told on a few lines of a terminal", async () => {
  writeNotebook(join(folder, "long.ipynb"), ['throw new Error("m".repeat(3_000_000))']);
  const { code, stderr } = await command(["run", "long.ipynb", "long-out.ipynb"], { cwd: folder });
  assert.equal(code, 1);
  assert.ok(stderr.length < 200_000, `${stderr.length} characters`);
  assert.match(stderr, /\[…\]/);
});

test("an output that is a link to a file not there yet is written through it", async () => {
  const input = writeNotebook(join(folder, "linked.ipynb"), ["print linked"], "stub");
  mkdirSync(join(folder, "store"));
  symlinkSync("store/real.ipynb", join(folder, "link.ipynb"));
  for (let round = 0; round < 2; round++) {
    const { status } = await runNotebook({ input, output: join(folder, "link.ipynb") });
    assert.equal(status, "completed");
    assert.ok(lstatSync(join(folder, "link.ipynb")).isSymbolicLink());
    assert.equal(load(join(folder, "store", "real.ipynb")).metadata.papermill?.status, "completed");
  }
});

test("links that lead round in a ring, and a folder in a lock's place, are refused in words", async () => {
  const input = writeNotebook(join(folder, "round.ipynb"), ["print round"], "stub");
  symlinkSync("second.ipynb", join(folder, "first.ipynb"));
  symlinkSync("first.ipynb", join(folder, "second.ipynb"));
  mkdirSync(join(folder, ".blocked.ipynb.lock"));
  for (const [name, why] of [
    ["first.ipynb", /Cannot write .*first\.ipynb.*link/],
    ["blocked.ipynb", /\.blocked\.ipynb\.lock is a folder\. .*Move it away/],
  ] as const)
    await assert.rejects(runNotebook({ input, output: join(folder, name) }), (error: Error) => {
      assert.equal(error.name, "ModalscopeError", String(error));
      assert.match(error.message, why);
      return true;
    });
});

test("a lock that is a link is nobody's: the run goes on, and what it names stays", async () => {
  const input = writeNotebook(join(folder, "locked.ipynb"), ["print locked"], "stub");
  writeFileSync(join(folder, "precious"), JSON.stringify({ pid: process.pid, host: hostname() }));
  for (const [name, target] of [
    ["nowhere", join(folder, "not", "there")],
    ["itself", ".itself.ipynb.lock"],
    ["file", join(folder, "precious")],
    ["folder", folder],
  ]) {
    const output = join(folder, `${name}.ipynb`);
    symlinkSync(target, join(folder, `.${name}.ipynb.lock`));
    assert.equal((await runNotebook({ input, output })).status, "completed", name);
    assert.equal(existsSync(join(folder, "precious")), true);
    assert.deepEqual(
      readdirSync(folder).filter((file) => file.includes(`${name}.ipynb.lock`)),
      [],
    );
  }
});

test("a notebook with only a language finds its kernel", async () => {
  const input = writeNotebook(join(folder, "bare.ipynb"), ["2 * 3"]);
  const notebook = load(input);
  notebook.metadata = { language_info: { name: "typescript" } };
  const { status } = await runNotebook({
    input: writeText(join(folder, "language.ipynb"), JSON.stringify(notebook)),
    output: join(folder, "language-out.ipynb"),
  });
  assert.equal(status, "completed");
  notebook.metadata = { language_info: { name: "TypeScript" } };
  const capital = writeText(join(folder, "capital.ipynb"), JSON.stringify(notebook));
  assert.equal(
    (await runNotebook({ input: capital, output: join(folder, "capital-out.ipynb") })).status,
    "completed",
  );
  notebook.metadata = { language_info: { name: "julia" } };
  const julia = writeText(join(folder, "julia.ipynb"), JSON.stringify(notebook));
  await assert.rejects(
    runNotebook({ input: julia, output: "-" }),
    /no kernelspec; its language is julia.*--kernel/,
  );
});

test("a value that -p cannot express is refused with the way to write it", async () => {
  const cell = { source: "let ks: number[] = [1];\nlet a = 0;\nlet o = { k: 1 };", tags: ["parameters"] };
  const inject = (values: Parameters): unknown => injectParameters(notebookOf([cell]), values, { folder });
  let yaml = "";
  const given: [string, string, RegExp][] = [
    ["ks", "[13, 5]", /-y '\{ks: \[13, 5\]\}'/],
    ["a", "NaN", /-y '\{a: \.nan\}'/],
    ["a", "-Infinity", /-y '\{a: -\.inf\}'/],
    ["o", "{k: 2}", /-y '\{o: \{k: 2\}\}'/],
    ["o", "{k:2}", /-y '\{o: \{k: 2\}\}'/],
    ["o", '{"k":2}', /-y '\{o: \{"k":2\}\}'/],
    ["a", "inf", /-y '\{a: \.inf\}'/],
  ];
  for (const [name, value, way] of given) {
    assert.throws(
      () => inject({ [name]: parseValue(value) }),
      (error: Error) => {
        assert.match(error.message, way);
        yaml = /-y '(.*)'/.exec(error.message)?.[1] ?? "";
        return true;
      },
    );
    inject(parseParameters(yaml, "-y"));
  }
  assert.throws(() => inject({ ks: "[13, 5" }), /no list or object that can be read.*-y '\{ks: \[1, 2\]\}'/);
  writeNotebook(join(folder, "given.ipynb"), [cell]);
  const run = (...flags: string[]): Promise<Ended> =>
    command(["run", "given.ipynb", "x.ipynb", ...flags], { cwd: folder });
  const { code, stderr } = await run("-p", "o", "{k: 2}");
  assert.equal(code, 1);
  assert.match(stderr, /-y '\{o: \{k: 2\}\}'/);
  const again = await run("-y", yaml, "--prepare-only");
  assert.equal(again.code, 0, again.stderr);
});

test("a run that could not be saved says how far it came", async () => {
  writeNotebook(join(folder, "full.ipynb"), ["print 1", "fail late", "print 3"], "stub");
  const { code, stderr } = await command(["run", "full.ipynb", "/dev/full"], { cwd: folder });
  assert.equal(code, 1);
  assert.match(stderr, /no room left.*was failed \(StubError: late\), with 1 of 3 code cells done/);
});
