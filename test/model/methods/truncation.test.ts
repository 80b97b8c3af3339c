/** Truncation and restoration on checkpoints whose mechanism is known. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edit, logProb, type Model } from "../../../lib/model/index.js";
import {
  type Corruption,
  firstTokenRight,
  restoration,
  truncatedAnswers,
  truncation,
} from "../../../lib/model/methods/index.js";
import { byLayer, type Trial, withPlanted } from "./planted-trial.js";

const [BLIND, ALL] = [1, 6];
const step = (block: number, low = BLIND): number[] =>
  Array.from({ length: 8 }, (_, l) => (l <= block ? low : ALL));

async function rightAfter(trial: Trial, corruption: Corruption): Promise<number[]> {
  const metric = firstTokenRight(trial.tokens);
  return byLayer((await truncation(trial.model, trial.batch, { corruption, metric })).values);
}

describe("truncation of visual tokens", () => {
  for (const kind of ["late", "early"] as const) {
    it(`loses the answer up to the block that reads it, and not after (${kind})`, async () => {
      await withPlanted(kind, async (trial) => {
        const at = trial.decides!;
        assert.deepEqual(await rightAfter(trial, { kind: "zero" }), step(at));
        assert.deepEqual(await rightAfter(trial, { kind: "hidden" }), step(at));
        // Every other image has another colour.
        assert.deepEqual(await rightAfter(trial, { kind: "image", from: trial.others }), step(at, 0));
        // The mean over all colours tells none of them.
        const prompts = trial.questions.map((q) => [q]);
        assert.deepEqual(await rightAfter(trial, { kind: "mean", prompts }), step(at));
        assert.deepEqual(await rightAfter(trial, { kind: "noise", times: 0 }), step(-1));
        const noisy = await rightAfter(trial, { kind: "noise", times: 30, seed: 1 });
        assert.ok(
          noisy.every((right, l) => (l <= at ? right < ALL : right === ALL)),
          String(noisy),
        );
      });
    });
  }

  it("gives the change of each sample's log-probability", async () => {
    await withPlanted("late", async ({ model, batch, tokens, decides }) => {
      const metric = logProb(tokens);
      const { values, delta, clean, layers } = await truncation(model, batch, {
        corruption: { kind: "zero" },
        metric,
        layers: [2, 7],
      });
      assert.deepEqual(
        [layers, values.shape],
        [
          [2, 7],
          [2, 6],
        ],
      );
      const hooks = { "blocks.2.hook_resid_pre": edit.zero({ positions: batch.visual }) };
      const run = await model.run(batch, { edits: hooks, logits: "last" });
      metric.value(run.logits!).forEach((want, b) => {
        assert.ok(Math.abs(values.data[b] - want) < 1e-4 * Math.abs(want));
        assert.equal(delta.data[b], values.data[b] - clean[b]);
        assert.ok(delta.data[b] < -0.5 || b === 0, `sample ${b} loses ${delta.data[b]}`);
        assert.ok(decides! < 7 && Math.abs(delta.data[6 + b]) < 1e-4);
      });
    });
  });

  it("shows the leak where DeepStack's injections are left clean", async () => {
    await withPlanted("leak", async ({ model, batch, tokens }) => {
      const options = { corruption: { kind: "zero" }, metric: firstTokenRight(tokens) } as const;
      const open = await truncation(model, batch, { ...options, injections: "clean" });
      assert.deepEqual(byLayer(open.values), [6, 6, 6, 1, 1, 6, 6, 6]);
      assert.deepEqual(byLayer((await truncation(model, batch, options)).values), step(4));
    });
  });

  it("tells a sink from information: other images keep the answer that hiding turns", async () => {
    await withPlanted("sink", async (trial) => {
      assert.deepEqual(await rightAfter(trial, { kind: "hidden" }), step(5, 0));
      assert.deepEqual(await rightAfter(trial, { kind: "image", from: trial.others }), step(-1));
    });
  });

  it("changes nothing where nothing is planted", async () => {
    await withPlanted("none", async (trial) => {
      for (const corruption of [{ kind: "zero" }, { kind: "image", from: trial.others }] as const)
        assert.deepEqual(await rightAfter(trial, corruption), Array(8).fill(BLIND));
    });
  });

  it("of whole answers agrees with that of first tokens", async () => {
    await withPlanted("late", async ({ model, batch, answers }) => {
      const { values, clean } = await truncatedAnswers(model, batch, {
        corruption: { kind: "hidden" },
        layers: [0, 5, 6],
        maxNewTokens: 2,
        score: (text, row) => (text.trim() === answers[row] ? 1 : 0),
      });
      assert.deepEqual(byLayer(values), [BLIND, BLIND, ALL]);
      assert.deepEqual([...clean], Array(6).fill(1));
    });
  });

  it("takes the blocks in parts where not all fit into the memory", async () => {
    await withPlanted("leak", async ({ model, batch, others, tokens }) => {
      const stream = 4 * batch.size * batch.seqLength * model.config.hidden_size;
      const engine = { ...model.engine, captureBytes: 2 * 3 * 4 * stream, workBytes: stream / 4 };
      const small: Model = Object.assign(Object.create(Object.getPrototypeOf(model)), model, { engine });
      // Three blocks fit at a time.
      const options = {
        corruption: { kind: "image", from: others },
        metric: logProb(tokens),
        layers: [1, 3, 4, 6],
      } as const;
      for (const curve of [truncation, restoration]) {
        const shares: number[] = [];
        const onProgress = (done: number, total: number) => void shares.push(done / total);
        const whole = await curve(model, batch, options);
        const parts = await curve(small, batch, { ...options, onProgress });
        assert.equal(whole.values.data.length, 4 * batch.size);
        whole.values.data.forEach((want, i) => {
          assert.ok(Math.abs(parts.values.data[i] - want) < 1e-5);
        });
        assert.deepEqual([parts.layers, parts.clean], [whole.layers, whole.clean]);
        assert.ok(shares.every((share, i) => share >= (shares[i - 1] ?? 0)) && shares.at(-1) === 1);
      }
    });
  });

  it("refuses batches without images, and other images of other sizes", async () => {
    await withPlanted("none", async ({ model, batch, tokens, questions }) => {
      const metric = firstTokenRight(tokens);
      const blind = await model.prepare("what is it ?");
      await assert.rejects(truncation(model, blind, { corruption: { kind: "zero" }, metric }), /no images/);
      const from = await model.prepare(questions.slice(1).map((q) => [q]));
      await assert.rejects(
        truncation(model, batch, { corruption: { kind: "image", from }, metric }),
        /16, 16, 16, 16, 16 of these tokens by row, the batch itself 16, 16, 16, 16, 16, 16/,
      );
    });
  });
});

describe("truncation of a text in the image's place", () => {
  // "sink" reads the colour that the text names, at an eighth of its depth.
  const READS = 1;
  const passages = (questions: Trial["questions"]) =>
    questions.map(({ content }) => {
      const [image, question] = content as readonly [(typeof content)[0], { readonly text: string }];
      const [passage, asked] = question.text.split(/(?<= \.) /);
      const parts = [
        image,
        { type: "text", text: passage, standsForImage: true },
        { type: "text", text: asked },
      ] as const;
      return [{ role: "user", content: parts }] as const;
    });

  it("loses the answer up to the block that reads the text, and not after", async () => {
    await withPlanted("sink", async (trial) => {
      const prompts = passages(trial.questions);
      const batch = await trial.model.prepare(prompts);
      const others = await trial.model.prepare([...prompts.slice(1), prompts[0]]);
      const metric = firstTokenRight(trial.tokens);
      const tokens = (own: typeof batch) => own.passage;
      for (const corruption of [
        { kind: "zero" },
        { kind: "hidden" },
        { kind: "mean", prompts },
        { kind: "image", from: others },
      ] as const) {
        const { values } = await truncation(trial.model, batch, { corruption, metric, tokens });
        const right = byLayer(values);
        // Where no colour is named, faint noise decides; where another one is, that one wins.
        const most = corruption.kind === "image" ? 0 : 2;
        assert.ok(Math.max(...right.slice(0, READS + 1)) <= most, `${corruption.kind}: ${right}`);
        assert.deepEqual(right.slice(READS + 1), Array(7 - READS).fill(ALL), corruption.kind);
      }
      const restored = await restoration(trial.model, batch, {
        corruption: { kind: "image", from: others },
        metric,
        tokens,
      });
      assert.deepEqual(
        byLayer(restored.values),
        Array.from({ length: 8 }, (_, l) => (l <= READS ? ALL : 0)),
      );
      const { values } = await truncation(trial.model, trial.batch, { corruption: { kind: "zero" }, metric });
      assert.deepEqual(
        byLayer(values).slice(6),
        [ALL, ALL],
        "without the option the image's tokens are meant",
      );
      await assert.rejects(
        truncation(trial.model, trial.batch, { corruption: { kind: "zero" }, metric, tokens }),
        /no tokens to corrupt/,
      );
    });
  });
});

describe("restoration of visual tokens", () => {
  it("saves the answer up to the block that reads it, and not after", async () => {
    await withPlanted("late", async ({ model, batch, others, tokens, decides }) => {
      for (const [corruption, lost] of [
        [{ kind: "image", from: others }, 0],
        [{ kind: "zero" }, BLIND],
        [{ kind: "hidden" }, BLIND],
      ] as const) {
        const { values } = await restoration(model, batch, { corruption, metric: firstTokenRight(tokens) });
        const want = Array.from({ length: 8 }, (_, l) => (l <= decides! ? ALL : lost));
        assert.deepEqual(byLayer(values), want, corruption.kind);
      }
    });
  });

  it("covers DeepStack's injections too", async () => {
    await withPlanted("leak", async ({ model, batch, tokens }) => {
      const options = { corruption: { kind: "zero" }, metric: firstTokenRight(tokens) } as const;
      const covered = await restoration(model, batch, options);
      assert.deepEqual(byLayer(covered.values), [6, 6, 6, 6, 6, 1, 1, 1]);
      const open = await restoration(model, batch, { ...options, injections: "clean" });
      assert.deepEqual(byLayer(open.values), Array(8).fill(ALL));
    });
  });
});
