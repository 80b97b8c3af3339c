import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seeded } from "../../lib/random.js";
import { oneWayClaims } from "../../lib/studies/both-ways.js";
import type { Checkpoint } from "../../lib/studies/claims.js";
import { evidenceOf } from "../../lib/studies/evidence.js";
import { gate } from "../../lib/studies/gate.js";
import { claimsMatrix, type Measured, modelCells } from "../../lib/studies/matrix.js";
import { assertBothWays } from "./assert-both-ways.js";
import { claimJson, studyOf } from "./studies.js";

type Effects = Readonly<Record<string, number>>;

const study = studyOf();
const truth: Effects = { model: 1, random: 0, holds: 1, reverses: -1 };

/** Samples of what the edit does on each checkpoint, around `effects`. */
const measureOf =
  (effects: Effects, seen: string[] = []) =>
  ({ id }: Checkpoint, seed: number): Measured => {
    seen.push(`${id} ${seed}`);
    const random = seeded(1000 * seed + id.length);
    const measured = Array.from({ length: 60 }, () => effects[id] + random.normal());
    const test = study.claims[0].tests.get("effect")!;
    return { evidence: { moves: { effect: evidenceOf(test, { measured }) } } };
  };

describe("claims × checkpoints", () => {
  it("judges each claim on each checkpoint over its data seeds, with progress", async () => {
    const seen: string[] = [];
    const steps: string[] = [];
    const matrix = await claimsMatrix(study, measureOf(truth, seen), {
      otherSeeds: [5],
      onProgress: (done, total, label) => steps.push(`${done}/${total} ${label}`),
    });
    assert.deepEqual(
      matrix.cells[0].map(({ verdict, seeds }) => `${verdict} ${seeds?.agree}/${seeds?.of}`),
      ["supported 3/3", "undecided 1/1", "supported 1/1", "contradicted 1/1"],
    );
    assert.deepEqual(seen, ["model 0", "model 1", "model 2", "random 5", "holds 5", "reverses 5"]);
    assert.deepEqual([steps[0], steps.at(-1)], ["0/6 the model", "6/6 claims"]);
    assert.ok(matrix.cells[0].every(({ unexpected }) => !unexpected));
    assertBothWays(matrix);
  });

  it("tells how far a checkpoint is as its share of the whole", async () => {
    const steps: string[] = [];
    const onProgress = (done: number, total: number, label: string): number =>
      steps.push(`${done}/${total} ${label}`);
    const told = measureOf(truth);
    const options = { seeds: [0], onProgress };
    await claimsMatrix(
      study,
      (checkpoint, seed, part) => {
        part?.(1, 4, "first");
        part?.(4, 4, "measured");
        return told(checkpoint, seed);
      },
      options,
    );
    assert.deepEqual(steps.slice(0, 3), ["0/4 the model", "0.25/4 the model: first", "1/4 random weights"]);
    assert.equal(steps.length, 9);
    await claimsMatrix(study, (checkpoint, seed, part) => {
      assert.equal(part, undefined);
      return told(checkpoint, seed);
    });
  });

  it("takes back what a null supports too, and says why", async () => {
    const matrix = await claimsMatrix(study, measureOf({ ...truth, random: 1 }));
    const [cell] = modelCells(matrix);
    assert.equal(cell.verdict, "not testable");
    assert.deepEqual(cell.downgraded, { from: "supported", checkpoints: ["random"] });
    assert.match(
      cell.because,
      /^the rule is met as well by random weights; its evidence alone: supported, \S+ \[/,
    );
    assert.equal(matrix.cells[0][1].unexpected, true);
    assert.deepEqual(oneWayClaims(matrix), ["moves on the null random: supported"]);
    assert.throws(() => assertBothWays(matrix));
  });

  it("takes back what a checkpoint built to hold the opposite supports too", async () => {
    const [cell] = modelCells(await claimsMatrix(study, measureOf({ ...truth, reverses: 1 })));
    assert.deepEqual([cell.verdict, cell.downgraded?.checkpoints], ["not testable", ["reverses"]]);
  });

  it("takes back a contradiction by a rule that does not find the claim where it was planted", async () => {
    const blind = await claimsMatrix(study, measureOf({ ...truth, model: -1, holds: 0 }));
    assert.match(
      modelCells(blind)[0].because,
      /did not find the claim where it was planted: holds; .* contradicted/,
    );
    assert.equal(blind.cells[0][2].unexpected, true);
    const sound = await claimsMatrix(study, measureOf({ ...truth, model: -1 }));
    assert.equal(modelCells(sound)[0].verdict, "contradicted");
  });

  it("does not support what was not tried on its nulls, or could not be", async () => {
    const [untried] = modelCells(
      await claimsMatrix(study, measureOf(truth), { only: ["model", "holds", "reverses"] }),
    );
    assert.match(untried.because, /^not tried on random weights;/);
    const [unplanted] = modelCells(
      await claimsMatrix(study, measureOf({ ...truth, model: -1 }), { only: ["model", "random"] }),
    );
    assert.match(unplanted.because, /^not tried where the claim was planted: holds; .* contradicted/);
    const [empty] = modelCells(
      await claimsMatrix(study, (checkpoint, seed) =>
        checkpoint.id === "random"
          ? { evidence: { moves: { untestable: "no text" } } }
          : measureOf(truth)(checkpoint, seed),
      ),
    );
    assert.match(empty.because, /^could not be measured where nothing is to be found: random weights/);
  });

  it("judges nulls without the gate, which would hide what their rule gives", async () => {
    const gated = studyOf({ claims: [claimJson({ gate: "any" })] });
    const wrong = Array(50).fill(false);
    const fails = gate([{ kind: "easy", correct: wrong, blind: wrong }]);
    const matrix = await claimsMatrix(gated, (checkpoint, seed) => ({
      ...measureOf({ ...truth, random: 1 })(checkpoint, seed),
      gate: fails,
    }));
    assert.deepEqual(
      matrix.cells[0].map(({ verdict }) => verdict),
      ["not testable", "supported", "not testable", "not testable"],
    );
    await assert.rejects(claimsMatrix(gated, measureOf(truth)), /"moves" stands behind a gate/);
  });

  it("says how many other configurations agree", async () => {
    const matrix = await claimsMatrix(study, (checkpoint, seed) => {
      const of = (effects: Effects): Measured["evidence"] => measureOf(effects)(checkpoint, seed).evidence;
      const configurations = { "k = 13": of(truth), "k = 5": of({ ...truth, model: 0 }) };
      return { evidence: of(truth), ...(checkpoint.role === "model" ? { configurations } : {}) };
    });
    assert.deepEqual(modelCells(matrix)[0].configurations, { agree: 1, of: 2 });
  });

  it("asks for evidence of every claim and of no other, and stops when told", async () => {
    await assert.rejects(
      claimsMatrix(study, () => ({ evidence: {} })),
      /no evidence for the claim "moves" on the model/,
    );
    await assert.rejects(
      claimsMatrix(study, () => ({ evidence: { moves: { untestable: "x" }, move: { untestable: "x" } } })),
      /no claim "move".*Did you mean "moves"/,
    );
    await assert.rejects(claimsMatrix(study, measureOf(truth), { only: ["random"] }), /model is not among/);
    await assert.rejects(claimsMatrix(study, measureOf(truth), { only: ["modle"] }), /Did you mean "model"/);
    const stop = new AbortController();
    const seen: string[] = [];
    await assert.rejects(
      claimsMatrix(
        study,
        (checkpoint, seed) => {
          stop.abort(new Error("enough"));
          return measureOf(truth, seen)(checkpoint, seed);
        },
        { signal: stop.signal },
      ),
      /enough/,
    );
    assert.equal(seen.length, 1);
  });

  it("is data that survives being written", async () => {
    const { checkpoints, cells } = await claimsMatrix(study, measureOf(truth));
    assert.deepEqual(JSON.parse(JSON.stringify({ checkpoints, cells })), { checkpoints, cells });
  });

  it("supports a claim on nothing in at most 5% of studies of one data seed", async () => {
    let supported = 0;
    const studies = 200;
    for (let i = 0; i < studies; i++) {
      const nothing = await claimsMatrix(study, measureOf({ ...truth, model: 0 }), {
        seeds: [i],
        otherSeeds: [0],
      });
      if (modelCells(nothing)[0].verdict === "supported") supported++;
    }
    // Nominal 2.5%; three standard errors of 200 studies are 3.3%.
    assert.ok(supported / studies <= 0.058, `${supported} of ${studies}`);
  });
});
