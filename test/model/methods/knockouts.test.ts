/** Attention knockouts between groups of tokens, where it is known which of them carries the answer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Batch, logProb } from "../../../lib/model/index.js";
import {
  type AttentionRoute,
  attentionKnockouts,
  firstTokenRight,
  type Knockouts,
  relativeChange,
  routeEnds,
  windowAround,
} from "../../../lib/model/methods/index.js";
import type { asMessage } from "../../../lib/tasks/index.js";
import { byLayer, withPlanted } from "./planted-trial.js";

const [BLIND, ALL] = [1, 6];

/** Sums over samples by layer, of one route. */
function ofRoute({ routes, layers, values }: Knockouts, route: string): number[] {
  const [, , batch] = values.shape;
  const r = routes.indexOf(route as AttentionRoute);
  const size = layers.length * batch;
  return byLayer({ data: values.data.subarray(r * size, (r + 1) * size), shape: [layers.length, batch] });
}

describe("attention knockouts", () => {
  it("find the one block and the one route that carry the answer", async () => {
    await withPlanted("late", async ({ model, batch, tokens, decides }) => {
      const found = await attentionKnockouts(model, batch, { metric: firstTokenRight(tokens) });
      const fatal = found.layers.map((l) => (l === decides ? BLIND : ALL));
      assert.deepEqual(ofRoute(found, "Image→Last"), fatal);
      for (const route of ["Question→Last", "Image→Question", "Last→Last"])
        assert.deepEqual(ofRoute(found, route), Array(8).fill(ALL), route);
      assert.deepEqual([...found.clean], Array(6).fill(1));
    });
  });

  it("spread a sharp block over a window, cut off at both ends of the model", async () => {
    await withPlanted("early", async ({ model, batch, tokens, decides }) => {
      const options = { metric: firstTokenRight(tokens), routes: ["Image→Last"] as const };
      const windowed = await attentionKnockouts(model, batch, { ...options, window: 3 });
      assert.equal(decides, 1);
      assert.deepEqual(ofRoute(windowed, "Image→Last"), [1, 1, 1, 6, 6, 6, 6, 6]);
      const wide = await attentionKnockouts(model, batch, { ...options, window: 9, layers: [0, 5, 6] });
      assert.deepEqual(ofRoute(wide, "Image→Last"), [BLIND, BLIND, ALL]);
    });
  });

  it("find the question's word where it holds the answer, and nothing where nothing is planted", async () => {
    await withPlanted("sink", async ({ model, batch, tokens }) => {
      const routes = ["Question→Last", "Image→Last"] as const;
      const found = await attentionKnockouts(model, batch, { metric: firstTokenRight(tokens), routes });
      assert.ok(ofRoute(found, "Question→Last")[1] <= BLIND);
      assert.equal(ofRoute(found, "Image→Last")[1], ALL);
    });
    await withPlanted("none", async ({ model, batch, tokens }) => {
      const found = await attentionKnockouts(model, batch, { metric: firstTokenRight(tokens) });
      for (const route of found.routes) assert.deepEqual(ofRoute(found, route), Array(8).fill(BLIND));
    });
  });

  it("leave the masks of padding: a row gives the same beside a longer one", async () => {
    await withPlanted("late", async ({ model, questions, tokens }) => {
      const long = {
        ...questions[0],
        content: [...(questions[0].content as []), { type: "text", text: " it is what ?" }],
      };
      const knocked = async (batch: Batch, answers: readonly number[]): Promise<Knockouts> =>
        attentionKnockouts(model, batch, { metric: logProb(answers) });
      const padded = await model.prepare([[questions[1]], [long as ReturnType<typeof asMessage>]]);
      assert.ok(padded.attentionMask[0] === 0, "the shorter row is padded");
      const both = await knocked(padded, [tokens[1], tokens[0]]);
      const alone = await knocked(await model.prepare([[questions[1]]]), [tokens[1]]);
      alone.values.data.forEach((want, i) => {
        const got = both.values.data[2 * i];
        assert.ok(Math.abs(got - want) < 1e-4 * Math.max(1, Math.abs(want)), `${i}: ${got}, alone ${want}`);
      });
    });
  });

  it("name groups without the last token twice, and refuse what is no group, no window or has no tokens", async () => {
    await withPlanted("none", async ({ model, batch, tokens }) => {
      const metric = firstTokenRight(tokens);
      const { keys, queries } = routeEnds(batch, "Question→Last");
      keys.forEach((columns, b) => {
        assert.ok(columns.length > 0 && !columns.includes(queries[b][0]));
      });
      assert.deepEqual(routeEnds(batch, "Image→Text").keys, batch.visual);
      const wrong = ["Image→Answer"] as unknown as ["Image→Last"];
      await assert.rejects(
        attentionKnockouts(model, batch, { metric, routes: wrong }),
        /no route between groups/,
      );
      await assert.rejects(attentionKnockouts(model, batch, { metric, window: 4 }), /has no centre/);
      const blind = await model.prepare("what is it ?");
      await assert.rejects(
        attentionKnockouts(model, blind, { metric: logProb(1), routes: ["Image→Last"] }),
        /Row 0 has no tokens of the group Image/,
      );
    });
  });

  it("have the windows of the literature, and relative changes", () => {
    assert.deepEqual(windowAround(2, 9, 32), [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(windowAround(30, 9, 32), [26, 27, 28, 29, 30, 31]);
    assert.deepEqual(windowAround(5, 1, 8), [5]);
    assert.ok(Math.abs(relativeChange(Math.log(0.2) - Math.log(0.8)) + 75) < 1e-12);
  });
});
