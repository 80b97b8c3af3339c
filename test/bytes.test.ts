import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, parseBytes } from "../lib/bytes.js";

test("a unit is decimal, and binary with an i", () => {
  const sizes: [string | number, number][] = [
    ["8GB", 8e9],
    ["8G", 8e9],
    ["8 gb", 8e9],
    ["8GiB", 8 * 2 ** 30],
    ["8Gi", 8 * 2 ** 30],
    ["1.5 MiB", 1.5 * 2 ** 20],
    ["500MB", 5e8],
    ["2t", 2e12],
    ["3KiB", 3072],
    ["100", 100],
    [100, 100],
    ["0.1kB", 100],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseBytes(text), bytes, String(text));
});

test("what is no size is refused with the way to write one", () => {
  for (const text of ["much", "", "GB", "-1GB", "1e9", "8 PB", "8iB", "1,5GB", Number.NaN, Infinity])
    assert.throws(() => parseBytes(text), /Cannot parse ".*" as a size\..*"4GB".*"4GiB"/, String(text));
});

test("bytes are shown in decimal units", () => {
  const texts: [number, string][] = [
    [0, "0 B"],
    [999, "999 B"],
    [1500, "1.5 kB"],
    [812_345_678, "812 MB"],
    [999_600, "1.0 MB"],
    [4 * 2 ** 30, "4.3 GB"],
    [5e15, "5000 TB"],
  ];
  for (const [bytes, text] of texts) assert.equal(formatBytes(bytes), text);
});
