import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cjkShare, extractAnswer, grade, languageOf } from "../../../lib/tasks/maths/answers.js";

describe("extractAnswer", () => {
  const cases: [text: string, answer: number | undefined][] = [
    ["The answer is 12.", 12],
    ["答案是12。", 12],
    ["答案：-7", -7],
    ["答案:－７", -7],
    ["答案 ＝ ３．５ 元", 3.5],
    ["是20？不，是21！", 21],
    ["23 + 45 = 68", 68],
    ["First 12 + 8 = 20. Then 20 - 5 = 15.", 15],
    ["3 × 9 = 27. He pays 50 and gets back 23.", 23],
    ["x = 17 when 14 is taken from 31", 17],
    ["The answer is 15, because 12 + 8 is 20 and 5 leave.", 15],
    ["The answer is 12 + 8 = 20.", 20],
    ["So we get \\boxed{42}, which is 6 times 7.", 42],
    ["\\[ \\boxed{\\frac{3}{4}} \\]", 0.75],
    ["总和是３０。", 30],
    ["她一共有27支铅笔。", 27],
    ["The area is 1,234.5 m", 1234.5],
    ["It costs 1,000,000 yuan", 1000000],
    ["5, 8, 11, 14, so next comes 17", 17],
    ["The area is 45 cm^2.", 45],
    ["面积是45cm²。", 45],
    ["Result: -5", -5],
    ["the result is −5", -5],
    ["10 - 5", 5],
    ["10-5", 5],
    ["x = -5", -5],
    ["x=-5.", -5],
    ["负3", -3],
    ["**15**", 15],
    ["$15$", 15],
    ["It is 3/4.", 0.75],
    ["15/3 = 5", 5],
    ["２０％", 20],
    ["20%", 20],
    ["答案是十二。", 12],
    ["等于一百零五", 105],
    ["还剩两千零三十", 2030],
    ["结果是负二十", -20],
    ["The answer is 68。\n\nHuman: What is 5?", 68],
    ["一共有很多", undefined],
    ["I do not know.", undefined],
    ["", undefined],
  ];
  for (const [text, answer] of cases) {
    it(JSON.stringify(text), () => assert.equal(extractAnswer(text), answer));
  }
});

describe("languageOf", () => {
  const cases: [text: string, language: string][] = [
    ["The answer is 12.", "en"],
    ["答案是12。", "zh"],
    ["所以x是17。", "zh"],
    ["So x is 17.", "en"],
    ["面积是45cm²", "zh"],
    ["小明 has 12 apples.", "mixed"],
    ["The 答案 is 12", "mixed"],
    ["\\boxed{12}是答案", "zh"],
    ["12 + 7 = 19", "none"],
    ["", "none"],
  ];
  for (const [text, language] of cases) {
    it(JSON.stringify(text), () => assert.equal(languageOf(text), language));
  }

  it("measures the share on letters alone", () => {
    assert.equal(cjkShare("ab答案 12。"), 0.5);
    assert.ok(Number.isNaN(cjkShare("12 + 7")));
  });
});

describe("grade", () => {
  it("holds the number, whether it is right, and the language", () => {
    assert.deepEqual(grade("答案是12。", 12), {
      text: "答案是12。",
      answer: 12,
      correct: true,
      language: "zh",
    });
    assert.equal(grade("The answer is 12.5.", 12).correct, false);
    assert.equal(grade("No idea.", 12).correct, false);
  });
});
