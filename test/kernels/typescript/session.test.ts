import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Output } from "../../../kernels/protocol/outputs.js";
import { type Outcome, openSession, type Session } from "../../../kernels/typescript/session.js";
import { temporaryFolder } from "../temporary.js";

const folder = temporaryFolder({
  "near.ts":
    "import { enumerated } from './deeper/far.js';\nexport const near: string = 'near ' + enumerated;",
  "deeper/far.ts": "enum E { A = 4 }\nexport const enumerated: number = E.A;",
  "node_modules/only-exports/package.json":
    '{"name":"only-exports","type":"module","exports":{".":"./in/x.js"}}',
  "node_modules/only-exports/in/x.js": "export const kind = 'exports only';",
  "node_modules/waits/package.json": '{"name":"waits","type":"module","exports":"./x.js"}',
  "node_modules/waits/x.js": "await new Promise((r) => setTimeout(r, 5)); export const kind = 'waited';",
  "node_modules/common/package.json": '{"name":"common","main":"x.js"}',
  "node_modules/common/x.js":
    "const all = { hidden: 'found' }; for (const k of ['hidden']) module.exports[k] = all[k];",
});

let session: Session;
let count = 0;

async function run(
  code: string,
): Promise<{ outcome: Outcome; outputs: Output[]; text: string; result: string }> {
  const outputs: Output[] = [];
  const outcome = await session.execute(code, {
    count: ++count,
    onOutput: (output) => void outputs.push(output),
  });
  const text = outputs.map((o) => (o.type === "stream" ? o.content.text : "")).join("");
  const last = outputs.find((o) => o.type === "execute_result");
  return {
    outcome,
    outputs,
    text,
    result: last === undefined ? "" : String(last.content.data["text/plain"]),
  };
}

async function value(code: string): Promise<string> {
  const { outcome, result } = await run(code);
  assert.equal(outcome.status, "ok", JSON.stringify(outcome.error));
  return result;
}

before(() => {
  session = openSession({ folder });
});
after(() => session.close());

test("halves of surrogate pairs, which Jupyter cannot save, are replaced; all other text stays", async () => {
  const display = "(globalThis as any)[Symbol.for('modalscope.display')].display";
  const { outputs } = await run(
    `${display}({ "text/plain": "a\\ud800b \\u{1F600} \\\\ud800", "application/json": { "\\udfff": ["\\ud83d"] } })`,
  );
  assert.deepEqual(outputs[0].type === "display_data" && outputs[0].content.data, {
    "text/plain": "a\ufffdb \u{1F600} \\ud800",
    "application/json": { "\ufffd": ["\ufffd"] },
  });
  const thrown = await run("throw new Error('\\udc00x')");
  assert.equal(thrown.outcome.error?.evalue, "\ufffdx");
  const wrong = await run("const s: number = '\ud800';");
  assert.match(JSON.stringify(wrong.outcome.error), /not assignable/);
  assert.doesNotMatch(JSON.stringify(wrong.outcome.error), /\\ud8/);
});

describe("values", () => {
  test("exported by default keep their names for later cells", async () => {
    assert.equal(await value("export default function named() { return 7 }\nnamed()"), "7");
    assert.equal(await value("named()"), "7");
    await value("export default class Kept { v = 3 }");
    assert.equal(await value("new Kept().v + named()"), "10");
    assert.equal(await value("function named() { return 8 }\nnamed()"), "8");
    assert.equal(
      await value("export default interface Shape { a: number }\nconst s: Shape = { a: 1 }; s.a"),
      "1",
    );
    assert.equal(await value("const s2: Shape = { a: 2 }; s2.a"), "2");
  });

  test("live on, are set anew, and are shared both ways", async () => {
    await value("let n = 1; const up = () => ++n; let empty: number;");
    assert.equal(await value("up(); n += 10; [n, up(), n]"), "[ 12, 13, 13 ]");
    assert.equal(await value("let empty: number; n = 5; up()"), "6");
    assert.equal(await value("const n = 'other'; n"), "'other'");
  });

  test("a function that is declared again is the one that other cells call", async () => {
    await value("function step() { return 'old' }");
    await value("function twice() { return step() + step() }");
    await value("function step() { return 'new' }");
    assert.equal(await value("twice()"), "'newnew'");
  });

  test("top-level await, for await, await using, destructuring, enums and classes", async () => {
    await value("async function* two() { yield 1; yield 2 }\nconst got: number[] = [];");
    await value(
      "for await (const x of two()) got.push(x);\nconst { a, b: [c] } = await Promise.resolve({ a: 1, b: [2] });",
    );
    assert.equal(
      await value("enum Colour { Red = 'r' }\nclass A { constructor(readonly x: number) {} }\n[got, a, c]"),
      "[ [ 1, 2 ], 1, 2 ]",
    );
    assert.equal(await value("[Colour.Red, new A(3).x]"), "[ 'r', 3 ]");
  });

  test("the last value is shown, a statement's is not", async () => {
    assert.equal((await run("const quiet = 1;")).outputs.length, 0);
    assert.equal((await run("undefined")).outputs.length, 0);
    assert.equal(await value("({ a: 1 })"), "{ a: 1 }");
    const { outputs } = await run("({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<i>' }) })");
    assert.deepEqual(outputs[0].content, {
      data: { "text/html": "<i>" },
      metadata: {},
      execution_count: count,
    });
  });
});

describe("a cell that is compiled while the one before it runs", () => {
  /** Runs cells as the runner does: each knows the next one's code. */
  async function runAll(...cells: string[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const [i, code] of cells.entries())
      outcomes.push(await session.execute(code, { count: ++count, onOutput() {}, next: cells[i + 1] }));
    return outcomes;
  }

  test("takes what that one declares, and is stopped by its own mistakes", async () => {
    const [first, second, third] = await runAll(
      "const given = 1;",
      "const taken: number = given + 1;",
      "const wrong: string = taken;",
    );
    assert.deepEqual([first.status, second.status], ["ok", "ok"]);
    assert.match(third.error?.evalue ?? "", /not assignable/);
    assert.equal(await value("taken"), "2");
  });

  test("sees only what came to be where that one fails", async () => {
    await value("const shape = 1;");
    const [failed, after] = await runAll(
      "const came = 2; throw new Error('here'); const shape = 'text';",
      "came + shape.toFixed().length",
    );
    assert.deepEqual([failed.cause, after.status], ["thrown", "ok"], JSON.stringify(after.error));
    const [, lost] = await runAll("throw new Error('here'); const never = 1;", "never");
    assert.deepEqual([lost.cause, lost.error?.ename], ["compiler", "TypeScriptError"]);
  });

  test("sees a file and a package that that one writes", async () => {
    const write = (path: string, text: string): string =>
      `writeFileSync(${JSON.stringify(join(folder, path))}, ${JSON.stringify(text)});`;
    const [, ...others] = await runAll(
      `import { mkdirSync, writeFileSync } from "node:fs"; ${write("ahead.ts", "export const old = 1;")}`,
      `import { old } from "./ahead"; ${write("ahead.ts", "export const fresh = 'new';")}`,
      'import { fresh } from "./ahead"; fresh.toUpperCase();',
      `mkdirSync(${JSON.stringify(join(folder, "node_modules/late"))});
       ${write("node_modules/late/package.json", '{"name":"late","main":"x.js","types":"x.d.ts"}')}
       ${write("node_modules/late/x.js", "exports.late = 1;")}
       ${write("node_modules/late/x.d.ts", "export const late: number;")}`,
      'import { late } from "late"; late.toFixed();',
    );
    for (const { status, error } of others) assert.equal(status, "ok", error?.evalue);
  });

  test("is not run where another cell comes in its place", async () => {
    const outcome = await session.execute("const base = 1;", {
      count: ++count,
      onOutput() {},
      next: "const unused = base;",
    });
    assert.equal(outcome.status, "ok");
    await value("const other = base;");
    assert.match((await run("unused")).outcome.error?.evalue ?? "", /Cannot find name/);
  });
});

describe("imports", () => {
  test("a package that was not there and is installed meanwhile", async () => {
    const code = "import { later } from 'later-on'; later.toFixed()";
    assert.match((await run(code)).outcome.error?.evalue ?? "", /Cannot find module 'later-on'/);
    const installed = join(folder, "node_modules/later-on");
    mkdirSync(installed);
    writeFileSync(join(installed, "package.json"), '{"name":"later-on","main":"x.js","types":"x.d.ts"}');
    writeFileSync(join(installed, "x.js"), "exports.later = 1;");
    writeFileSync(join(installed, "x.d.ts"), "export const later: number;");
    assert.equal(await value(code), "'1'");
  });

  test("files beside the notebook in TypeScript, and again after a change", async () => {
    assert.equal(await value("import { near } from './near.ts'; near"), "'near 4'");
    writeFileSync(join(folder, "near.ts"), "export const near: string = 'changed';");
    assert.equal(await value("import { near } from './near'; near"), "'changed'");
  });

  test("packages with exports only, with top-level await, and CommonJS ones", async () => {
    const code = ["only-exports", "waits"]
      .map((name, i) => `import { kind as k${i} } from '${name}';`)
      .join("\n");
    assert.equal(await value(`// @ts-nocheck\n${code}\n[k0, k1]`), "[ 'exports only', 'waited' ]");
    assert.equal(await value("// @ts-nocheck\nimport { hidden } from 'common'; hidden"), "'found'");
    assert.equal(await value("(await import('only-exports' as string)).kind"), "'exports only'");
    assert.equal(await value("require('common').hidden"), "'found'");
  });

  test("modalscope, from a folder that knows nothing of it", async () => {
    assert.equal(await value("import { seeded } from 'modalscope'; seeded(1).int(1)"), "0");
  });

  test("notebooks made for tslab show what they show", async () => {
    const { outputs } = await run("import * as tslab from 'tslab';\ntslab.display.html('<b>x</b>');");
    assert.deepEqual(outputs[0], {
      type: "display_data",
      content: { data: { "text/html": "<b>x</b>" }, metadata: {} },
    });
  });

  test("a display of tslab's own is replaced by what it shows next", async () => {
    const { outputs } = await run(
      "import { newDisplay } from 'tslab';\nconst shown = newDisplay();\nshown.text('one');\nshown.png(new Uint8Array([1, 2]));",
    );
    const [first, second] = outputs;
    assert.equal(first.type, "display_data");
    assert.equal(second.type, "update_display_data");
    assert.ok(first.type === "display_data" && second.type === "update_display_data");
    assert.deepEqual(first.content.data, { "text/plain": "one" });
    assert.deepEqual(second.content.data, { "image/png": "AQI=" });
    assert.deepEqual(first.content.transient, second.content.transient);
    assert.equal(await value("require('tslab').newDisplay === newDisplay"), "true");
    const { outcome } = await run("import { nothing } from 'tslab';");
    assert.match(outcome.error?.evalue ?? "", /no exported member 'nothing'/);
  });
});

describe("errors", () => {
  test("name the cell's own line", async () => {
    const { outcome } = await run(
      "type T = { a: number;\n  b: string };\nfunction thrower(x: T) {\n\tthrow new RangeError('far');\n}\nthrower({ a: 1, b: '' });",
    );
    assert.equal(outcome.cause, "thrown");
    assert.equal(outcome.error?.ename, "RangeError");
    assert.equal(outcome.error?.evalue, "far");
    const [stack, frame] = outcome.error?.traceback ?? [];
    assert.match(
      stack,
      new RegExp(
        `^RangeError: far\\n {4}at thrower \\(In\\[${count}\\]:4:8\\)\\n {4}at In\\[${count}\\]:6:1$`,
      ),
    );
    assert.match(frame, /> 4 \| \tthrow new RangeError/);
  });

  test("a trace of what is no error has Node's headline", async () => {
    const { text } = await run("console.trace('here', 1);");
    assert.equal(text, `Trace: here 1\n    at In[${count}]:1:9\n`);
    const heads =
      "const o: any = {}; Error.captureStackTrace(o); const p: any = { name: 'P', message: 'm' };" +
      " Error.captureStackTrace(p); class E extends Error { toString() { return 'own' } }" +
      " [o, p, new E('m')].map(({ stack }) => stack.split('\\n')[0]).join()";
    assert.equal(await value(heads), "'Error,P: m,Error: m'");
  });

  test("a script's first line is a comment", async () => {
    assert.equal(await value("#!/usr/bin/env node\n1 + 1"), "2");
    assert.equal(await value("#!/usr/bin/env -S npx tsx\nawait 5"), "5");
  });

  test("what was set before a failure stays, what was not is unknown", async () => {
    await run("const set = 1;\n(() => { throw 'text' })();\nconst unset = 2;");
    assert.equal(await value("set"), "1");
    const { outcome } = await run("unset");
    assert.equal(outcome.cause, "compiler");
    assert.match(outcome.error?.evalue ?? "", /Cannot find name 'unset'/);
  });

  test("rejections and timers' errors fail the cell that caused them", async () => {
    const rejected = await run("Promise.reject(new Error('nobody handles'));");
    assert.equal(rejected.outcome.error?.evalue, "nobody handles");
    const late = await run(
      "setTimeout(() => { throw new Error('late') }, 5);\nawait new Promise((r) => setTimeout(r, 200));",
    );
    assert.equal(late.outcome.error?.evalue, "late");
  });

  test("a missing name of a module", async () => {
    const { outcome } = await run("// @ts-nocheck\nimport { nothing } from 'node:path'; nothing");
    assert.equal(outcome.error?.evalue, "The module 'node:path' has no export named 'nothing'.");
  });
});

describe("an interrupt", () => {
  async function interrupted(code: string): Promise<void> {
    // Not before it runs: under load compiling may take longer than any fixed time.
    const onOutput = ({ content }: Output): void => {
      if ("text" in content && content.text === "started\n") setTimeout(() => session.interrupt(), 50);
    };
    const outcome = await session.execute(`console.log("started");\n${code}`, { count: ++count, onOutput });
    assert.equal(outcome.cause, "interrupt", JSON.stringify(outcome));
    assert.equal(outcome.error?.ename, "KeyboardInterrupt");
  }

  const loops: Record<string, string> = {
    "a loop": "for (;;) turns++;",
    "a loop after an await": "await new Promise((r) => setTimeout(r, 10)); for (;;) turns++;",
    "a loop of microtasks": "for (;;) { await null; turns++ }",
    "a loop of timers": "for (;;) { await new Promise((r) => setTimeout(r, 2)); turns++ }",
    "a loop that prints, and catches all": "for (;;) { turns++; try { console.log(turns) } catch {} }",
    "an endless wait": "turns++; await new Promise(() => {});",
  };
  for (const [name, code] of Object.entries(loops)) {
    test(`stops ${name}, and the variables stay`, async () => {
      await value("let turns = 0;");
      await interrupted(code);
      const before = Number(await value("turns"));
      assert.ok(before > 0);
      await value("await new Promise((r) => setTimeout(r, 30));");
      assert.equal(Number(await value("turns")), before, "it went on");
    });
  }

  test("is not lost when it comes before the cell has begun", async () => {
    await value("let turns = 0;");
    for (const delayMs of [0, 1, 2, 5, 10, 20, 50]) {
      const running = session.execute("for (;;) turns++;", { count: ++count, onOutput: () => {} });
      // Sent again until it is taken: before a cell is compiled there may be nothing to interrupt yet.
      const timer = setInterval(() => session.interrupt(), Math.max(1, delayMs));
      const { cause } = await running;
      clearInterval(timer);
      assert.equal(cause, "interrupt");
    }
    await value("turns");
  });

  test("waits for a native call to return", async () => {
    const lock = new URL("../../../lib/native-lock.js", import.meta.url).href;
    await value(
      `const { lockNative, unlockNative } = await import('${lock}' as string); let [native, begun] = [0, 0];`,
    );
    // As native code holds the thread, which onnxruntime's run does.
    await interrupted(
      "for (;;) { lockNative(); try { begun++; const end = Date.now() + 300; while (Date.now() < end); native++ } finally { unlockNative() } }",
    );
    assert.equal(await value("native > 0 && native === begun"), "true");
  });
});

test("what an earlier cell left running prints into that cell", async () => {
  const first: Output[] = [];
  await session.execute("void setTimeout(() => console.log('from the first'), 50);", {
    count: ++count,
    onOutput: (output) => void first.push(output),
  });
  const { text } = await run("await new Promise((r) => setTimeout(r, 150)); console.log('second');");
  assert.equal(text, "second\n");
  assert.deepEqual(first, [{ type: "stream", content: { name: "stdout", text: "from the first\n" } }]);
});

test("what native code and child processes print is there", async () => {
  const { text } = await run(
    "import { spawnSync } from 'node:child_process';\nspawnSync('echo', ['native'], { stdio: 'inherit' });",
  );
  assert.equal(text, "native\n");
});

test("a process that leaves another one behind, which holds its streams: the cell still ends", async () => {
  const doomed = openSession({ folder });
  let text = "";
  const { cause } = await doomed.execute(
    `import { spawn } from "node:child_process";
     spawn("sleep", ["20"], { stdio: "inherit", detached: true }).unref();
     console.log("so far");
     process.exit(4);`,
    {
      count: 1,
      onOutput: (output) => {
        if (output.type === "stream") text += output.content.text;
      },
    },
  );
  assert.deepEqual([cause, text], ["death", "so far\n"]);
  await doomed.close();
});

test("a process that ends while the next cell is being compiled: that cell says so", async () => {
  const doomed = openSession({ folder });
  const long = Array.from({ length: 3000 }, (_, i) => `const a${i} = [${i}].map((x) => x + 1)[0];`).join(
    "\n",
  );
  let printed = "";
  await doomed.execute("console.log(process.pid)", {
    count: 1,
    onOutput: (output) => {
      if (output.type === "stream") printed += output.content.text;
    },
  });
  const outcome = doomed.execute(long, { count: 2, onOutput() {} });
  process.kill(Number(printed), "SIGKILL");
  assert.equal((await outcome).cause, "death");
  assert.match((await outcome).error?.evalue ?? "", /SIGKILL/);
  await doomed.close();
});
