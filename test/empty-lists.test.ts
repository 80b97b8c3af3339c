/** Empty lists of what is to be visited, measured or changed: their result would be empty, and nobody would know why. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edit, loadModel } from "../lib/model/index.js";
import {
  activationPatching,
  attentionFlow,
  attentionKnockouts,
  attributionPatching,
  blockAsMany,
  blockRoute,
  estimateCost,
  expertChoices,
  expertChoicesByGroup,
  expertSilencing,
  gradients,
  imageAttention,
  logProb,
  meanOf,
  pathPatching,
  pruningPlans,
  pullBack,
  steeringVectors,
  sweep,
  truncation,
} from "../lib/model/methods/index.js";

describe("empty lists", async () => {
  const model = await loadModel("maths-zh-en");
  const batch = model.batch([[1, 2, 3]]);
  const metric = logProb(3);
  const contrast = { clean: batch, corrupted: batch, metric };
  const hook = "blocks.1.hook_mlp_out";
  const [layers, routes] = [[], []];
  const corruption = { kind: "zero" } as const;
  const over = (grid: never[] | Record<string, number[]>): Promise<unknown> =>
    sweep(model, batch, { over: grid, edit: () => ({}), metric });
  const patching = (where: { layers?: []; positions?: []; heads?: [] }): Promise<unknown> =>
    activationPatching(model, contrast, { hook: "hook_resid_pre", ...where });
  const pruning = (without: object): Promise<unknown> =>
    pruningPlans(model, batch, { rules: [{ kind: "random" }], keep: [0.5], from: [1], ...without });

  const cases: Readonly<Record<string, () => unknown>> = {
    "points of a sweep": () => over([]),
    "axes of a sweep": () => over({}),
    "an axis of a sweep": () => over({ layer: [] }),
    "one axis of several": () => over({ layer: [0, 1], head: [] }),
    "positions of a sweep's metric": () =>
      sweep(model, batch, { over: [0], edit: () => ({}), metric, positions: [] }),
    "patched layers": () => patching({ layers: [] }),
    "patched positions": () => patching({ positions: [] }),
    "patched heads": () => patching({ heads: [] }),
    "hooks of attribution patching": () => attributionPatching(model, contrast, []),
    "receivers of a path": () => pathPatching(model, contrast, { sender: { hook }, receivers: [] }),
    "hooks to steer at": () => steeringVectors(model, { positive: batch, negative: batch }, []),
    "hooks to derive by": () => gradients(model, batch, [metric], { wrt: [] }),
    "metrics to derive": () => gradients(model, batch, [], { wrt: [hook] }),
    "targets to pull back": () =>
      pullBack(model, {} as never, { targets: [], at: [{ hook }], take: () => {} }),
    "points to pull back to": () =>
      pullBack(model, {} as never, { targets: [{} as never], at: [], take: () => {} }),
    "prompts of a mean": () => meanOf(model, [], hook),
    "positions of a mean": () => meanOf(model, ["1"], hook, { positions: [] }),
    "truncated layers": () => truncation(model, batch, { corruption, metric, layers }),
    "layers of knockouts": () => attentionKnockouts(model, batch, { metric, layers }),
    "routes of knockouts": () => attentionKnockouts(model, batch, { metric, routes }),
    "layers of a flow": () => attentionFlow(model, batch, { layers }),
    "routes of a flow": () => attentionFlow(model, batch, { routes }),
    "layers of a cut route": () => blockRoute(batch, "Image→Last", []),
    "layers of a route's control": () => blockAsMany(batch, "Image→Last", []),
    "layers of an image's attention": () => imageAttention(model, batch, { layers }),
    "layers of experts": () => expertChoices(model, batch, { layers }),
    "tokens of experts": () => expertChoices(model, batch, { positions: [] }),
    "groups of tokens of experts": () => expertChoicesByGroup(model, batch, {}),
    "sets of experts": () => expertSilencing(model, batch, { sets: [], metric }),
    "rules of pruning": () => pruning({ rules: [] }),
    "shares of pruning": () => pruning({ keep: [] }),
    "blocks of pruning": () => pruning({ from: [] }),
    "work to estimate": () => estimateCost(model, { batch, work: [] }),
    "messages of a prompt": () => model.prepare([[]]),
    "captured heads": () => model.run(batch, { capture: [{ hook: "blocks.0.attn.hook_z", heads: [] }] }),
    "captured positions": () => model.run(batch, { capture: [{ hook, positions: [] }] }),
    "edited rows": () => edit.zero({ rows: [] }),
    "edited positions": () => edit.add(1, { positions: [] }),
    "edited heads": () => edit.scale(2, { heads: [] }),
    "keys to hide": () => edit.blockAttention({ to: [] }),
    "edited positions of the only row": () =>
      model.run(batch, { edits: { [hook]: edit.zero({ positions: [[]] }) } }),
  };
  for (const [what, work] of Object.entries(cases)) {
    it(`${what}: refused in words`, async () => {
      await assert.rejects(
        async () => work(),
        (error: Error) => {
          assert.equal(error.name, "ModalscopeError", String(error));
          assert.match(error.message, /empty|no positions|no prompts/);
          return true;
        },
      );
    });
  }

  it("lists of what is added or left out may be empty", async () => {
    const { logits } = await model.run(batch, { capture: [], edits: {}, skipLayers: [] });
    const plain = await model.run(batch);
    assert.deepEqual(logits?.data, plain.logits?.data);
    await model.generate(batch, { maxNewTokens: 1, stopStrings: [] });
    const { values, clean } = await sweep(model, batch, { over: [0], edit: () => ({}), metric });
    assert.deepEqual([...values.data], [...clean]);
  });
});
