import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ModalscopeError } from "../../../lib/errors.js";
import { type AmberAnnotation, amberCounts, amberScores } from "../../../lib/tasks/scoring/amber.js";
import { anls } from "../../../lib/tasks/scoring/anls.js";
import { relaxedMatch } from "../../../lib/tasks/scoring/relaxed.js";
import { exactMatch, scoreAnswer } from "../../../lib/tasks/scoring/score.js";
import { normaliseVqaAnswer, vqaAccuracy } from "../../../lib/tasks/scoring/vqa.js";
import type { ScoringRule, VisualTask } from "../../../lib/tasks/visual-task.js";

const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

describe("relaxed accuracy", () => {
  const cases: [prediction: string, answer: string, right: boolean][] = [
    ["105", "100", true],
    ["95", "100", true],
    ["105.1", "100", false],
    ["94.9", "100", false],
    ["-95", "-100", true],
    ["95", "-100", false],
    ["12%", "0.12", true],
    ["12", "12%", false],
    ["0.0", "0", false],
    ["0", "0", true],
    ["1,000", "1000", false],
    ["1e2", "100", true],
    ["Blue", "blue", true],
    ["light blue", "blue", false],
    ["0x10", "16", false],
    ["", "0", false],
  ];
  for (const [prediction, answer, right] of cases) {
    it(`${JSON.stringify(prediction)} for ${answer}`, () =>
      assert.equal(relaxedMatch(prediction, answer), right));
  }
});

describe("ANLS", () => {
  const cases: [prediction: string, answers: string[], score: number][] = [
    ["hello", ["hello"], 1],
    ["Hello  WORLD", ["hello world"], 1],
    // One of five letters is wrong.
    ["hallo", ["hello"], 0.8],
    // The nearest of two counts: 1 of 6 against 5 of 6.
    ["banana", ["cherry", "bandana"], 1 - 1 / 7],
    // Half right is exactly the threshold, which the script keeps; less is nothing.
    ["ab", ["ac"], 0.5],
    ["abc", ["axy"], 0],
    ["", ["a"], 0],
    // One character, however many bytes it takes.
    ["a😀", ["a😁"], 0.5],
  ];
  for (const [prediction, answers, score] of cases) {
    it(`${JSON.stringify(prediction)} for ${answers}`, () => near(anls(prediction, answers), score));
  }
  it("takes another threshold", () => assert.equal(anls("hallo", ["hello"], 0.9), 0));
});

describe("VQA accuracy", () => {
  it("is 0, 0.3, 0.6, 0.9, 1 when 0, 1, 2, 3, 4 of ten agree", () => {
    // By hand for k = 2: the 2 who said it see 1 other (1/3), the 8 see 2 (2/3): (2·1/3 + 8·2/3)/10 = 0.6.
    [0, 0.3, 0.6, 0.9, 1, 1].forEach((score, k) => {
      const annotators = Array.from({ length: 10 }, (_, i) => (i < k ? "stop" : `other ${i}x`));
      near(vqaAccuracy("stop", annotators), score);
    });
  });
  it("compares normalised answers", () => {
    near(vqaAccuracy("The two dogs!", ["2 dogs", "two dogs", "2 dogs.", "dogs", "dogs", "dogs"]), 5 / 6);
  });
  it("refuses too few annotators", () => {
    assert.throws(() => vqaAccuracy("a", ["a", "a", "a"]), /several annotators, and there are 3/);
  });

  // Each from a run of the published processor on the same text.
  const cases: [text: string, normal: string][] = [
    ["The Cat", "cat"],
    ["a an the", ""],
    ["none", "0"],
    ["Ten apples", "10 apples"],
    ["eleven", "eleven"],
    ["dont", "don't"],
    ["couldnt've", "couldn't've"],
    ["id've", "id've"],
    ["hes", "he's"],
    ["its", "its"],
    ["well", "well"],
    ["3.5", "3.5"],
    ["10.", "10"],
    ["U.S.A.", "usa"],
    ["1,000", "1000"],
    ["coca-cola", "coca cola"],
    ["coca - cola", "coca cola"],
    ["john's car", "john 's car"],
    ["what?", "what"],
    ["yes!", "yes"],
    ['"stop"', "stop"],
    ["a/b c /d", "ab c d"],
    ["line\nbreak", "line break"],
    ["oclock", "o'clock"],
    ["somebody'd", "somebodyd"],
  ];
  for (const [text, normal] of cases) {
    it(`normalises ${JSON.stringify(text)}`, () => assert.equal(normaliseVqaAnswer(text), normal));
  }
});

describe("exact match", () => {
  it("ignores case, outer space and a final point alone", () => {
    assert.ok(exactMatch(" Red.", ["red"]));
    assert.ok(exactMatch("two", ["one", "two"]));
    assert.ok(!exactMatch("dark red", ["red"]));
    assert.ok(!exactMatch("", ["red"]));
  });
});

describe("scoreAnswer", () => {
  const task = (scoring: ScoringRule, answers: string[]): VisualTask => ({
    id: "1",
    dataset: "made",
    prompt: "?",
    images: [],
    answers,
    type: "t",
    scoring,
    annotation: {},
  });
  it("follows each data set's rule", () => {
    assert.equal(scoreAnswer(task("exact", ["red"]), "Red"), 1);
    assert.equal(scoreAnswer(task("relaxed", ["7", "9"]), "9.1"), 1);
    near(scoreAnswer(task("anls", ["hello"]), "hallo"), 0.8);
    near(scoreAnswer(task("vqa", ["a b", "a b", "c", "d"]), "b"), (2 * (1 / 3) + 2 * (2 / 3)) / 4);
  });
  it("refuses descriptions and tasks whose answers were kept back", () => {
    assert.throws(() => scoreAnswer(task("amber", ["a cat."]), "a cat"), /asks for a description/);
    assert.throws(() => scoreAnswer(task("anls", []), "a"), ModalscopeError);
  });
});

describe("AMBER", () => {
  const association = {
    sea: ["water"],
    boat: ["ship"],
    sky: [],
    gull: ["bird"],
    cloud: [],
    tree: ["forest"],
    forest: ["tree"],
    knife: [],
    berry: [],
  };
  const words = { association, safe: ["line"] };
  const annotation = { truth: ["sea", "boat", "sky"], hallu: ["gull", "cloud"] };

  it("reads one description", () => {
    const counts = amberCounts(
      "A ship on the water, under birds and a tree. A line of boats.",
      annotation,
      words,
    );
    assert.deepEqual(counts.mentioned, ["ship", "water", "bird", "tree", "boat"]);
    assert.deepEqual(counts.hallucinated, ["bird", "tree"]);
    assert.deepEqual(counts.covered, [true, true, false]);
    assert.deepEqual(counts.fancied, [true, false]);
  });

  it("scores several, by hand", () => {
    // First: 5 nouns, 2 of them not there, 2 of 3 objects, 1 of 2 expectations. Second: 2 nouns, all there, 2 of 3, 0 of 2.
    const scores = amberScores(
      [
        { text: "A ship on the water, under birds and a tree. A line of boats.", annotation },
        { text: "The sky over the sea.", annotation },
      ],
      words,
    );
    near(scores.chair, 2 / 7);
    near(scores.cover, 4 / 6);
    near(scores.hal, 1 / 2);
    near(scores.cog, 1 / 4);
    near(scores.cogOfMentions, 1 / 7);
    assert.equal(scores.count, 2);
  });

  it("counts nothing as nothing", () => {
    const scores = amberScores([{ text: "Hm.", annotation }], words);
    assert.ok(Number.isNaN(scores.chair));
    assert.equal(scores.cover, 0);
    assert.equal(scores.hal, 0);
  });

  it("gives an associated noun to the object whose association comes first, as the script does", () => {
    const both: AmberAnnotation = { truth: ["tree", "forest"], hallu: [] };
    assert.deepEqual(amberCounts("a forest", both, words).covered, [true, false]);
  });

  it("knows plurals", () => {
    const { mentioned } = amberCounts("skies, knives, berries, ships and seas", annotation, words);
    assert.deepEqual(mentioned, ["sky", "knife", "berry", "ship", "sea"]);
  });

  it("finds nouns in any case", () => {
    const screens = { ...words, association: { TV: [] } };
    assert.deepEqual(amberCounts("Two tvs and a Tv", { truth: ["TV"], hallu: [] }, screens).covered, [true]);
  });

  it("asks for synonyms when it can", () => {
    const similar = (a: string, b: string) => a === "tree" && b === "boat";
    const counts = amberCounts("a tree", annotation, { ...words, similar });
    assert.deepEqual(counts.hallucinated, []);
    assert.deepEqual(counts.covered, [false, true, false]);
  });
});
