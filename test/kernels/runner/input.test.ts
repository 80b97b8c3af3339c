/** A run that is impossible says why before anything is run or written. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { runNotebook } from "../../../kernels/runner/index.js";
import { lockOutput } from "../../../kernels/runner/output/lock.js";
import { parseNotebook } from "../../../lib/notebook/index.js";
import { temporaryFolder } from "../temporary.js";
import { command, installStub, load, notebookOf, saved, writeNotebook } from "./support.js";

const folder = temporaryFolder();
const env = installStub(folder);
Object.assign(process.env, env);
const file = (name: string): string => join(folder, name);
const good = writeNotebook(file("good.ipynb"), ["print a"], "stub");

describe("the command", () => {
  writeFileSync(file("text.ipynb"), "not a notebook");
  writeFileSync(file("empty.ipynb"), "");
  writeFileSync(file("old.ipynb"), '{"nbformat": 3, "worksheets": []}');
  writeFileSync(file("new.ipynb"), '{"nbformat": 5, "metadata": {}, "cells": []}');
  writeFileSync(file("bare.ipynb"), '{"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": []}');
  writeFileSync(file("list.yaml"), "- 1");
  writeFileSync(file("n.yaml"), "n: [1, 2]");
  mkdirSync(file("folder.ipynb"));

  const cases: [string[], number, RegExp][] = [
    [["run"], 2, /missing required argument 'input'/],
    [["run", "only-one"], 2, /missing required argument 'output'/],
    [["run", good, "x.ipynb", "--no-such-option"], 2, /unknown option/],
    [["run", good, "x.ipynb", "-p", "name"], 2, /Write a name and a value/],
    [["rum"], 2, /unknown command/],
    [["run", "nowhere.ipynb", "x.ipynb"], 1, /Cannot read nowhere\.ipynb\. There is no such file/],
    [["run", "folder.ipynb", "x.ipynb"], 1, /Cannot read folder\.ipynb\. It is a folder/],
    [["run", "text.ipynb", "x.ipynb"], 1, /not valid JSON/],
    [["run", "empty.ipynb", "x.ipynb"], 1, /It is empty/],
    [["run", "old.ipynb", "x.ipynb"], 1, /notebook format 3.*jupyter nbconvert/],
    [["run", "new.ipynb", "x.ipynb"], 1, /notebook format 5/],
    [["run", "bare.ipynb", "x.ipynb"], 1, /does not say which kernel/],
    [["run", "bare.ipynb", "x.ipynb", "-k", "modalscop"], 1, /There is no kernel "modalscop"/],
    [["run", "bare.ipynb", "x.ipynb", "-k", "stup"], 1, /There is no kernel "stup".*Did you mean "stub"/],
    [["run", "bare.ipynb", "text.ipynb/x.ipynb", "-k", "modalscope"], 1, /Cannot write text\.ipynb/],
    [["run", good, "folder.ipynb"], 1, /Cannot write folder\.ipynb\. It is a folder/],
    [["report", good, "-o", "text.ipynb/x"], 1, /Cannot write to text\.ipynb\/x/],
    [["report", good, "-o", "text.ipynb"], 1, /Cannot write to text\.ipynb\. A part of its path is a file/],
    [["report", "folder.ipynb", "-o", "report"], 1, /Cannot read folder\.ipynb\. It is a folder/],
    [["kernel", "install", "--user", "--prefix", "x"], 2, /cannot be used with option '--prefix/],
    [["run", good, "{run}.ipynb"], 1, /there is no "run"\. No parameters were given/],
    [
      ["run", good, "x.ipynb", "-f", "nowhere.yaml"],
      1,
      /Cannot read the parameters file nowhere\.yaml\. There is no such file/,
    ],
    [["run", good, "x.ipynb", "-f", "list.yaml"], 1, /no mapping/],
    [["run", good, "x.ipynb", "-p", "a", "1"], 1, /takes no parameters, but was given a/],
    [["run", good, "-", "--resume"], 1, /cannot be resumed/],
    [["run", good, "x.ipynb", "--cwd", "nowhere"], 1, /cannot work in nowhere\. There is no such folder/],
    [["run", "-", "runs", "--grid", "n.yaml"], 1, /A grid cannot run a notebook from standard input/],
    [["run", good, "x.ipynb", "--grid", "n.yaml"], 1, /All runs of the grid would write to x\.ipynb/],
    [["run", good, "runs", "--grid", "n.yaml", "--log-output"], 1, /are for one run/],
    [["run", good, "runs", "--grid", "n.yaml", "--max-memory", "much"], 2, /Cannot parse "much" as a size/],
  ];
  for (const [args, expected, message] of cases) {
    test(args.map((arg) => arg.replace(folder, "")).join(" "), async () => {
      const { code, stderr } = await command(args, { cwd: folder, env });
      assert.equal(code, expected, stderr);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /\n {4}at /, "a stack trace is no answer to a user");
      assert.ok(!existsSync(file("x.ipynb")));
    });
  }

  test("makes the folder of its output", async () => {
    const { code, stderr } = await command(["run", good, "a/b/c/x.ipynb"], { cwd: folder, env });
    assert.equal(code, 0, stderr);
    assert.ok(existsSync(file("a/b/c/x.ipynb")));
  });
});

test("what is not a notebook is told by its first fault", () => {
  const parse = (change: object): unknown =>
    parseNotebook(JSON.stringify({ ...notebookOf(["1"]), ...change }), "it");
  assert.throws(() => parse({ cells: undefined }), /lacks the field/);
  assert.throws(() => parse({ metadata: null }), /lacks the field/);
  assert.throws(() => parse({ cells: [1] }), /cell 1 is not an object/);
  assert.throws(() => parse({ cells: [{ cell_type: "heading", source: "" }] }), /unknown type "heading"/);
  assert.throws(() => parse({ cells: [{ cell_type: "code" }] }), /cell 1 has no source/);
  assert.throws(() => parse({ cells: [{ cell_type: "code", source: [1] }] }), /cell 1 has no source/);
  assert.throws(() => parse({ cells: [{ cell_type: "code", source: "", metadata: [] }] }), /metadata/);
  assert.throws(() => parse({ cells: [{ cell_type: "code", source: "", outputs: {} }] }), /outputs/);
  assert.throws(() => parseNotebook("null", "it"), /lacks the field/);
  const text = JSON.stringify(notebookOf(["1"]), null, 1);
  const merged = text.replace(' "cells"', '<<<<<<< HEAD\n "cells"');
  assert.throws(() => parseNotebook(merged, "it"), /it is not a notebook: a merge has left both versions/);
  // What looks like it inside a cell's text is no merge.
  assert.equal(parseNotebook(JSON.stringify(notebookOf(["a\n<<<<<<< HEAD"])), "it").cells.length, 1);
});

describe("an output", () => {
  test("that may not be written stays as it is", {
    skip: process.getuid?.() === 0 && "root may write all",
  }, async () => {
    writeFileSync(file("fixed.ipynb"), "precious");
    chmodSync(file("fixed.ipynb"), 0o444);
    await assert.rejects(runNotebook({ input: good, output: file("fixed.ipynb") }), /Cannot write/);
    assert.equal(readFileSync(file("fixed.ipynb"), "utf8"), "precious");
  });

  test("in a folder that cannot be made is refused", async () => {
    writeFileSync(file("plain"), "");
    for (const output of ["/proc/none/out.ipynb", file("plain/out.ipynb"), file("plain/below/out.ipynb")])
      await assert.rejects(runNotebook({ input: good, output }), /Cannot write/, output);
  });

  test("is not touched by a run that is not possible", async () => {
    writeFileSync(file("precious.ipynb"), "precious");
    const bad = { input: good, output: file("precious.ipynb"), parameters: { a: 1 } };
    await assert.rejects(runNotebook(bad), /takes no parameters/);
    assert.equal(readFileSync(file("precious.ipynb"), "utf8"), "precious");
  });

  test("behind a link is replaced where it is, with the permissions that it has", async () => {
    writeFileSync(file("target.ipynb"), "old");
    chmodSync(file("target.ipynb"), 0o640);
    symlinkSync(file("target.ipynb"), file("link.ipynb"));
    await runNotebook({ input: good, output: file("link.ipynb") });
    assert.equal(load(file("target.ipynb")).nbformat, 4);
    assert.equal(statSync(file("target.ipynb")).mode & 0o777, 0o640);
  });

  test("that is a device stays one", async () => {
    const { code, stderr } = await command(["run", good, "/dev/null"], { cwd: folder, env });
    assert.equal(code, 0, stderr);
    assert.ok(statSync("/dev/null").isCharacterDevice());
  });
});

describe("two runs to one output", () => {
  test("the second is refused, and the first goes on", async () => {
    const slow = writeNotebook(file("slow.ipynb"), ["print begun\nuntil second-ended\nprint done"], "stub");
    const output = file("shared.ipynb");
    let second: Promise<{ code: number | null; stderr: string }> | undefined;
    const first = await command(["run", slow, output], {
      cwd: folder,
      env,
      onStart(child) {
        second = saved(output, '"begun\\n"').then(async () => {
          const result = await command(["run", good, output], { cwd: folder, env });
          writeFileSync(file("second-ended"), "");
          assert.match(
            result.stderr,
            new RegExp(`Another run is writing to .*It is process ${child.pid}\\.`),
          );
          return result;
        });
      },
    });
    assert.equal(first.code, 0, first.stderr);
    assert.equal((await second)?.code, 1);
    assert.match(readFileSync(output, "utf8"), /done/);
    assert.ok(!existsSync(file(".shared.ipynb.lock")));
  });

  test("a lock that a dead run has left is taken over, one of another machine is not", () => {
    const path = file("locked.ipynb");
    const lock = file(".locked.ipynb.lock");
    const owners: [object | string, boolean][] = [
      [{ pid: 2 ** 22 + 1, host: hostname() }, true],
      // This process's number, of a process that began at another time.
      [{ pid: process.pid, host: hostname(), began: "1" }, true],
      ["", true],
      ["{", true],
      [{ pid: 1, host: `${hostname()}-other` }, false],
    ];
    for (const [owner, free] of owners) {
      writeFileSync(lock, typeof owner === "string" ? owner : JSON.stringify(owner));
      if (free) lockOutput(path)();
      else assert.throws(() => lockOutput(path), /Another run.*on .*-other.*remove .*\.lock/);
      assert.equal(existsSync(lock), !free);
    }
  });

  test("in one process", async () => {
    const release = lockOutput(file("own.ipynb"));
    await assert.rejects(runNotebook({ input: good, output: file("own.ipynb") }), /Another run/);
    release();
    await runNotebook({ input: good, output: file("own.ipynb") });
  });
});
