/** Routing overlap on checkpoints whose routers are known. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type RoutingOverlap, routingOverlap } from "../../../lib/analysis/index.js";
import type { Batch, Model } from "../../../lib/model/index.js";
import { expertChoices, routeEnds } from "../../../lib/model/methods/index.js";
import { withPlanted } from "../../model/methods/planted-trial.js";

/** Visual tokens against text, of the first question, by block. */
async function overlaps(model: Model, batch: Batch): Promise<RoutingOverlap[]> {
  const { keys, queries } = routeEnds(batch, "Image→Text");
  const visual = await expertChoices(model, batch, { positions: keys });
  const text = await expertChoices(model, batch, { positions: queries });
  return visual.map(({ chosen, experts }, l) =>
    routingOverlap(chosen[0], text[l].chosen[0], { experts, draws: 199 }),
  );
}

describe("routing overlap of visual and text tokens", () => {
  it("is whole in the one block in which they share their experts, and none elsewhere", async () => {
    await withPlanted("routing", async ({ model, batch, decides }) => {
      (await overlaps(model, batch)).forEach(({ jaccard, divergence }, l) => {
        assert.equal(jaccard.value, l === decides ? 1 : 0, `block ${l}`);
        assert.ok(Math.abs(divergence.value - (l === decides ? 0 : 1)) < 1e-9, `block ${l}`);
        assert.equal(divergence.p, l === decides ? 1 : 1 / 200, `block ${l}`);
      });
    });
  });
});
