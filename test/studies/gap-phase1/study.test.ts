/** The study's own running: what it asks, what it keeps, and what it refuses. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { loadModel, saveCheckpoint } from "../../../lib/model/index.js";
import {
  folderStore,
  gapSizes,
  gapStore,
  openGapStudy,
  type PartName,
  parseShare,
  publishedQuestions,
  questionsFor,
} from "../../../lib/studies/gap-phase1/index.js";
import { plantedQuestions } from "../../../lib/studies/gap-phase1/questions.js";
import { loadClaims } from "../../../lib/studies/index.js";
import { plantedVision } from "../../../lib/tasks/index.js";
import { temporaryFolder } from "../../kernels/temporary.js";

const study = loadClaims("gap-phase1");
const folder = temporaryFolder();

describe("the study of gap-phase1", () => {
  const path = join(folder, "late");
  before(() => {
    const { config, weights, files } = plantedVision("late", { layers: 12, decides: 9 });
    saveCheckpoint(path, config, weights, files);
  });

  it("finds the block that reads, keeps what it measured, and goes on from there", async () => {
    const model = await loadModel(path);
    const store = folderStore(join(folder, "kept"));
    const sizes = gapSizes(6);
    const open = () =>
      openGapStudy({
        study,
        model,
        questions: plantedQuestions("late"),
        sizes,
        parts: ["truncation", "tracing"],
        rowsPerCall: 5,
        store,
      });
    const gap = await open();
    assert.deepEqual([...gap.gate.passed], ["planted one hop"]);
    const { truncation, tracing, flow } = await gap.measurements(0);
    assert.deepEqual(flow, { untestable: 'the part "flow" was left out' });
    assert.ok(!("untestable" in truncation) && !("untestable" in tracing));
    const { layers, right } = truncation.by.mean!;
    // Twelve questions, two of each colour: where nothing is known all are called red.
    assert.deepEqual(
      layers.map((_, l) => right.reduce((sum, row) => sum + row[l], 0)),
      layers.map((l) => (l <= 9 ? 2 : 12)),
    );
    assert.deepEqual(truncation.right, Array<number>(12).fill(1));
    for (const row of tracing.delta)
      row.forEach((delta, l) => {
        assert.ok(l <= 9 ? delta < -5 : Math.abs(delta) < 0.01, `block ${l}: ${delta}`);
      });
    const kept = readdirSync(join(folder, "kept"));
    assert.ok(
      kept.includes("model-0-truncation-mean-0.json") && kept.includes("model-0-truncation-mean-10.json"),
    );
    await model.close();
    // A closed model computes nothing more: what comes now was kept.
    assert.deepEqual(await (await open()).measurements(0), await gap.measurements(0));
  });

  it("has the same gate whether truncation is measured, shared or left out", async () => {
    const model = await loadModel(path);
    const checkpoint = study.checkpoints.find(({ role }) => role === "model")!;
    const gateOf = async (parts: readonly PartName[], share = "") => {
      const sizes = gapSizes(4);
      const store = gapStore(join(folder, `gates ${parts} ${share[0]}`), { sizes }, share);
      const questions = plantedQuestions("late");
      const gap = await openGapStudy({ study, model, questions, sizes, parts, store });
      return (await gap.measure(checkpoint, 0)).gate;
    };
    const gate = await gateOf(["truncation"]);
    assert.deepEqual(
      gate?.rows.map(({ kind, accuracy }) => [kind, accuracy.estimate]),
      [
        ["easy", 1],
        ["hard", 0],
      ],
    );
    assert.deepEqual(await gateOf(["flow"]), gate);
    assert.deepEqual(await gateOf(["truncation"], "0/2"), gate);
    // A share's own clean run has the answers.
    const [own] = readdirSync(join(folder, "gates truncation 0"));
    const kept = readdirSync(join(folder, "gates truncation 0", own));
    assert.ok(kept.includes("model-0-blind-0.json") && !kept.includes("model-0-answers-0.json"), kept.join());
    await model.close();
  });

  it("joins shares that were measured apart into what one run measures", async () => {
    const model = await loadModel(path);
    const kept = join(folder, "shared");
    const measured = async (share: string, { sizes = gapSizes(6), save = kept } = {}) => {
      const questions = plantedQuestions("late");
      const store = gapStore(save, { sizes }, share);
      const parts = ["truncation", "tracing", "flow", "twins", "pruning"] as const;
      const gap = await openGapStudy({ study, model, questions, sizes, parts, rowsPerCall: 5, store });
      return gap.measurements(0);
    };
    const whole = await measured("", { save: join(folder, "whole") });
    assert.ok(!("untestable" in whole.tracing) && !("untestable" in whole.pruning));

    for (const share of ["2/3", "0/3"]) {
      const { truncation, flow } = await measured(share);
      assert.deepEqual(truncation, {
        untestable: `share ${share} was measured; share = "all/3" joins all of them`,
      });
      // Attention has no points to share out: the first job has it.
      assert.equal("untestable" in flow, share !== "0/3");
    }
    await assert.rejects(measured("all/3"), /"model-0-tracing-truncation-image--0" lacks the share 1\/3\./);
    await measured("1/3");
    // A run with other questions finds none of these shares, and measures nothing anew.
    await assert.rejects(
      measured("all/3", { sizes: gapSizes(5) }),
      /lacks the shares 0\/3, 1\/3, 2\/3\. It was not measured with these settings/,
    );
    const [own] = readdirSync(kept);
    const piece = join(kept, own, "model-0-truncation-mean-0.share-1-of-3.json");
    const text = readFileSync(piece, "utf8");
    writeFileSync(piece, text.replace(own.replace("gap-phase1-", ""), "0123456789abcdef"));
    await assert.rejects(
      measured("all/3"),
      /Share 1\/3 of "model-0-truncation-mean-0" was measured with other/,
    );
    writeFileSync(piece, text);

    const joined = await measured("all/3");
    assert.deepEqual(Object.keys(joined), Object.keys(whole));
    const numbers = (value: unknown): number[] =>
      typeof value === "number"
        ? [value]
        : typeof value === "object"
          ? Object.values(value ?? {}).flatMap(numbers)
          : [];
    const [some, all] = [numbers(joined), numbers(whole)];
    assert.equal(some.length, all.length);
    assert.ok(all.length > 500);
    for (const [i, value] of all.entries())
      assert.ok(Math.abs(some[i] - value) <= 1e-6, `${some[i]} ${value}`);
    await model.close();
    // What was joined is kept as a whole: a run without shares goes on from there.
    assert.deepEqual(await openedFrom(kept), joined.truncation);

    async function openedFrom(save: string): Promise<unknown> {
      const sizes = gapSizes(6);
      const store = gapStore(save, { sizes });
      const gap = await openGapStudy({
        ...{ study, model, questions: plantedQuestions("late"), sizes, store, rowsPerCall: 5 },
        parts: ["truncation"],
      });
      return (await gap.measurements(0)).truncation;
    }
  });

  it("refuses what is no share, and one that would be lost", () => {
    for (const text of ["8/8", "3", "a/8", "-1/8", "3/0", "all", "3/8 "])
      assert.throws(() => parseShare(text), /is not a share/, text);
    assert.deepEqual(parseShare("0/1"), { index: 0, count: 1 });
    assert.throws(() => gapStore("", {}, "0/2"), /The share 0\/2 would be lost/);
  });

  it("finds the same geometry and attention however many questions run together", async () => {
    const model = await loadModel(path);
    const measured = async (rowsPerCall: number) => {
      const parts = ["geometry", "flow"] as const;
      const questions = plantedQuestions("late");
      const gap = await openGapStudy({ study, model, questions, sizes: gapSizes(6), parts, rowsPerCall });
      const { geometry, flow } = await gap.measurements(0);
      assert.ok(!("untestable" in geometry) && !("untestable" in flow));
      return [geometry.visualRank, geometry.textRank.withImage, flow.toImage, flow.toText].flat(2);
    };
    const [some, all] = [await measured(5), await measured(128)];
    assert.equal(some.length, all.length);
    assert.ok(all.length > 500);
    for (const [i, value] of all.entries())
      assert.ok(Math.abs(some[i] - value) < 1e-4, `${some[i]} ${value}`);
    await model.close();
  });

  it("refuses a model without images, too few questions, and folders of other data", async () => {
    const text = await loadModel("maths-zh-en");
    await assert.rejects(questionsFor(text, { data: "", imageTokens: 0 }), /about images\. It is text-only/);
    await assert.rejects(
      openGapStudy({ study, model: text, questions: plantedQuestions("late"), sizes: gapSizes(4) }),
      /cannot be asked about images/,
    );
    await text.close();
    assert.throws(() => gapSizes(3), /3 questions of each grade are too few/);
    await assert.rejects(
      publishedQuestions(join(folder, "nowhere")),
      /none of the study's data sets.*no such folder/,
    );
    const empty = join(folder, "published");
    mkdirSync(join(empty, "chartqa"), { recursive: true });
    await assert.rejects(publishedQuestions(empty), /No ChartQA data/);
  });
});
