import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seeded } from "../../../lib/random.js";
import { drawTasks, SYNTHETIC_TASKS } from "../../../lib/tasks/index.js";
import { SOLVERS } from "./solve.js";

type Holds = (of: string, is: string, passage: string) => boolean;

/** A question about one thing, answered from the passage by the solver of the synthetic's questions. */
const solved =
  (synthetic: string, question: (of: string, passage: string) => string): Holds =>
  (of, is, passage) =>
    SOLVERS[synthetic](question(of, passage), passage) === is;

const article = (noun: string): string => (/^[aeiou]/.test(noun) ? "an" : "a");
const says =
  (phrase: (of: string, is: string) => string): Holds =>
  (of, is, passage) =>
    passage.includes(phrase(of, is));
const part = (of: string): string => (of.startsWith("point") ? of : `the ${of}`);

/** Tests that tell each list's entries from the passage alone. */
const HOLDS: Readonly<Record<string, Readonly<Record<string, Holds>>>> = {
  scenes: {
    "what color is each shape?": solved("scenes", (of) => `what color is the ${of}?`),
    "what shape has each color?": says((of, is) => `${of} ${is}`),
    "how many are there of each?": solved("scenes", (of) => `how many ${of} are there?`),
    "where is each shape?": says((of, is) => `${is} ${article(of)} ${of}`),
    "is there each of these?": solved("scenes", (of) => `is there ${of} and ${of}?`),
  },
  captions: {
    "what color is each thing?": solved("captions", (of) => `what color is the ${of}?`),
    "where is each thing?": (of, is, passage) =>
      new RegExp(`${is} there is [a-z ]*\\b${of}\\.`).test(passage),
    "is there each of these?": solved("captions", (of) => `is there ${of}?`),
  },
  charts: {
    "what is the value of each?": solved("charts", (of) => `what is the value of ${part(of)}?`),
    "which has each value?": (of, is, passage) => new RegExp(`${is}( [a-z]+)? is ${of}\\b`).test(passage),
    "how many are larger than each?": solved(
      "charts",
      (of) => `how many ${of.startsWith("point") ? "point" : of.split(" ")[1]}s are larger than ${part(of)}?`,
    ),
  },
  documents: {
    "what is written after each?": says((of, is) => `${of} ${is}`),
    "what is written before each?": says((of, is) => `${is} ${of}`),
    "how many are more than each?": solved("documents", (of, passage) =>
      passage.startsWith("a table")
        ? `how many people are older than ${of}?`
        : `how many things cost more than the ${of}?`,
    ),
  },
  "scene-text": {
    "what does each say?": solved("scene-text", (of) => `what does the ${of} say?`),
    "what color is each word on?": solved("scene-text", (of) => `what color is the word ${of} on?`),
    "what is each word on?": solved("scene-text", (of) => `what is the word ${of} on?`),
    "where is each word?": (of, is, passage) => {
      const [row, column] = is.split(" ");
      return new RegExp(`in the ${row} row ${column} the \\w+ \\w+ says ${of}\\b`).test(passage);
    },
  },
};

for (const synthetic of Object.values(SYNTHETIC_TASKS).filter(({ listings }) => listings)) {
  describe(`lists of ${synthetic.name}`, () => {
    it("say of each thing what the passage says of it", () => {
      const random = seeded(8);
      const entries = new Map(Object.keys(HOLDS[synthetic.name]).map((prompt) => [prompt, 0]));
      for (const { annotation } of drawTasks(synthetic, { count: 300, split: "train", seed: 12 }))
        for (const list of synthetic.listings!(annotation, random))
          for (const [of, is] of list.entries) {
            entries.set(list.prompt, entries.get(list.prompt)! + 1);
            const passage = synthetic.textDescription(annotation);
            assert.ok(
              HOLDS[synthetic.name][list.prompt](of, is, passage),
              `${list.prompt} ${of} ${is} — ${passage}`,
            );
          }
      for (const [prompt, count] of entries) assert.ok(count > 100, `${prompt}: ${count} entries`);
    });
  });
}

it("a list of what is there names as much that is not", () => {
  const { scenes } = SYNTHETIC_TASKS;
  const entries = drawTasks(scenes, { count: 100, split: "train", seed: 13 }).flatMap(
    ({ annotation }) =>
      scenes.listings!(annotation, seeded(1)).find(({ prompt }) => prompt.startsWith("is there"))!.entries,
  );
  const yes = entries.filter(([, is]) => is === "yes").length;
  assert.equal(2 * yes, entries.length);
});
