import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { replaceFile, temporaryPath } from "../lib/replace-file.js";
import { writeWhole } from "../lib/write-file.js";
import { temporaryFolder } from "./kernels/temporary.js";

const folder = temporaryFolder();
let count = 0;
const fresh = (): string => {
  const path = join(folder, String(count++));
  mkdirSync(path);
  return path;
};

test("a link is followed, whether what it names is there or not", () => {
  const at = fresh();
  mkdirSync(join(at, "data"));
  symlinkSync("data/real", join(at, "second"));
  symlinkSync("second", join(at, "first"));
  for (const text of ["one", "two"]) {
    replaceFile(join(at, "first"), [text]);
    assert.equal(readFileSync(join(at, "data", "real"), "utf8"), text);
    assert.equal(readlinkSync(join(at, "first")), "second");
    assert.equal(readlinkSync(join(at, "second")), "data/real");
  }
  assert.deepEqual(readdirSync(join(at, "data")), ["real"]);
});

test("a text that is written whole goes through a link, and through none that lies in wait beside it", () => {
  const at = fresh();
  writeFileSync(join(at, "precious"), "kept");
  mkdirSync(join(at, "data"));
  symlinkSync("data/config.json", join(at, "config.json"));
  for (const name of ["config.json.tmp", ".config.json.tmp", "data/.config.json.tmp"])
    symlinkSync(join(at, "precious"), join(at, name));
  writeWhole(join(at, "config.json"), "{}");
  assert.equal(readFileSync(join(at, "precious"), "utf8"), "kept");
  assert.equal(readlinkSync(join(at, "config.json")), "data/config.json");
  assert.equal(readFileSync(join(at, "data", "config.json"), "utf8"), "{}");
});

test("links that lead round in a ring are refused", () => {
  const at = fresh();
  symlinkSync("b", join(at, "a"));
  symlinkSync("a", join(at, "b"));
  assert.throws(() => replaceFile(join(at, "a"), ["x"]), /too many links/);
});

test("a link planted at the temporary name keeps its target", () => {
  const at = fresh();
  writeFileSync(join(at, "victim"), "precious");
  symlinkSync("victim", temporaryPath(join(at, "out")));
  replaceFile(join(at, "out"), ["x", Buffer.from("y")]);
  assert.equal(readFileSync(join(at, "victim"), "utf8"), "precious");
  assert.equal(readFileSync(join(at, "out"), "utf8"), "xy");
  assert.ok(lstatSync(join(at, "out")).isFile());
  assert.ok(!existsSync(temporaryPath(join(at, "out"))));
});

test("a file keeps its mode, and one that fails half-way leaves the old one whole", () => {
  const at = fresh();
  writeFileSync(join(at, "out"), "old", { mode: 0o640 });
  function* failing(): Generator<string> {
    yield "half";
    throw new Error("no more");
  }
  assert.throws(() => replaceFile(join(at, "out"), failing()), /no more/);
  assert.equal(readFileSync(join(at, "out"), "utf8"), "old");
  replaceFile(join(at, "out"), ["new"]);
  assert.equal(statSync(join(at, "out")).mode & 0o777, 0o640);
  assert.deepEqual(readdirSync(at), ["out"]);
});
