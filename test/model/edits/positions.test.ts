import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as edit from "../../../lib/model/edits/edit.js";
import { gradients } from "../../../lib/model/methods/gradients.js";
import { logProb } from "../../../lib/model/methods/metrics.js";
import { sweep } from "../../../lib/model/methods/sweep.js";
import type { Model } from "../../../lib/model/model.js";
import { open } from "../goldens.js";

const HOOK = "blocks.1.hook_resid_pre";
const SCORES = "blocks.1.attn.hook_attn_scores";
/** Padded on the left: row 1's tokens are at columns 2 to 4. */
const ROWS = [
  [1, 2, 3, 4, 5],
  [6, 7, 8],
];

const withModel = async (work: (model: Model) => Promise<void>): Promise<void> => {
  const model = await open("qwen2-tied");
  await work(model);
  await model.close();
};

describe("positions of an edit on a padded batch", () => {
  const refused: readonly [what: string, made: edit.Edit, hook: string, message: RegExp][] = [
    [
      "padding in a row's own list",
      edit.zero({ positions: [[0], [1]] }),
      HOOK,
      /position 1, which is padding in row 1/,
    ],
    [
      "a key that is padding",
      edit.blockAttention({ to: [[0], [0]] }),
      SCORES,
      /position 0, which is padding in row 1/,
    ],
    [
      "a list for all rows that is padding in each",
      edit.zero({ positions: [0], rows: [1] }),
      HOOK,
      /padding in every row/,
    ],
    ["a mean over the last token", edit.mean({ positions: "last" }), HOOK, /is over one token.*meanOf/],
    ["a mean over one column", edit.mean({ positions: [-1] }), HOOK, /is over one token/],
    [
      "a mean over one of each row",
      edit.mean({ positions: [[0], [0]], rows: [0] }),
      HOOK,
      /is over one token/,
    ],
    [
      "lists that are all empty",
      edit.zero({ positions: [[], []] }),
      HOOK,
      /no positions in any row.*Leave an edit out/,
    ],
    [
      "an empty list of the only row",
      edit.zero({ positions: [[1], []], rows: [1] }),
      HOOK,
      /names no positions/,
    ],
  ];
  for (const [what, made, hook, message] of refused) {
    it(`${what} is refused by run, generate, gradients and sweeps alike`, () =>
      withModel(async (model) => {
        const batch = model.batch(ROWS);
        const edits = { [hook]: made };
        const metric = logProb(2);
        await assert.rejects(model.run(batch, { edits }), message);
        await assert.rejects(model.generate(batch, { edits, maxNewTokens: 2 }), message);
        await assert.rejects(gradients(model, batch, [metric], { wrt: ["hook_embed"], edits }), message);
        await assert.rejects(sweep(model, batch, { over: [0], edit: () => edits, metric }), message);
      }));
  }

  it("a row's own list may name anything where the edit does not hold in that row", () =>
    withModel(async (model) => {
      const batch = model.batch(ROWS);
      const edits = { [HOOK]: edit.zero({ rows: [0], positions: [[1], [0]] }) };
      const { cache } = await model.run(batch, { edits, capture: [HOOK], logits: "none" });
      const width = model.config.hidden_size;
      assert.ok(
        cache
          .get(HOOK)
          .data.subarray(width, 2 * width)
          .every((v) => v === 0),
      );
    }));

  it("one list for all rows holds in those that have a token there", () =>
    withModel(async (model) => {
      const batch = model.batch(ROWS);
      const edits = { [HOOK]: edit.fill(3, { positions: [1] }) };
      const plain = await model.run(batch, { capture: [HOOK], logits: "none" });
      const { cache } = await model.run(batch, { edits, capture: [HOOK], logits: "none" });
      const width = model.config.hidden_size;
      const [got, clean] = [cache.get(HOOK).data, plain.cache.get(HOOK).data];
      assert.ok(
        got.subarray(width, 2 * width).every((v) => v === 3),
        "row 0, column 1",
      );
      assert.deepEqual(got.subarray(5 * width), clean.subarray(5 * width), "row 1, which has padding there");
    }));

  it("a column of a token that is still to come is none of the padding", () =>
    withModel(async (model) => {
      const batch = model.batch(ROWS);
      const edits = { [HOOK]: edit.zero({ positions: [[5], [5]] }) };
      await model.generate(batch, { edits, maxNewTokens: 3, eosTokenIds: [] });
      await assert.rejects(model.run(batch, { edits }), /names position 5, which row 0 does not have/);
    }));
});
