import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ablate, meanInterval, projectOnto } from "../../../lib/analysis/index.js";
import { type Arm, armEdits, type Part } from "../../../lib/studies/phase3-z/arms.js";
import { type PatchOutcome, patchArms, patchOutcomes } from "../../../lib/studies/phase3-z/patch.js";
import { matchedArms } from "../../../lib/studies/phase3-z/readings.js";
import { allDonorShifts, shiftValues } from "../../../lib/studies/phase3-z/shift.js";
import { pooledStreams, residPre, type Subject, subjectOf } from "../../../lib/studies/phase3-z/subject.js";
import { withCheckpoint } from "../../../lib/studies/random-twin.js";
import { type PlantedMechanism, plainPrompt, plantedMaths } from "../../../lib/tasks/index.js";

const PROBLEMS = 10;

/** Opens a planted checkpoint with its riddles in both languages. */
async function withPlanted<T>(
  mechanism: PlantedMechanism,
  use: (subject: Subject, at: { readonly layer: number; readonly k: number }) => Promise<T>,
): Promise<T> {
  const made = plantedMaths(mechanism);
  const riddles = made.problems.slice(0, PROBLEMS);
  const files = {
    "tokenizer.json": JSON.stringify(made.tokenizer),
    "tokenizer_config.json": JSON.stringify(made.tokenizerConfig),
  };
  return withCheckpoint({ ...made, files }, async (model) => {
    const ids = {
      en: riddles.map((own) => model.tokenize(plainPrompt(own, "en"))),
      zh: riddles.map((own) => model.tokenize(plainPrompt(own, "zh"))),
    };
    const answers = riddles.map(({ answer }) => answer);
    const subject = await subjectOf(model, ids, answers, { layers: [made.layer] });
    return use(subject, { layer: made.layer, k: made.axes.length });
  });
}

/** Share of the problems for which something holds, by part, patched from the next problem's translation. */
async function shares(
  mechanism: PlantedMechanism,
): Promise<(part: Part, what: keyof PatchOutcome) => number> {
  return withPlanted(mechanism, async (subject, at) => {
    const donors = subject.answers.map((_, i) => (i + 1) % PROBLEMS);
    const parts: Part[] = ["none", "Z", "Z⊥", "R", "R⊥", "full"];
    const arms = parts.map((part): Arm => ({ ...at, part, align: "mean", donors }));
    const [clean, ...patched] = await patchArms(subject, arms, { maxNewTokens: 4 });
    const answers = donors.map((j) => subject.answers[j]);
    return (part, what) => {
      const own = patched.find(({ arm }) => arm.part === part);
      assert.ok(own);
      return (
        patchOutcomes(clean.graded, own.graded, answers).filter((outcome) => outcome[what]).length / PROBLEMS
      );
    };
  });
}

describe("arms of the patching experiment", () => {
  it("carry content where it lies in Z and not in a random subspace of its size", async () => {
    const share = await shares("shared");
    assert.deepEqual([share("Z", "flipped"), share("R", "flipped")], [1, 0]);
    assert.equal(share("Z", "turned"), 0);
  });

  it("turn the language by the complement of any small subspace, which says nothing of Z", async () => {
    const share = await shares("shared");
    assert.deepEqual([share("Z⊥", "turned"), share("R⊥", "turned")], [1, 1]);
  });

  it("tell damage from content: a change is no flip to the donor's answer", async () => {
    const share = await shares("separate");
    assert.deepEqual([share("Z", "changed"), share("Z", "flipped")], [1, 0]);
  });

  it("shift the answer towards every donor's as far as the full patch where Z holds the content; R and the query side not", async () => {
    await withPlanted("shared", async (subject, at) => {
      const { model, answers } = subject;
      const encode = (text: string) => [
        ...(model.tokenizer?.encode(text, { add_special_tokens: false }) ?? []),
      ];
      // The planted block reads content by its keys; what it asks with was drawn.
      const query = matchedArms({ ...at, side: "query", randomSets: 0 }).filter(({ part }) => part === "Z");
      const parts: Part[] = ["Z", "R", "full"];
      const arms: Arm[] = [...parts.map((part) => ({ ...at, part, align: "mean" as const })), ...query];
      const shifted = await allDonorShifts(subject, arms, {
        words: answers.map(() => encode("answer")),
        firstTokens: answers.map((answer) => encode(String(answer))[0]),
      });
      const [z, random, full, asked] = shifted.map((arm) => {
        const { values, clusters } = shiftValues(arm);
        assert.deepEqual([values.length, new Set(clusters).size], [PROBLEMS * (PROBLEMS - 1), PROBLEMS]);
        return meanInterval(values, { clusters });
      });
      assert.ok(
        z.low > 1 && Math.abs(z.estimate / full.estimate - 1) < 0.2,
        `Z ${z.estimate}, full ${full.estimate}`,
      );
      assert.ok(random.high < 0.5 * z.low, `R ${random.estimate}`);
      assert.ok(asked.high < 0.5 * z.low, `Z of the query side ${asked.estimate}`);
    });
  });

  it("write into the stream what the formula says", async () => {
    await withPlanted("shared", async (subject, { layer, k }) => {
      const { model, ids, streams } = subject;
      const batch = model.batch(ids.en);
      const arm: Arm = { layer, k, part: "Z", align: "mean" };
      const edits = await armEdits(subject, [arm], batch);
      const hook = residPre(layer);
      const { cache } = await model.run(batch, { edits, capture: [hook], logits: "none" });
      const { data, shape } = cache.get(hook);
      const [, time, width] = shape;
      const basis = subject.z(layer, k);
      const z = projectOnto(pooledStreams(streams.zh.get(layer) ?? []), basis);
      (streams.en.get(layer) ?? []).forEach((tokens, b) => {
        const kept = ablate(tokens, basis);
        batch.tokenPositions[b].forEach((column, t) => {
          for (let j = 0; j < width; j++) {
            const expected = kept.data[t * width + j] + z.data[b * width + j];
            assert.ok(Math.abs(data[(b * time + column) * width + j] - expected) < 1e-4);
          }
        });
      });
    });
  });
});
