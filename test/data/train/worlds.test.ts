import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { recipeNamed } from "../../../data/train/recipes.js";
import { seeded } from "../../../lib/random.js";
import { SOLVERS } from "../../tasks/synthetic/solve.js";

const options = { seed: 3, easyVqa: "" };

for (const name of ["tiny-gemma3", "tiny-qwen3-vl-moe"]) {
  describe(`what ${name} learns from`, () => {
    const recipe = recipeNamed(name);

    it("are conversations about one picture whose last answer tells all the others", async () => {
      const stage = recipe.stages(options).find(({ part }) => part === "whole")!;
      const sources = await stage.sources(seeded(5));
      const rows = sources.flatMap(({ draw }) => Array.from({ length: 20 }, draw));
      const talks = rows.filter(([first]) => first.images.length > 0);
      assert.ok(talks.length > 20);
      for (const turns of talks) {
        const asked = turns.slice(0, -1);
        assert.equal(new Set(asked.map(({ type }) => type)).size, asked.length);
        const passage = turns[turns.length - 1].answers[0];
        for (const { dataset, prompt, answers } of asked)
          assert.equal(SOLVERS[dataset](prompt, passage), answers[0], `${prompt} — ${passage}`);
      }
      const withheld = rows.filter(([first]) => first.images.length === 0 && first.passage === undefined);
      assert.ok(withheld.length > 0, "without a picture it learns what is usual");
    });

    it("never shows what is held out for the study", async () => {
      for (const stage of recipe.stages(options)) {
        const sources = await stage.sources(seeded(6));
        const rows = sources.flatMap(({ draw }) => Array.from({ length: 60 }, draw));
        for (const [{ dataset, annotation }] of rows) {
          const { counted, count } = annotation as { counted?: string; count?: number };
          if (dataset === "hands" && counted === "fingers") assert.equal(count, 5);
        }
      }
    });

    it("is tried on other pictures than it learns from", async () => {
      const stage = recipe.stages(options).find(({ part }) => part === "whole")!;
      const sources = await stage.sources(seeded(7));
      const learnt = new Set(
        sources.flatMap(({ draw }) => Array.from({ length: 40 }, () => JSON.stringify(draw()[0].annotation))),
      );
      for (const { tasks } of await recipe.trials(options))
        for (const { annotation } of tasks) assert.ok(!learnt.has(JSON.stringify(annotation)));
    });
  });
}
