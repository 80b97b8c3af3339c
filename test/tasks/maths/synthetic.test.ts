import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seeded } from "../../../lib/random.js";
import { extractAnswer, languageOf } from "../../../lib/tasks/maths/answers.js";
import { evaluate } from "../../../lib/tasks/maths/expression.js";
import { drawProblem, drawProblems, HELD_OUT_PERCENT, splitOf } from "../../../lib/tasks/maths/synthetic.js";
import { type Language, MATHS_CATEGORIES, PROBLEM_KINDS } from "../../../lib/tasks/maths/wordings.js";

const LANGUAGES: Language[] = ["en", "zh"];

describe("drawProblems", () => {
  const train = drawProblems(seeded(1), 300, "train");
  const heldOut = drawProblems(seeded(2), 60, "heldout");

  it("covers the ten categories in both splits", () => {
    for (const problems of [train, heldOut]) {
      assert.deepEqual(new Set(problems.map((p) => p.category)), new Set(MATHS_CATEGORIES));
    }
  });

  it("never shares an underlying problem between the splits", () => {
    const trained = new Set(train.map((p) => p.key));
    for (const { key } of heldOut) assert.ok(!trained.has(key), key);
  });

  it("keeps a problem and its mirror image together where order does not matter", () => {
    for (let a = 1; a <= 20; a++) {
      for (let b = 1; b < a; b++) {
        const mirrored = [...train, ...heldOut].filter(
          (p) => p.fact === `${a}+${b}=` || p.fact === `${b}+${a}=`,
        );
        assert.ok(new Set(mirrored.map((p) => splitOf(p.key))).size <= 1, `${a}+${b}`);
      }
    }
  });

  it("answers in the question's language with the right number", () => {
    for (const { question, sentence, answer } of [...train, ...heldOut]) {
      for (const language of LANGUAGES) {
        assert.equal(languageOf(question[language]), language, question[language]);
        assert.equal(languageOf(sentence[language]), language, sentence[language]);
        assert.equal(extractAnswer(sentence[language]), answer, sentence[language]);
      }
    }
  });

  it("says the same numbers in both languages, all below 100 and whole", () => {
    const numbers = (text: string): string[] => (text.match(/\d+/g) ?? []).sort();
    for (const { question, sentence, answer, expression } of train) {
      assert.deepEqual(numbers(question.en), numbers(question.zh), question.en);
      assert.deepEqual(numbers(sentence.en), numbers(sentence.zh), sentence.en);
      assert.ok(Number.isInteger(answer) && answer >= 0, question.en);
      assert.equal(evaluate(expression), answer, question.en);
      for (const n of numbers(question.en + sentence.en)) assert.ok(Number(n) < 100, question.en);
    }
  });

  it("leaves no slot of a wording unfilled", () => {
    for (const { question, sentence, fact } of train) {
      const text = [fact, ...Object.values(question), ...Object.values(sentence)].join(" ");
      assert.doesNotMatch(text, /[{}]|undefined|NaN/, text);
    }
  });

  it("is the same for the same seed", () => {
    assert.deepEqual(drawProblems(seeded(2), 60, "heldout"), heldOut);
    assert.notDeepEqual(drawProblems(seeded(3), 60, "heldout"), heldOut);
  });
});

describe("the arithmetic of each kind", () => {
  // By the bare fact, read by hand-written rules that share nothing with the generator.
  const rules: [pattern: RegExp, answer: (...n: number[]) => number][] = [
    [/^(\d+)\+(\d+)=$/, (a, b) => a + b],
    [/^(\d+)-(\d+)=$/, (a, b) => a - b],
    [/^(\d+)×(\d+)=$/, (a, b) => a * b],
    [/^(\d+)÷(\d+)=$/, (a, b) => a / b],
    [/^(\d+)\+(\d+)-(\d+)=$/, (a, b, c) => a + b - c],
    [/^1\/(\d+)×(\d+)=$/, (b, a) => a / b],
    [/^x\+(\d+)=(\d+),x=$/, (a, b) => b - a],
    [/^(\d+)×x=(\d+),x=$/, (a, b) => b / a],
    [/^area\((\d+),(\d+)\)=$/, (a, b) => a * b],
    [/^2×\((\d+)\+(\d+)\)=$/, (a, b) => 2 * (a + b)],
    [/^(\d+),(\d+),(\d+),$/, (_, b, c) => 2 * c - b],
    [/^max\((\d+),(\d+),(\d+)\)=$/, (...n) => n.sort((x, y) => y - x)[0]],
    [/^min\((\d+),(\d+),(\d+)\)=$/, (...n) => n.sort((x, y) => x - y)[0]],
  ];

  it("is what its fact says", () => {
    const random = seeded(4);
    const met = new Set<number>();
    for (let i = 0; i < 2000; i++) {
      const category = random.pick(MATHS_CATEGORIES);
      const { fact, answer } = drawProblem(random, category, "train", i % 2 ? "wide" : "usual");
      for (const n of `${fact}${answer}`.match(/\d+/g)!) assert.ok(Number(n) < 100, fact);
      const matching = rules.findIndex(([pattern]) => pattern.test(fact));
      assert.ok(matching >= 0, fact);
      met.add(matching);
      const [pattern, rule] = rules[matching];
      assert.equal(answer, rule(...pattern.exec(fact)!.slice(1).map(Number)), fact);
    }
    assert.equal(met.size, rules.length);
    assert.equal(rules.length, PROBLEM_KINDS.length);
  });
});

describe("a wide draw", () => {
  it("keeps to its split", () => {
    const random = seeded(5);
    const keys = (split: "train" | "heldout"): Set<string> =>
      new Set(
        Array.from(
          { length: 3000 },
          () => drawProblem(random, random.pick(MATHS_CATEGORIES), split, "wide").key,
        ),
      );
    const trained = keys("train");
    for (const key of keys("heldout")) assert.ok(!trained.has(key), key);
    for (const { key } of drawProblems(random, 60, "heldout")) assert.ok(!trained.has(key), key);
  });
});

describe("splitOf", () => {
  it("holds out about the stated share of the problems", () => {
    const keys = Array.from({ length: 5000 }, (_, i) => `a+b:${i % 71},${i}`);
    const share = keys.filter((key) => splitOf(key) === "heldout").length / keys.length;
    assert.ok(Math.abs(share - HELD_OUT_PERCENT / 100) < 0.02, String(share));
  });
});
