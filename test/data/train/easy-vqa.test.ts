import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { easyVqaImages } from "../../../data/train/common/easy-vqa.js";
import type { EasyVqaAnnotation, Raster, VisualTask } from "../../../lib/tasks/index.js";

const image: Raster = { width: 1, height: 1, data: new Uint8Array(3) };

function asked(imageId: number, type: string, prompt: string, answer: string): VisualTask<EasyVqaAnnotation> {
  const given = {
    dataset: "easy-vqa",
    split: "train",
    grade: "easy",
    scoring: "exact",
    images: [image],
  } as const;
  return { ...given, id: `${imageId} ${prompt}`, type, prompt, answers: [answer], annotation: { imageId } };
}

/** Images that say which shapes and colours there are at all. */
const OTHERS = [
  asked(0, "color", "what color is the shape?", "red"),
  asked(0, "shape", "what shape is in the image?", "circle"),
  asked(1, "color", "what color is the shape?", "blue"),
  asked(1, "shape", "what shape is in the image?", "triangle"),
];
const described = (...tasks: VisualTask<EasyVqaAnnotation>[]): string | undefined =>
  easyVqaImages([...OTHERS, ...tasks]).at(-1)!.description?.answers[0];

describe("what an image of easy-VQA shows", () => {
  it("follows from what is said to be there, and from what is denied", () => {
    const shape = asked(2, "shape", "what shape is in the image?", "circle");
    const told = (prompt: string, answer: string): string | undefined =>
      described(shape, asked(2, "yes-no", prompt, answer));
    assert.equal(told("is there a blue shape?", "yes"), "a blue circle.");
    assert.equal(told("is no blue shape present?", "no"), "a blue circle.");
    assert.equal(told("does the image not contain a blue shape?", "no"), "a blue circle.");
  });

  it("is not told by what is not there", () => {
    const shape = asked(2, "shape", "what shape is in the image?", "circle");
    for (const [prompt, answer] of [
      ["is there a blue shape?", "no"],
      ["is no blue shape present?", "yes"],
      ["is there not a blue shape in the image?", "yes"],
    ])
      assert.equal(described(shape, asked(2, "yes-no", prompt, answer)), undefined, prompt);
  });

  it("is listed with all that it might show", () => {
    const [image] = easyVqaImages(OTHERS);
    assert.deepEqual(image.listing!.entries, [
      ["circle", "yes"],
      ["triangle", "no"],
      ["red", "yes"],
      ["blue", "no"],
    ]);
  });
});
