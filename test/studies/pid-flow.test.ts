/** Every claim of the study both ways, on sources whose atoms are known at every state. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { asMatrix, type MatrixLike, takeRows } from "../../lib/analysis/index.js";
import { claimsMatrix, loadClaims, type Measured, modelCells } from "../../lib/studies/index.js";
import {
  decompose,
  embeddedTwins,
  type Measurements,
  madeByHand,
  measureTasks,
  pidEvidence,
  type Questions,
  sameSpectrumOf,
  type TaskRun,
  variantCorrelations,
} from "../../lib/studies/pid-flow/index.js";
import { withCheckpoint } from "../../lib/studies/random-twin.js";
import { plantedSources } from "../../lib/tasks/index.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { isSlow } from "../rounds.js";
import { assertBothWays } from "./assert-both-ways.js";

const study = loadClaims("pid-flow");

/** Sources that tell nothing: the checkpoints that hold nothing, without a model. */
function nothing(seed: number): Measurements {
  const [right, wrong] = ["likeDocument", "likeDocument"].map((name, i) =>
    madeByHand(name, 100 + seed + 7 * i),
  );
  // Predictions of other questions: no source knows them.
  const apart = <T extends { readonly prediction: unknown }>(run: T, other: T): T => ({
    ...run,
    prediction: other.prediction,
  });
  return {
    ...right,
    tasks: right.tasks.map((own, t) => ({
      ...own,
      clean: apart(own.clean, wrong.tasks[t].clean),
      cut: apart(own.cut!, wrong.tasks[t].cut!),
      control: apart(own.control!, wrong.tasks[t].control!),
    })),
    variant: right.variant!.map((own, t) => ({ ...own, clean: apart(own.clean, wrong.variant![t].clean) })),
  };
}

/** The study with a made checkpoint in the model's place. */
async function studied(model: (seed: number) => Measurements) {
  const measure = async (measurements: Measurements): Promise<Measured> => ({
    evidence: pidEvidence(study, await decompose(measurements, { flow: "none", draws: 24 })),
    gate: { rows: [], passed: new Set() },
  });
  let spectrum: Measurements | undefined;
  return claimsMatrix(
    study,
    async ({ id }, seed) => {
      if (id === "model") {
        spectrum ??= sameSpectrumOf((await decompose(model(0), { flow: "none" })).tasks, model(0).depths, 1);
        return measure(model(seed));
      }
      if (id === "sameSpectrum") return measure(spectrum!);
      if (id === "random" || id === "otherImage") return measure(nothing(seed));
      return measure(madeByHand(id, seed));
    },
    { otherSeeds: [0] },
  );
}

// A minute of work: in `npm run test:slow`.
if (isSlow)
  describe("the study of information decomposition", () => {
    it("comes out both ways, and as built, with the document's law in the model's place", async () => {
      const matrix = await studied((seed) => madeByHand("likeDocument", 10 + seed));
      assertBothWays(matrix);
      const verdicts = modelCells(matrix).map(
        ({ claim, verdict, because }) => `${claim}: ${verdict} ${because}`,
      );
      assert.deepEqual(
        verdicts.filter((own) => !own.includes(": supported")),
        [],
      );
    });
  });

describe("variants of a model", () => {
  it("are compared with each variant's twins, and with their own steps in other orders", async () => {
    const made = madeByHand("likeDocument", 0);
    const two = (all: Measurements["tasks"]) =>
      all.slice(0, 2).map(({ task, clusters, clean }) => ({ task, clusters, clean }));
    const [tasks, variant, opposite] = [made.tasks, made.variant!, madeByHand("opposite", 0).tasks].map(two);
    const measured = { ...made, tasks, variant, twins: [tasks, opposite], variantTwins: [variant] };
    const { variants, seeds, permuted } = variantCorrelations(
      await decompose(measured, { flow: "none", draws: 20 }),
    );
    const [same, other, sameVariant] = seeds;
    assert.ok(Math.abs(same - 1) < 1e-12 && Math.abs(sameVariant - 1) < 1e-12, `${same}, ${sameVariant}`);
    assert.ok(variants > 0.96 && other < 0.5, `${variants}, ${other}`);
    assert.equal(permuted.length, 60);
    assert.ok(Math.max(...permuted) < variants, permuted.join());
  });

  it("have their embedded twins by name", () => {
    assert.deepEqual(embeddedTwins("tiny-llava-1.5"), ["tiny-llava-1.5-seed3"]);
    assert.deepEqual(embeddedTwins("/models/tiny-llava-1.5"), []);
    assert.deepEqual(embeddedTwins(""), []);
  });
});

describe("measurements of a checkpoint", () => {
  const folder = temporaryFolder();
  const questions = (count: number): Questions =>
    new Map([["transduced", plantedSources("transduced").draw(count, 0)]]);

  it("see what is planted, keep finished parts, and go on from them", async () => {
    await withCheckpoint(plantedSources("transduced"), async (model) => {
      const options = { stateStep: 4, batchSize: 30, keep: join(folder, "kept"), components: 2 };
      const found = await measureTasks(model, questions(60), options);
      assert.deepEqual(found.depths, [0, 0.5, 1]);
      const files = readdirSync(options.keep);
      assert.equal(files.length, 3);
      const again = await measureTasks(model, questions(60), options);
      assert.deepEqual(JSON.stringify(again.tasks[0].control), JSON.stringify(found.tasks[0].control));
      assert.deepEqual(readdirSync(options.keep).sort(), files.sort());
      // The image's own bit at the first state is the question's too at the last one, unless the route is cut.
      const { tasks, knockouts } = await decompose(found, { draws: 20 });
      const unique = tasks[0].pids.observed.map(({ broja }) => broja.uniqueX);
      // Two of the words' four dimensions are their own values, so the other two pass only half of it on.
      assert.ok(unique[0] > 0.8 && unique[2] < unique[0] - 0.4, unique.join());
      const [clean, cut, control] = knockouts[0].pids.observed.map(({ broja }) => broja.uniqueX);
      assert.ok(cut > clean + 0.3 && control < cut - 0.3, `${clean}, ${cut}, ${control}`);
      assert.ok(found.tasks[0].cut!.right.filter(Boolean).length > 54);
    });
  });

  it("name what is refused, with what would suffice", async () => {
    const made = madeByHand("likeDocument", 0);
    const few = (rows: number): Measurements => ({
      depths: made.depths,
      tasks: made.tasks.slice(0, 1).map(({ task, clean }) => {
        const first = (part: MatrixLike): MatrixLike =>
          takeRows(
            asMatrix(part),
            Array.from({ length: rows }, (_, i) => i),
          );
        const run = {
          vision: clean.vision.map(first),
          language: clean.language.map(first),
          prediction: first(clean.prediction),
          right: clean.right.slice(0, rows),
        };
        return { task, clusters: run.right.map((_, i) => String(i)), clean: run };
      }),
    });
    const whyOf = async (measured: Measurements): Promise<string> =>
      (await decompose(measured)).refused[0].why;
    assert.match(await whyOf(few(6)), /rows are too few for 3 \+ 2 \+ 2 dimensions[\s\S]*at least 8 rows/);
    const [own] = few(200).tasks;
    const changed = (clean: Partial<TaskRun>): Measurements => ({
      depths: made.depths,
      tasks: [{ ...own, clean: { ...own.clean, ...clean } }],
    });
    const constant = { data: new Float64Array(400).fill(1), shape: [200, 2] };
    assert.match(
      await whyOf(changed({ vision: own.clean.vision.map(() => constant) })),
      /constant|singular|positive/,
    );
    const holed = { data: new Float64Array(400).fill(Number.NaN), shape: [200, 2] };
    assert.match(
      await whyOf(changed({ language: own.clean.language.map(() => holed) })),
      /holds NaN at row 0/,
    );
    const short = { data: new Float64Array(20), shape: [10, 2] };
    assert.match(await whyOf(changed({ vision: own.clean.vision.map(() => short) })), /10 and 200 rows/);
    const evidence = pidEvidence(study, await decompose(few(6)));
    assert.match(JSON.stringify(evidence.languageAtEnd), /no task could be decomposed: ChooseAttr: 6 rows/);
  });

  it("judge one task where only one can be decomposed, but for what takes an interval over tasks", async () => {
    const made = madeByHand("likeDocument", 0);
    const one = { ...made, tasks: made.tasks.slice(0, 1), variant: made.variant!.slice(0, 1) };
    const found = await decompose(one, { flow: "none", draws: 20 });
    const evidence = pidEvidence(study, found) as Record<string, Record<string, object | string>>;
    assert.match(
      JSON.stringify(evidence.visionEarly.decays),
      /only one task could be decomposed \(ChooseAttr\)/,
    );
    assert.match(evidence.taskFingerprints.untestable as string, /1 tasks could be decomposed/);
    for (const claim of [
      "languageAtEnd",
      "lowSynergy",
      "stableAcrossVariants",
      "knockoutTraps",
      "knockoutCost",
    ])
      for (const [test, found] of Object.entries(evidence[claim]))
        assert.ok(!Object.hasOwn(found as object, "untestable"), `${claim} ${test}`);
  });
});
