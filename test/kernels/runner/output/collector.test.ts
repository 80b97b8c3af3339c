import assert from "node:assert/strict";
import { test } from "node:test";
import type { Output } from "../../../../kernels/protocol/index.js";
import { OutputCollector } from "../../../../kernels/runner/output/collector.js";
import { fileSize } from "../../../../kernels/runner/output/size.js";
import { type Cell, joined, newCell, notebookPieces } from "../../../../lib/notebook/index.js";

const print = (text: string, name: "stdout" | "stderr" = "stdout"): Output => ({
  type: "stream",
  content: { name, text },
});
const error: Output = { type: "error", content: { ename: "E", evalue: "late", traceback: ["E: late"] } };
const code = (): Cell => newCell("code", "", []);

function textOf(cell: Cell): string {
  return (cell.outputs ?? []).map((one) => (one.output_type === "stream" ? joined(one.text) : "")).join("");
}

/** Bytes of the cells' outputs as a file has them. */
function bytesOf(...cells: Cell[]): number {
  let bytes = 0;
  for (const piece of notebookPieces({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells }))
    bytes += Buffer.byteLength(piece);
  return bytes;
}

test("what passes a cell's limit is cut with a line that says so, and an error is still kept", () => {
  const cell = code();
  const collector = new OutputCollector(1000);
  for (let i = 0; i < 50; i++) collector.add(cell, print("ab".repeat(20)));
  collector.add(cell, {
    type: "execute_result",
    content: { data: { "text/plain": "1" }, metadata: {}, execution_count: 1 },
  });
  collector.add(cell, error);
  assert.deepEqual(
    cell.outputs?.map((one) => one.output_type),
    ["stream", "stream", "error"],
  );
  const text = textOf(cell);
  assert.match(
    text,
    /^(ab)+a?\n\[The output is cut here: it passes the limit of 1\.0 kB for one cell \(--max-output\)\.\]\n$/,
  );
  assert.ok(text.length > 800 && text.length < 1100, String(text.length));
});

test("a text that is too long by itself is cut within, and not within a character", () => {
  for (const sign of ["😀", "\u001b", "\n", "é"]) {
    const cell = code();
    new OutputCollector(5000).add(cell, print(sign.repeat(100_000)));
    const [kept] = textOf(cell).split("\n[The output");
    assert.equal(kept.replaceAll(sign, ""), "");
    assert.ok(bytesOf(cell) < 6500, `${JSON.stringify(sign)}: ${bytesOf(cell)} bytes`);
    assert.ok(bytesOf(cell) > 2000, `${JSON.stringify(sign)}: ${bytesOf(cell)} bytes`);
  }
});

test("each cell has its own limit, and clearing gives it back", () => {
  const [first, second] = [code(), code()];
  const collector = new OutputCollector(300);
  collector.add(first, print("a".repeat(1000)));
  collector.add(second, print("b".repeat(100)));
  assert.match(textOf(first), /cut here/);
  assert.equal(textOf(second), "b".repeat(100));
  collector.add(first, { type: "clear_output", content: { wait: true } });
  collector.add(first, print("c".repeat(100)));
  assert.equal(textOf(first), "c".repeat(100));
});

test("all cells together are cut where the file could no longer be read", () => {
  const collector = new OutputCollector(10e9, 20e6);
  const cells = Array.from({ length: 6 }, code);
  const piece = "x".repeat(500e3);
  for (const cell of cells) for (let i = 0; i < 10; i++) collector.add(cell, print(piece));
  assert.match(textOf(cells[0]).slice(-200), /x$/);
  assert.match(textOf(cells[4]).slice(-120), /cut here: it passes the limit of 20\.0 MB for all cells/);
  const late = code();
  collector.add(late, {
    type: "execute_result",
    content: { data: { "text/plain": "1" }, metadata: {}, execution_count: 1 },
  });
  assert.equal(late.outputs?.[0].output_type, "execute_result");
  const bytes = bytesOf(...cells);
  assert.ok(bytes > 19e6 && bytes < 20.5e6, String(bytes));
});

test("when nothing else is said, all cells together are cut at 400 MB", () => {
  const collector = new OutputCollector(10e9);
  const cell = code();
  const piece = "x".repeat(50e6);
  for (let i = 0; i < 8; i++) collector.add(cell, print(piece));
  collector.add(cell, print("too much"));
  const texts = (cell.outputs ?? []).flatMap((one) => (one.output_type === "stream" ? one.text : []));
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  assert.ok(length > 390e6 && length < 401e6, String(length));
  assert.match(texts.at(-1)?.slice(-120) ?? "", /cut here: it passes the limit of 400 MB for all cells/);
});

test("an update that has no room leaves what is shown; one that has replaces it", () => {
  const cell = code();
  const collector = new OutputCollector(500);
  const shown = (type: "display_data" | "update_display_data", text: string): Output => ({
    type,
    content: { data: { "text/plain": text }, metadata: {}, transient: { display_id: "d" } },
  });
  collector.add(cell, shown("display_data", "one"));
  collector.add(cell, shown("update_display_data", "2".repeat(1000)));
  collector.add(cell, shown("update_display_data", "three"));
  assert.deepEqual(cell.outputs, [
    { output_type: "display_data", data: { "text/plain": "three" }, metadata: {} },
  ]);
});

test("an error's message and traceback are clipped", () => {
  const cell = code();
  const content = { ename: "E", evalue: "v".repeat(3e6), traceback: ["t".repeat(2e6), "u".repeat(2e6)] };
  new OutputCollector(100).add(cell, { type: "error", content });
  assert.ok(bytesOf(cell) < 2.1e6, String(bytesOf(cell)));
});

test("the size of an output is what it takes in the file, or little more", () => {
  for (const text of ["plain", "a\nb\nc\n", '\u0000\u001b"\\', "ü😀", "\n".repeat(1000)]) {
    const [empty, full] = [code(), code()];
    full.outputs = [{ output_type: "stream", name: "stdout", text }];
    empty.outputs = [{ output_type: "stream", name: "stdout", text: "" }];
    const bytes = bytesOf(full) - bytesOf(empty);
    assert.ok(
      fileSize(text) >= bytes - 8 && fileSize(text) <= bytes * 1.3 + 20,
      `${fileSize(text)} for ${bytes}`,
    );
  }
});
