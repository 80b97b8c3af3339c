import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bootstrap, signFlipTest, tsne } from "../lib/analysis/index.js";
import * as edit from "../lib/model/edits/edit.js";
import { loadModel } from "../lib/model/load.js";
import { directLogitAttribution } from "../lib/model/methods/attribution.js";
import { gradients } from "../lib/model/methods/gradients.js";
import { meanOf } from "../lib/model/methods/means.js";
import { logProb } from "../lib/model/methods/metrics.js";
import { activationPatching, steeringVectors } from "../lib/model/methods/patching.js";
import { type Grid, type SweepOptions, sweep } from "../lib/model/methods/sweep.js";
import type { Model } from "../lib/model/model.js";
import { Trainer, train } from "../lib/model/training/index.js";
import { visualEdits } from "../lib/model/vision/index.js";

type Options = Readonly<Record<string, unknown>>;

/** Options as they come from JSON or plain JavaScript, past the types. */
const given = <T>(options: Options): T => options as T;

describe("options of any origin", async () => {
  const model = await loadModel("maths-zh-en");
  const batch = model.batch([[1, 2, 3]]);
  const metric = logProb(3);
  const contrast = { clean: batch, corrupted: batch, metric };

  const cases: readonly [what: string, work: () => unknown, message: RegExp][] = [
    [
      "a snake_case name",
      () => model.run(batch, given({ stop_at_layer: 2 })),
      /no option "stop_at_layer".*"stopAtLayer"/,
    ],
    ["a singular", () => model.run(batch, given({ edit: {} })), /model\.run has no option "edit".*"edits"/],
    ["a plural", () => model.run(batch, given({ captures: [] })), /no option "captures".*"capture"/],
    ["transformers' name", () => model.generate(batch, given({ max_new_tokens: 3 })), /"maxNewTokens"/],
    ["a name far from all", () => model.run(batch, given({ zzzzzzzz: 1 })), /Its options are .*capture/],
    [
      "NaN for a number of tokens",
      () => model.generate(batch, { maxNewTokens: Number.NaN }),
      /maxNewTokens .* is NaN\. It must be an integer from 1/,
    ],
    [
      "NaN for a temperature",
      () => model.generate(batch, { temperature: Number.NaN }),
      /temperature .* is NaN\. It must be a number from 0/,
    ],
    ["a negative temperature", () => model.generate(batch, { temperature: -1 }), /temperature/],
    ["a share above 1", () => model.generate(batch, { topP: 1.5 }), /topP .* from 0 to 1/],
    [
      "a string for a list",
      () => model.generate(batch, given({ stopStrings: "\n" })),
      /stopStrings .* list of strings/,
    ],
    [
      "an empty stop string",
      () => model.generate(batch, { stopStrings: ["x", ""] }),
      /stopStrings .* that are not empty/,
    ],
    [
      "a number to tokenize",
      () => model.tokenize(given(5 as never)),
      /Prompt 0 cannot be read: it is a number/,
    ],
    ["a token id that is no integer", () => model.decode([1.5]), /token id 1\.5/],
    ["a token id as text", () => model.decode(given(["7"] as never)), /token id "7".*integers from 0 to/],
    ["a negative token id", () => model.decode([-1]), /token id -1/],
    ["a token id past the vocabulary", () => model.decode([727]), /token id 727.*integers from 0 to 726/],
    [
      "tool calls in a message",
      () => model.tokenize(given([{ role: "user", content: "x", tool_calls: [] }] as never)),
      /message 0 has "tool_calls", which no template would be given/,
    ],
    [
      "a reduction of a misspelt name",
      () => model.run(batch, { capture: [given({ hook: "hook_embed", reduce: { tops: 3 } })] }),
      /reduce of a capture is an object.*\{ top: count \}/,
    ],
    [
      "an unknown option inside a reduction",
      () => model.run(batch, { capture: [given({ hook: "hook_embed", reduce: { top: 3, sort: true } })] }),
      /reduce of a capture is an object/,
    ],
    [
      "an edit of a sweep that gives nothing",
      () => sweep(model, batch, { over: [1], metric, edit: () => given(undefined as never) }),
      /edit of sweep gave undefined at 1.*into parentheses/,
    ],
    [
      "a string for captures",
      () => model.run(batch, given({ capture: "hook_embed" })),
      /capture .* must be a list/,
    ],
    [
      "a list for options",
      () => model.run(batch, given([] as never)),
      /The options of model\.run are an empty list/,
    ],
    ["a position that is no integer", () => model.run(batch, { logits: [0.5] }), /logits .* is a list/],
    [
      "an unknown option of a capture",
      () => model.run(batch, { capture: [given({ hook: "hook_embed", position: [0] })] }),
      /A capture has no option "position".*"positions"/,
    ],
    [
      "an unknown option of prepare",
      () => model.prepare("a", given({ padding_side: "left" })),
      /"paddingSide"/,
    ],
    ["an unknown side", () => model.batch([[1]], given({ paddingSide: "up" })), /"left" or "right"/],
    [
      "the inverse of skipSpecialTokens",
      () => model.decode([1], given({ keepSpecial: true })),
      /skipSpecialTokens/,
    ],
    [
      "an unknown option of loadModel",
      () => loadModel("maths-zh-en", given({ dtype: "f64" })),
      /loadModel has no option "dtype"/,
    ],
    [
      "a sweep without a metric",
      () => sweep(model, batch, given<SweepOptions<Grid>>({ over: [1], edit: () => ({}) })),
      /sweep lacks the option metric/,
    ],
    [
      "gradients by nothing",
      () => gradients(model, batch, [metric], given({})),
      /gradients lacks the option wrt/,
    ],
    [
      "gradients at an edit's misspelt option",
      () => gradients(model, batch, [metric], given({ wrt: ["hook_embed"], skip: [0] })),
      /has no option "skip"\. Did you mean "skipLayers"\?/,
    ],
    [
      "patching without a hook",
      () => activationPatching(model, contrast, given({})),
      /lacks the option hook/,
    ],
    [
      "steering with position",
      () =>
        steeringVectors(
          model,
          { positive: batch, negative: batch },
          ["hook_embed"],
          given({ position: "last" }),
        ),
      /"positions"/,
    ],
    [
      "attribution by neuron",
      () => directLogitAttribution(model, batch, metric, given({ by: "neuron" })),
      /"component" or "head"/,
    ],
    [
      "means of positions by name",
      () => meanOf(model, ["a"], "hook_embed", given({ positions: "visual" })),
      /positions of meanOf is "visual"/,
    ],
    [
      "training without steps",
      () => train({} as Trainer, new Map(), () => ({}) as never, given({ learningRate: () => 1 })),
      /train lacks the option steps/,
    ],
    [
      "the old name of a rate",
      () => tsne([[1], [2], [3], [4]], given({ rate: 10 })),
      /tsne has no option "rate".*Its options are .*learningRate/,
    ],
    [
      "bootstrap at the old name",
      () => bootstrap(3, () => 1, given({ iterations: 10 })),
      /no option "iterations".*draws/,
    ],
    [
      "a level in percent",
      () => bootstrap(3, () => 1, { level: 95 }),
      /level of bootstrap is 95\..* from 0 to 1/,
    ],
    [
      "a misspelt number of draws",
      () => signFlipTest([1, 2], given({ draw: 9 })),
      /no option "draw".*"draws"/,
    ],
    [
      "an edit of visual tokens at another name",
      () => visualEdits(model, batch, edit.zero(), given({ layer: 1 })),
      /visualEdits has no option "layer"/,
    ],
    [
      "training at the old name",
      () => Trainer.open(model.checkpoint.config, given({ balance: 1 })),
      /Trainer\.open has no option "balance"/,
    ],
  ];
  for (const [what, work, message] of cases) {
    it(`${what} is refused`, async () => {
      await assert.rejects(
        async () => work(),
        (error: Error) => {
          assert.equal(error.name, "ModalscopeError", String(error));
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  const hook = "blocks.1.hook_resid_pre";
  const edited = (edits: Options): Promise<unknown> =>
    model.run(batch, given<Parameters<Model["run"]>[1] & {}>({ edits }));
  const edits: readonly [what: string, work: () => unknown, message: RegExp][] = [
    [
      "a function for an edit",
      () => edited({ [hook]: (x: unknown) => x }),
      /a function for an edit\. Write edit\.apply/,
    ],
    [
      "a constructor for an edit",
      () => edited({ [hook]: edit.zero }),
      /call the function that makes the edit: edit\.zero\(\)/,
    ],
    ["a number for an edit", () => edited({ [hook]: 0 }), /is given no edit/],
    [
      "a kind that is a property of every object",
      () => edited({ [hook]: { kind: "constructor" } }),
      /is given no edit/,
    ],
    [
      "a field of another kind",
      () => edited({ [hook]: { kind: "add", factor: 2 } }),
      /has no option "factor"/,
    ],
    ["an edit without its value", () => edited({ [hook]: { kind: "add" } }), /lacks the option value/],
    [
      "a misspelt place",
      () => edit.zero(given({ position: [1] })),
      /edit\.zero has no option "position".*"positions"/,
    ],
    ["NaN for a value", () => edit.fill(Number.NaN), /value of edit\.fill is NaN/],
    ["a phase that is none", () => edit.zero(given({ phase: "decode" })), /"prompt" or "decoding" or "both"/],
    ["NaN for noise", () => edit.noise(Number.NaN), /std of edit\.noise is NaN/],
    [
      "a function in edit.at",
      () => edit.at({ positions: "last" }, given(edit.zero as never)),
      /a function for an edit/,
    ],
  ];
  for (const [what, work, message] of edits) {
    it(`${what} is refused`, async () => {
      await assert.rejects(async () => work(), message);
    });
  }

  it("an option that is undefined is one that is left out", async () => {
    await model.run(batch, { edits: undefined, capture: undefined, logits: undefined });
    await model.generate(batch, { maxNewTokens: 1, temperature: undefined });
  });
});
