/** The study's rules where the truth is known: measurements made by hand, and circuits of two neurons. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CircuitStudy,
  circuitEvidence,
  circuitsMadeByHand,
  type Measurements,
  measurePlanted,
  measurePlantedCounting,
  type Settings,
} from "../../../lib/studies/circuit-tracing/index.js";
import { judge, loadClaims, loadStudy } from "../../../lib/studies/index.js";

const study = loadClaims("circuit-tracing");
const { settings } = loadStudy<{ settings: Settings }>("circuit-tracing");

describe("the claims of circuit-tracing, on measurements made by hand", () => {
  for (const kind of ["circuit", "noCircuit"] as const)
    it(`are judged as ${kind} was made, with three seeds`, () => {
      for (const seed of [0, 1, 2]) {
        const evidence = circuitEvidence(study, circuitsMadeByHand(kind, seed));
        for (const claim of study.claims) {
          const { verdict, because } = judge(claim, evidence[claim.id]);
          assert.equal(verdict, claim.planted.get(kind), `${claim.id}, seed ${seed}: ${because}`);
        }
      }
    });

  it("a part that was not measured is not testable, with its reason", () => {
    const all = circuitsMadeByHand("circuit", 0);
    const evidence = circuitEvidence(study, { ...all, patch: { untestable: "no such planets" } });
    assert.deepEqual(evidence.marsToEarth, { untestable: "no such planets" });
  });
});

describe("the study's interventions on circuits of two neurons", () => {
  for (const [id, kind] of [
    ["twoNeurons", "two neurons"],
    ["pastThem", "past them"],
  ] as const)
    it(`${kind}: suppressing and patching come out as it was built`, async () => {
      const { fall, patch } = await measurePlanted(kind, 1, { settings, samples: 100 });
      const base = circuitsMadeByHand("circuit", 0);
      const all = { ...base, patch, counting: { ...base.counting, fall } } as Measurements;
      const evidence = circuitEvidence(study, all);
      for (const claim of study.claims.filter(({ planted }) => planted.has(id))) {
        const { verdict, because } = judge(claim, evidence[claim.id]);
        assert.equal(verdict, claim.planted.get(id), `${claim.id}: ${because}`);
      }
    });
});

describe("the study's counting on checkpoints that are built by hand", () => {
  for (const [id, kind] of [
    ["handPrior", "prior"],
    ["handCounted", "counted"],
  ] as const)
    it(`${kind}: each claim about counting comes out as it was built, with two seeds`, async () => {
      for (const seed of [0, 1]) {
        const counting = await measurePlantedCounting(kind, seed, { settings, samples: 100 });
        const evidence = circuitEvidence(study, { ...circuitsMadeByHand("circuit", 0), counting });
        const claims = study.claims.filter(({ planted }) => planted.has(id));
        assert.equal(claims.length, 5);
        for (const claim of claims) {
          const { verdict, because } = judge(claim, evidence[claim.id]);
          assert.equal(verdict, claim.planted.get(id), `${claim.id}, seed ${seed}: ${because}`);
        }
      }
    });
});

it("the study has measurements for each of its claims", () => {
  assert.equal(typeof CircuitStudy, "function");
  assert.throws(
    () =>
      circuitEvidence(
        { ...study, claims: [{ ...study.claims[0], id: "constructor" }] },
        circuitsMadeByHand("circuit", 0),
      ),
    /Nothing is measured for the claim/,
  );
});
