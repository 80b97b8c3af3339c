/** Pooled states against means of whole captures, and edits that reach the batch they are for. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Batch, edit } from "../../../lib/model/index.js";
import {
  blockAsMany,
  blockRoute,
  pooledConditions,
  pooledStates,
  routeEnds,
} from "../../../lib/model/methods/index.js";
import { withPlanted } from "./planted-trial.js";

const groups = { vision: (b: Batch) => b.visual, language: (b: Batch) => b.question };

/** Pairs of query and key that edits forbid and the causal mask does not, by row. */
function edges(batch: Batch, edits: ReturnType<typeof blockRoute>): number[] {
  const [one] = Object.values(edits);
  const { positions, to } = one as unknown as Record<"positions" | "to", number[][]>;
  return Array.from({ length: batch.size }, (_, row) =>
    positions[row].reduce((sum, query) => sum + to[row].filter((key) => key <= query).length, 0),
  );
}

describe("pooled states", () => {
  it("are the means of what a run captures, whatever the size of the batches", async () => {
    await withPlanted("late", async ({ model, questions }) => {
      const prompts = questions.slice(0, 5).map((q) => [q]);
      const { states, logits } = await pooledStates(model, prompts, { groups, batchSize: 2 });
      const batch = await model.prepare(prompts);
      const hooks = ["blocks.0.hook_resid_pre", "blocks.6.hook_resid_post"];
      const run = await model.run(batch, { capture: hooks, logits: "last" });
      const width = model.config.hidden_size;
      for (const [group, positions] of Object.entries(groups))
        for (const [s, hook] of [
          [0, hooks[0]],
          [7, hooks[1]],
        ] as const) {
          const { data, shape } = run.cache.get(hook);
          positions(batch).forEach((columns, row) => {
            for (let j = 0; j < width; j += 5) {
              const values = columns.map((column) => data[(row * shape[1] + column) * width + j]);
              const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
              const own = states[group].data[(s * 5 + row) * width + j];
              assert.ok(Math.abs(own - mean) < 1e-5, `${group}, state ${s}: ${own} is not ${mean}`);
            }
          });
        }
      assert.deepEqual(logits.shape, [5, model.config.vocab_size]);
      for (let i = 0; i < logits.data.length; i++)
        assert.ok(Math.abs(logits.data[i] - run.logits!.data[i]) < 1e-4);
    });
  });

  it("take edits of each batch, and refuse nothing to run", async () => {
    await withPlanted("late", async ({ model, questions }) => {
      const prompts = questions.slice(0, 4).map((q) => [q]);
      const froms: number[] = [];
      const zeroed = await pooledStates(model, prompts, {
        groups,
        batchSize: 3,
        edits: (batch, from) => {
          froms.push(from);
          return { "blocks.2.hook_resid_post": edit.fill(0, { positions: batch.visual }) };
        },
      });
      assert.deepEqual(froms, [0, 3]);
      const size = 4 * model.config.hidden_size;
      assert.ok(zeroed.states.vision.data.subarray(3 * size, 4 * size).every((x) => x === 0));
      assert.ok(zeroed.states.language.data.subarray(3 * size, 4 * size).some((x) => x !== 0));
      await assert.rejects(pooledStates(model, [], { groups }), /given no prompts/);
      await assert.rejects(pooledStates(model, prompts, { groups: {} }), /groups that is not empty/);
    });
  });
});

describe("pooled conditions", () => {
  it("are the runs of each condition by itself, from whichever block they start, bit for bit", async () => {
    await withPlanted("late", async ({ model, questions }) => {
      const prompts = questions.slice(0, 5).map((q) => [q]);
      const edits = {
        clean: undefined,
        embedding: (batch: Batch) => ({ hook_embed: edit.zero({ positions: batch.visual }) }),
        late: (batch: Batch) => ({ "blocks.3.hook_resid_pre": edit.zero({ positions: batch.question }) }),
        early: (batch: Batch, from: number) => ({
          "blocks.4.hook_mlp_out": edit.scale(0.5),
          "blocks.1.hook_attn_out": edit.noise(0.1, { seed: from, positions: batch.visual }),
        }),
        pattern: () => ({ "blocks.*.hook_mlp_out": edit.scale(0.9) }),
      };
      const names = Object.keys(edits) as (keyof typeof edits)[];
      const options = { groups, batchSize: 3 };
      const conditions = Object.fromEntries(
        names.map((name) => [name, { edits: edits[name], keep: name === "late" ? "last" : "all" } as const]),
      );
      const together = await pooledConditions(model, prompts, { ...options, conditions });
      const clean = await pooledStates(model, prompts, options);
      for (const name of names) {
        const { states, logits } = await pooledStates(model, prompts, { ...options, edits: edits[name] });
        assert.deepEqual(together[name].logits, logits, name);
        for (const group of ["vision", "language"]) {
          const { data, shape } = states[group];
          const last = data.subarray(data.length - shape[1] * shape[2]);
          assert.deepEqual(together[name].states[group].data, name === "late" ? last : data, name);
        }
        if (name !== "clean") assert.notDeepEqual(logits, clean.logits, name);
      }
    });
  });
});

describe("knockouts for whole runs and their controls", () => {
  it("have as many edges, none of them on the route", async () => {
    await withPlanted("late", async ({ batch, model }) => {
      const cut = edges(batch, blockRoute(batch, "Image→Question", model.layers));
      const { keys, queries } = routeEnds(batch, "Image→Question");
      assert.deepEqual(
        cut,
        keys.map((own, row) => own.length * queries[row].length),
      );
      for (const seed of [0, 1, 2, 3, 4, 5, 6, 7])
        assert.deepEqual(edges(batch, blockAsMany(batch, "Image→Question", model.layers, { seed })), cut);
    });
  });

  it("refuse a control that the image is too small for", async () => {
    await withPlanted("late", async ({ batch, model }) => {
      const small = { ...batch, visual: batch.visual.map((columns) => columns.slice(0, 1)) };
      const many = { ...small, question: batch.tokenPositions };
      assert.throws(
        () => blockAsMany(many, "Image→Question", model.layers),
        /edges on "Image→Question", and 1 among/,
      );
    });
  });
});
