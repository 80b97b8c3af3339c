/** Token pruning, against tokens that are really taken out and checkpoints whose mechanism is known. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Batch, edit, loadModel } from "../../../lib/model/index.js";
import {
  firstTokenRight,
  type PruningPlan,
  pruningPlans,
  sweep,
  type TokenRule,
} from "../../../lib/model/methods/index.js";
import { byLayer, type Trial, withPlanted } from "./planted-trial.js";

const RULES: readonly TokenRule[] = [
  { kind: "attention" },
  { kind: "attention", order: "least" },
  { kind: "attention", queries: "all" },
  { kind: "random", seed: 3 },
  { kind: "grid" },
];

/** Right answers under each plan. */
async function right({ model, batch, tokens }: Trial, plans: readonly PruningPlan[]): Promise<number[]> {
  const metric = firstTokenRight(tokens);
  return byLayer((await sweep(model, batch, { over: plans, edit: ({ edits }) => edits, metric })).values);
}

/** The batch without some columns, whose tokens keep their places. */
function takenOut(batch: Batch, dropped: PruningPlan["dropped"]): { batch: Batch; kept: number[][] } {
  const { size, seqLength: time, positionIds } = batch;
  const kept = dropped.map((own, b) => batch.tokenPositions[b].filter((c) => !own.includes(c)));
  const length = kept[0].length;
  const rows = Array.from({ length: positionIds.length / (size * time) }, (_, axis) => axis);
  const pick = (data: ArrayLike<number>, axis = 0): number[] =>
    kept.flatMap((columns, b) => columns.map((c) => data[(axis * size + b) * time + c]));
  const all = kept.map(() => Array.from({ length }, (_, i) => i));
  return {
    kept,
    batch: {
      ...batch,
      seqLength: length,
      inputIds: Int32Array.from(pick(batch.inputIds)),
      attentionMask: new Uint8Array(size * length).fill(1),
      positionIds: Int32Array.from(rows.flatMap((axis) => pick(positionIds, axis))),
      tokenPositions: all,
      last: kept.map(() => length - 1),
      visual: kept.map(() => []),
      question: all,
      special: kept.map(() => []),
      images: undefined,
    },
  };
}

describe("pruning plans", () => {
  it("compute the other tokens as if the dropped ones had been taken out", async () => {
    await withPlanted("late", async ({ model, batch }) => {
      const keep = [0.25];
      const [plan] = await pruningPlans(model, batch, { rules: [{ kind: "random" }], keep, from: [0] });
      const pruned = await model.run(batch, { edits: plan.edits, capture: ["hook_embed"], logits: "last" });
      const { batch: shorter, kept } = takenOut(batch, plan.dropped);
      const { data, shape } = pruned.cache.get("hook_embed");
      const width = shape[2];
      const rows = kept.flatMap((columns, b) =>
        columns.flatMap((c) => [
          ...data.subarray((b * shape[1] + c) * width, (b * shape[1] + c + 1) * width),
        ]),
      );
      const embed = { data: Float32Array.from(rows), shape: [batch.size, shorter.seqLength, width] };
      const short = await model.run(shorter, { edits: { hook_embed: edit.fill(embed) }, logits: "last" });
      const largest = Math.max(...short.logits!.data.map(Math.abs));
      short.logits!.data.forEach((want, i) => {
        assert.ok(Math.abs(pruned.logits!.data[i] - want) < 1e-5 * largest, `${i}`);
      });
    });
  });

  it("of any rule keep the answer once it has been read, and no rule keeps it before without tokens", async () => {
    await withPlanted("late", async (trial) => {
      const { model, batch, decides } = trial;
      const options = { rules: RULES, keep: [0.25, 0], from: [decides!, decides! + 1] };
      const plans = await pruningPlans(model, batch, options);
      // Every token of these images has the colour, so that any four of them tell it.
      assert.deepEqual(
        await right(trial, plans),
        RULES.flatMap(() => [6, 6, 1, 6]),
      );
    });
  });

  it("by attention find the tokens that carry the answer, which random ones may miss", async () => {
    await withPlanted(
      "hops",
      async (trial) => {
        const { model, batch, decides } = trial;
        const at = { kind: "attention", layer: decides! } as const;
        const rules: TokenRule[] = [at, { ...at, order: "least" }, { kind: "random" }, { kind: "grid" }];
        const from = [decides!, decides! + 1];
        const all = batch.size;
        const [most, mostLater, least, leastLater, random, randomLater, grid, gridLater] = await right(
          trial,
          await pruningPlans(model, batch, { rules, keep: [0.125], from }),
        );
        assert.equal(most, all);
        assert.ok(least < all / 2, `${least} of ${all} with the tokens that get least attention`);
        assert.ok(random > least && random < all, `${random} of ${all} with random tokens`);
        // A grid of two tokens lies on both halves.
        assert.equal(grid, all);
        assert.deepEqual([mostLater, leastLater, randomLater, gridLater], [all, all, all, all]);
      },
      "hard",
    );
  });

  it("bring tokens back as they were", async () => {
    await withPlanted("late", async (trial) => {
      const { model, batch, decides } = trial;
      const options = { rules: [{ kind: "grid" }], keep: [0], from: [0, 3] } as const;
      assert.deepEqual(
        await right(trial, await pruningPlans(model, batch, { ...options, until: decides })),
        [6, 6],
      );
      assert.deepEqual(
        await right(trial, await pruningPlans(model, batch, { ...options, until: decides! + 1 })),
        [1, 1],
      );
      const [plan] = await pruningPlans(model, batch, { ...options, until: 2, from: [0] });
      const capture = ["blocks.0.hook_resid_pre", "blocks.2.hook_resid_pre"];
      const { cache } = await model.run(batch, { edits: plan.edits, capture, logits: "none" });
      const [before, after] = capture.map((hook) => cache.get(hook));
      const [, time, width] = before.shape;
      for (const [b, columns] of batch.visual.entries())
        for (const c of columns)
          for (let i = (b * time + c) * width; i < (b * time + c + 1) * width; i++)
            assert.equal(after.data[i], before.data[i]);
    });
  });

  it("count tokens and multiplications", async () => {
    await withPlanted("none", async ({ model, batch }) => {
      const [plan] = await pruningPlans(model, batch, { rules: [{ kind: "grid" }], keep: [0.25], from: [6] });
      assert.equal(plan.equivalentTokens, (6 * 16 + 2 * 4) / 8);
      // 64 wide; 4 heads of 16, 2 of them for keys and values; 16 experts of 16, of which a token is sent to 2.
      const perToken = 2 * 64 * 64 + 2 * 64 * 32 + 64 * 16 + 2 * 3 * 64 * 16;
      const block = (n: number): number => n * perToken + 2 * 64 * ((n * (n + 1)) / 2);
      const n = batch.seqLength;
      assert.ok(Math.abs(plan.compute - (6 * block(n) + 2 * block(n - 12)) / (8 * block(n))) < 1e-12);
      assert.deepEqual(
        plan.kept[0].map((c) => batch.visual[0].indexOf(c)),
        [5, 7, 13, 15],
      );
    });
  });

  it("keep the same number of tokens by every rule, on tiles with newlines too", async () => {
    const model = await loadModel("tiny-llava-1.6", { threads: 1 });
    try {
      const image = { width: 50, height: 90, data: new Uint8Array(50 * 90 * 3).fill(90) };
      const batch = await model.prepare([
        [
          {
            role: "user",
            content: [
              { type: "image", image },
              { type: "text", text: "what is it ?" },
            ],
          },
        ],
      ]);
      const { tokens } = batch.images![0].image;
      assert.ok(
        tokens.some(({ kind }) => kind === "newline") && new Set(tokens.map(({ tile }) => tile)).size > 1,
      );
      const keep = Array.from({ length: 21 }, (_, i) => i / 20);
      const rules = [{ kind: "grid" }, { kind: "random" }, { kind: "attention" }] as const;
      for (const plan of await pruningPlans(model, batch, { rules, keep, from: [2] })) {
        const [kept] = plan.kept;
        assert.equal(new Set(kept).size, Math.round(plan.keep * tokens.length), JSON.stringify(plan.rule));
        assert.deepEqual(
          [...kept, ...plan.dropped[0]].sort((a, b) => a - b),
          batch.visual[0],
        );
      }
    } finally {
      await model.close();
    }
  });

  it("refuse what cannot be", async () => {
    await withPlanted("none", async ({ model, batch }) => {
      const options = { rules: [{ kind: "attention" }], keep: [0.5], from: [0] } as const;
      await assert.rejects(pruningPlans(model, batch, options), /Before block 0 no attention/);
      await assert.rejects(pruningPlans(model, batch, { ...options, from: [8] }), /from block 8 to block 8/);
      await assert.rejects(pruningPlans(model, batch, { ...options, until: 9 }), /There are 8/);
      await assert.rejects(pruningPlans(model, batch, { ...options, keep: [1.5] }), /shares from 0 to 1/);
      const odd = [{ kind: "toString" }] as unknown as TokenRule[];
      await assert.rejects(pruningPlans(model, batch, { ...options, rules: odd }), /no rule for keeping/);
      const blind = await model.prepare("what is it ?");
      await assert.rejects(pruningPlans(model, blind, { ...options, from: [2] }), /no images/);
    });
  });
});
