import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { evaluate } from "../../../lib/tasks/maths/expression.js";
import { chatPrompt, checkMaths, loadMaths, plainPrompt } from "../../../lib/tasks/maths/maths.js";
import { MATHS_CATEGORIES } from "../../../lib/tasks/maths/wordings.js";

describe("evaluate", () => {
  const cases: [string, number][] = [
    ["23+45", 68],
    ["50 - 3*9", 23],
    ["2*(3+4)/7", 2],
    ["100-58-2", 40],
    ["48/4/3", 4],
    ["-(2-5)", 3],
    ["1.5*4", 6],
    ["max(3, 9, 2*4)", 9],
    ["1+min(7,5)", 6],
  ];
  for (const [expression, value] of cases) {
    it(expression, () => assert.equal(evaluate(expression), value));
  }
  for (const bad of [
    "",
    "1+",
    "(1+2",
    "1 2",
    "2**3",
    "1/0",
    "x+1",
    "process.exit()",
    "max",
    "max(",
    "max()",
    "max(1,",
    "min 3",
  ]) {
    it(`refuses ${JSON.stringify(bad)}`, () =>
      assert.throws(() => evaluate(bad), { name: "ModalscopeError" }));
  }
});

describe("the shipped problems", () => {
  const problems = loadMaths();

  it("are at least 24, in ten categories, each in both languages", () => {
    assert.ok(problems.length >= 24);
    assert.deepEqual(new Set(problems.map((p) => p.category)), new Set(MATHS_CATEGORIES));
    for (const { en, zh, id } of problems) {
      assert.match(en, /^[^\u4e00-\u9fff]+$/, id);
      assert.match(zh, /[\u4e00-\u9fff]/, id);
      assert.doesNotMatch(zh, /[A-Za-wyz]/, id);
    }
  });

  it("give both languages the same numbers", () => {
    // A number may be a word in one language ("one quarter", 四分之一): compare what is written in digits in both.
    for (const { en, zh, id } of problems) {
      const numbers = (text: string): string[] => (text.match(/\d+/g) ?? []).sort();
      assert.ok(numbers(en).length > 0, id);
      const missing = numbers(en).filter((n) => !numbers(zh).includes(n));
      const extra = numbers(zh).filter((n) => !numbers(en).includes(n));
      assert.deepEqual([missing, extra], [[], []], id);
    }
  });

  it("never print their answer in the question", () => {
    for (const { en, answer, id } of problems) assert.ok(!en.match(/\d+/g)?.includes(String(answer)), id);
  });
});

describe("loadMaths", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "maths-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  const good = {
    id: "a",
    category: "addition",
    expression: "1+1",
    answer: 2,
    en: "What is 1+1?",
    zh: "1加1?",
  };

  it("reads a file", () => {
    const path = join(folder, "good.json");
    writeFileSync(path, JSON.stringify({ problems: [good] }));
    assert.deepEqual(loadMaths(path), [good]);
  });

  it("says what is wrong with one", () => {
    const broken = join(folder, "broken.json");
    writeFileSync(broken, "{");
    assert.throws(() => loadMaths(broken), /broken\.json cannot be read/);
    assert.throws(() => loadMaths(join(folder, "absent.json")), /absent\.json cannot be read.*ENOENT/);
    assert.throws(() => loadMaths("maths-zh-em"), /Did you mean "maths-zh-en"/);
  });

  const bad: [name: string, value: unknown, message: RegExp][] = [
    ["no object", null, /here holds no problems/],
    ["no list", {}, /here holds no problems/],
    ["an empty list", { problems: [] }, /here holds no problems/],
    ["a missing field", { problems: [{ ...good, zh: undefined }] }, /problem 1 has no text in "zh"/],
    ["an answer that is no integer", { problems: [{ ...good, answer: "2" }] }, /no integer in "answer".*"2"/],
    ["a wrong answer", { problems: [{ ...good, answer: 3 }] }, /says 3.*1\+1 gives 2/],
    ["an id twice", { problems: [good, good] }, /the id "a" twice/],
  ];
  for (const [name, value, message] of bad) {
    it(`refuses ${name}`, () => assert.throws(() => checkMaths(value, "here"), message));
  }
});

describe("prompts", () => {
  const [problem] = loadMaths();

  it("are the question and a line break, or labelled", () => {
    assert.equal(plainPrompt(problem, "en"), "What is 23 plus 45?\n");
    assert.equal(plainPrompt(problem, "zh", "labelled"), "问题：23加45等于多少？\n答案：");
  });

  it("are a conversation for a chat template", () => {
    assert.deepEqual(chatPrompt(problem, "zh"), [{ role: "user", content: "23加45等于多少？" }]);
    assert.deepEqual(chatPrompt(problem, "en", { briefly: true }), [
      { role: "user", content: "What is 23 plus 45? Answer in one short sentence." },
    ]);
  });
});
