import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DESCRIBE } from "../../../data/train/common/conversations.js";
import type { Conversation } from "../../../data/train/common/recipe.js";
import { recipeNamed } from "../../../data/train/recipes.js";
import { seeded } from "../../../lib/random.js";
import { syntheticTaskNamed } from "../../../lib/tasks/index.js";
import { isSlow, rounds } from "../../rounds.js";
import { SOLVERS } from "../../tasks/synthetic/solve.js";

const options = { seed: 3, easyVqa: "" };

/** A scene's passage, and by what asks for it everything that an account of it may say. */
function truthOf(name: string, scene: unknown): { passage: string; told: Map<string, readonly string[]> } {
  const synthetic = syntheticTaskNamed(name);
  const passage = synthetic.textDescription(scene);
  const lists = synthetic.listings?.(scene, seeded(1)) ?? [];
  const told = new Map(
    lists.map(({ prompt, entries }) => [prompt, entries.map((entry) => entry.join(" "))] as const),
  );
  return { passage, told: new Map([...told, [DESCRIBE, [passage]]]) };
}

/** The entries of a list, or a description as a whole. */
const phrases = (answer: string): string[] =>
  answer.startsWith("these: ") ? answer.slice("these: ".length, -1).split(", ") : [answer];

for (const name of ["tiny-gemma3", "tiny-qwen3-vl-moe"]) {
  describe(`what ${name} learns from`, () => {
    const recipe = recipeNamed(name);
    // What a recipe draws in advance takes longer than all tests here.
    const stages = recipe.stages(options);
    const whole = stages.find(({ part }) => part === "whole")!;

    it("are conversations about one image: questions, and accounts of what it shows", async () => {
      const sources = await whole.sources(seeded(5), 1);
      const rows = sources.flatMap(({ draw }) =>
        Array.from({ length: rounds(8, 20) }, draw),
      ) as Conversation[];
      const talks = rows.filter(([first]) => first.images.length > 0);
      assert.ok(talks.length > rounds(8, 20));
      for (const turns of talks) {
        const [{ dataset, annotation }] = turns;
        const { passage, told } = truthOf(dataset, annotation);
        const asked = turns.filter(({ prompt }) => !told.has(prompt));
        assert.equal(new Set(asked.map(({ type }) => type)).size, asked.length);
        for (const { prompt, answers } of asked)
          assert.equal(SOLVERS[dataset](prompt, passage), answers[0], `${prompt} — ${passage}`);
        assert.ok(turns.length <= 6, `${turns.length} turns`);
        for (const { prompt, answers } of turns.filter(({ prompt }) => told.has(prompt)))
          for (const said of phrases(answers[0]))
            assert.ok(told.get(prompt)!.includes(said), `${prompt} ${said}`);
      }
      const types = new Set(talks.flat().map(({ type }) => type));
      assert.ok(types.size > 10, `${types.size} types`);
      const unseen = rows.filter(
        ([first]) => first.images.length === 0 && first.textDescription === undefined,
      );
      assert.ok(unseen.length > 0, "without an image it learns what is usual");
    });

    it("never shows what is held out for the study", async () => {
      for (const stage of stages) {
        const sources = await stage.sources(seeded(6), 1);
        const rows = sources.flatMap(({ draw }) =>
          Array.from({ length: rounds(8, 60) }, draw),
        ) as Conversation[];
        for (const [{ dataset, annotation }] of rows) {
          const { counted, count } = annotation as { counted?: string; count?: number };
          if (dataset === "hands" && counted === "fingers") assert.equal(count, 5);
        }
      }
    });

    // The other recipe's 3,700 trials take half a minute to draw.
    if (isSlow || name === "tiny-gemma3")
      it("is tried on other images than it learns from", async () => {
        const sources = await whole.sources(seeded(7), 1);
        const learnt = new Set(
          sources.flatMap(({ draw }) =>
            Array.from({ length: rounds(8, 40) }, () =>
              JSON.stringify((draw() as Conversation)[0].annotation),
            ),
          ),
        );
        for (const { tasks } of await recipe.trials(options))
          for (const { annotation } of tasks) assert.ok(!learnt.has(JSON.stringify(annotation)));
      });
  });
}
