/** Requests that are too many, or not as the protocol says: the kernel answers or drops them, and lives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesGlob } from "../../../kernels/typescript/history.js";
import { temporaryFolder } from "../temporary.js";
import { replyTo, sendMalformed, startKernel } from "./malformed-messages.js";
import { within } from "./within.js";

const folder = temporaryFolder();

test("3,000 requests in a burst are all answered", async () => {
  const kernel = await startKernel(folder);
  try {
    const asked = Array.from({ length: 3000 }, () => kernel.request("shell", "kernel_info_request", {}));
    const replies = await within(Promise.all(asked), "3,000 replies");
    assert.ok(replies.every(({ content }) => content.status === "ok"));
  } finally {
    await kernel.close();
  }
});

test("requests that are not as the protocol says get an error reply", async () => {
  const kernel = await startKernel(folder);
  const header = (type: unknown): object => ({
    msg_id: "m",
    msg_type: type,
    session: "s",
    username: "u",
    date: "",
    version: "5.3",
  });
  try {
    for (const [type, content, why] of [
      ["complete_request", {}, /"code" must be text, not undefined/],
      ["complete_request", { code: "x", cursor_pos: "1" }, /"cursor_pos" must be a number, not string/],
      ["inspect_request", { code: 5, cursor_pos: 0 }, /"code" must be text, not number/],
      ["is_complete_request", { code: null }, /"code" must be text, not null/],
      ["execute_request", { code: ["1"] }, /"code" must be text, not a list/],
      ["execute_request", { code: "1", user_expressions: { a: 5 } }, /"a" must be text, not number/],
      ["kernel_info_request", "[]", /content is not a JSON object/],
      ["kernel_info_request", "{", /content is not a JSON object/],
    ] as const) {
      const reply = await replyTo(kernel, header(type), content);
      assert.equal(reply.status, "error");
      assert.match(String(reply.evalue), why);
    }
    const far = await replyTo(kernel, header("complete_request"), { code: "Math.", cursor_pos: 1e9 });
    assert.ok((far.matches as string[]).includes("max"));
    assert.equal((await replyTo(kernel, header("kernel_info_request"), {})).status, "ok");
  } finally {
    await kernel.close();
  }
});

test("60 malformed messages: the kernel lives and keeps its variables", () =>
  sendMalformed(folder, { count: 60, seed: 1 }));

test("history patterns: stars and question marks, in time that does not explode", () => {
  for (const [pattern, text, expected] of [
    ["*", "", true],
    ["a*c", "abc", true],
    ["a*c", "abd", false],
    ["?b?", "abc", true],
    ["?", "", false],
    ["*b*", "abc", true],
    ["a.c", "abc", false],
    ["**a", "ba", true],
    ["", "", true],
    ["", "a", false],
    ["*\n*", "a\nb", true],
  ] as const)
    assert.equal(matchesGlob(pattern, text), expected, `${pattern} on ${text}`);
  const begun = performance.now();
  assert.equal(matchesGlob(`${"*a".repeat(50)}b`, "a".repeat(10_000)), false);
  assert.ok(performance.now() - begun < 10_000);
});
