import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { captionGate } from "../../../lib/studies/knowledge-evolution/gate.js";
import {
  kindsOf,
  mentionsOf,
  sceneTruth,
  wordOverlap,
  wrongShare,
} from "../../../lib/studies/knowledge-evolution/mentions.js";

const truth = sceneTruth({
  place: "street",
  things: [
    { name: "house", colour: "black", row: 1, column: 0, faint: false },
    { name: "bird", row: 0, column: 2, faint: true },
  ],
  expected: ["car"],
  slips: [],
});
const piecesOf = (text: string): string[] => text.match(/ ?[^ .]+|\./g) ?? [];
const text =
  "the image shows a street. on the right there is a red house. on the right there is a bird. on the left there is a car.";

describe("what a caption says", () => {
  const pieces = piecesOf(text);
  const said = mentionsOf(pieces, truth);

  it("is right or wrong by annotation: objects, places and colours", () => {
    assert.deepEqual(
      said.map(
        ({ token, aspect, wrong }) => `${pieces[token].trim()} ${aspect} ${wrong ? "wrong" : "right"}`,
      ),
      [
        "street object right",
        "right place wrong",
        "red colour wrong",
        "house object right",
        "right place right",
        "bird object right",
        "car object wrong",
      ],
    );
    assert.equal(wrongShare(said), 3 / 7);
    assert.equal(wrongShare([]), 1);
  });
  it("has rivals: what would have been right, or is wrong", () => {
    const rivals = said.map((own) => own.rivals);
    assert.deepEqual(rivals.slice(1, 3), [["left"], ["black"]]);
    assert.deepEqual(rivals[4], ["left", "middle"]);
    assert.deepEqual(rivals[6], []);
  });
  it("gives each token its kind", () => {
    const kinds = kindsOf(pieces, said, "please describe this image.");
    const of = (word: string) => kinds[pieces.findIndex((piece) => piece.trim() === word)];
    assert.deepEqual(["the", "image", "shows", "street", "red", "car", "."].map(of), [
      "easy",
      "easy",
      "content",
      "true",
      "hallucinated",
      "hallucinated",
      "easy",
    ]);
  });
  it("passes the gate thing by thing", () => {
    const [objects, places, colours] = captionGate(
      [truth, truth],
      [pieces, pieces],
      [[], piecesOf("a house.")],
    );
    assert.deepEqual(objects.correct, [true, true, true, true, true, true]);
    assert.deepEqual(objects.blind, [false, false, false, false, true, false]);
    assert.deepEqual(places.correct, [false, true, false, true]);
    assert.deepEqual(colours.correct, [false, false]);
    assert.deepEqual(places.clusters, [0, 0, 1, 1]);
  });
});

describe("word overlap", () => {
  it("is Dice's, with repeats", () => {
    assert.equal(wordOverlap("a cat on a mat.", "A mat on the mat"), 6 / 10);
    assert.equal(wordOverlap("", ""), 1);
    assert.equal(wordOverlap("a", ""), 0);
  });
});
