import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadClaims, readStudy } from "../../lib/studies/read.js";
import { claimJson, type Json, studyJson, studyOf, testJson } from "./studies.js";

describe("a study's claims", () => {
  it("are read as they are written", () => {
    const { checkpoints, claims, title } = studyOf();
    assert.equal(title, "A made-up study");
    assert.deepEqual(
      checkpoints.map(({ id, role }) => `${id} ${role}`),
      ["model model", "random null", "holds planted", "reverses planted"],
    );
    const [claim] = claims;
    assert.deepEqual(
      [claim.id, claim.headline, claim.gate, claim.nulls],
      ["moves", false, "none", ["random"]],
    );
    assert.deepEqual(
      [...claim.planted],
      [
        ["holds", "supported"],
        ["reverses", "contradicted"],
      ],
    );
    assert.deepEqual(claim.tests.get("effect")?.rule, { kind: "above", threshold: 0 });
  });
  it("ask rates for a hundred samples and thirty events, and may ask for more", () => {
    const least = (fields: Json) =>
      studyOf({
        claims: [claimJson({ tests: { effect: testJson({ quantity: "rate", ...fields }) } })],
      }).claims[0].tests.get("effect")?.least;
    assert.deepEqual(least({}), { samples: 100, events: 30 });
    assert.deepEqual(least({ least: { samples: 250 } }), { samples: 250, events: 30 });
    assert.throws(() => least({ least: { samples: 99 } }), /samples is 99.*asks for 100 or more/);
  });
});

/** A study with one thing changed, and what its reader says. */
const mutants: readonly [name: string, study: unknown, message: RegExp][] = [
  ["a text", "claims", /made-up is a string/],
  ["nothing", null, /made-up is missing/],
  ["no claims", studyJson({ claims: undefined }), /claims is missing/],
  ["claims that are no list", studyJson({ claims: {} }), /claims is an object.*list/],
  ["too many claims", studyJson({ claims: Array(101).fill(claimJson()) }), /101 entries/],
  ["a duplicate id", studyJson({ claims: [claimJson(), claimJson()] }), /the id "moves" stands twice/],
  ["no model", studyJson({ checkpoints: [] }), /exactly one has the role "model"/],
  ...(
    [
      ["a missing quote", { quote: undefined }, /claims\[0\]\.quote is missing/],
      ["an empty quote", { quote: "  " }, /quote is empty/],
      ["a quote without its place", { where: 3 }, /where is a number/],
      ["an endless quote", { quote: "x".repeat(2001) }, /2001 characters/],
      ["an id with markup", { id: "<b>" }, /id is "<b>"/],
      ["an unknown field", { treshold: 1 }, /unknown field "treshold"/],
      ["an unknown null", { nulls: ["randon"] }, /no checkpoint "randon".*Did you mean "random"/],
      ["the model as a null", { nulls: ["model"] }, /no checkpoint "model" besides the model/],
      ["no nulls", { nulls: [] }, /nulls is empty.*tried on nothing/],
      ["a null that supports", { nulls: ["holds"] }, /null of the claim and is planted to support/],
      [
        "no way to be contradicted",
        { planted: { holds: "supported" } },
        /no checkpoint on which .* contradicted/,
      ],
      ["a misspelt verdict", { planted: { holds: "suported" } }, /"suported".*Did you mean "supported"/],
      ["an inherited checkpoint", { planted: { constructor: "supported" } }, /no checkpoint "constructor"/],
      ["no tests", { tests: {} }, /tests has none that is no precondition/],
      [
        "preconditions of nothing",
        { tests: { there: testJson({ precondition: true }) } },
        /tests has none that is no precondition/,
      ],
      ["a gate of no kinds", { gate: [] }, /gate is empty/],
      ["an unknown gate", { gate: "all" }, /gate is "all".*none, any/],
      ["a headline in words", { headline: "yes" }, /headline is a string/],
    ] as [string, Json, RegExp][]
  ).map(([name, fields, message]): [string, unknown, RegExp] => [
    name,
    studyJson({ claims: [claimJson(fields)] }),
    message,
  ]),
  ...(
    [
      ["an unknown rule", { rule: { kind: "abov", threshold: 0 } }, /kind is "abov".*Did you mean "above"/],
      ["an inherited rule", { rule: { kind: "constructor" } }, /kind is "constructor"/],
      ["a rule without its threshold", { rule: { kind: "above" } }, /rule has no "threshold"/],
      ["a threshold in words", { rule: { kind: "above", threshold: "0" } }, /threshold is a string/],
      ["an endless threshold", { rule: { kind: "above", threshold: 1e300 } }, /threshold is 1e\+300/],
      [
        "a threshold of another rule",
        { rule: { kind: "above", threshold: 0, margin: 1 } },
        /unknown field "margin"/,
      ],
      [
        "limits the wrong way round",
        { rule: { kind: "between", low: 1, high: 0 } },
        /low 1 is not below high 0/,
      ],
      ["an equivalence to nothing", { rule: { kind: "equivalent", margin: 1 } }, /does not say against what/],
      ["a margin of nothing", { rule: { kind: "equivalent", margin: 0, against: "null" } }, /margin is 0/],
      [
        "an unknown comparison",
        { rule: { kind: "above", threshold: 0, against: "random set" } },
        /Did you mean "random sets"/,
      ],
      [
        "a rate in per cent",
        { quantity: "rate", rule: { kind: "above", threshold: 30 } },
        /limit 30.*not per cent/,
      ],
      ["a depth in layers", { quantity: "depth", rule: { kind: "between", low: 36, high: 40 } }, /limit 36/],
      [
        "a monotone mean",
        { rule: { kind: "monotone", direction: "rising", threshold: 0 } },
        /does not go with/,
      ],
      ["a trend above", { quantity: "trend" }, /does not go with the quantity "trend"/],
      ["an unknown quantity", { quantity: "ratio" }, /quantity is "ratio"/],
    ] as [string, Json, RegExp][]
  ).map(([name, fields, message]): [string, unknown, RegExp] => [
    name,
    studyJson({ claims: [claimJson({ tests: { effect: testJson(fields) } })] }),
    message,
  ]),
];

describe("what is wrong in a study's file is refused, with its place:", () => {
  for (const [name, study, message] of mutants)
    it(name, () => {
      assert.throws(() => readStudy(study, "made-up"), { name: "ModalscopeError", message });
    });
  it("a field named __proto__", () => {
    const text = JSON.stringify(studyJson()).replace('"gate"', '"__proto__":{"quote":"x"},"gate"');
    assert.throws(() => readStudy(JSON.parse(text), "made-up"), /unknown field "__proto__"/);
  });
  it("a study without claims in this form, and one that is not there", () => {
    assert.throws(() => readStudy({ title: "Notes" }, "made-up"), /made-up has no "/);
    assert.throws(() => loadClaims("gap"), /no study "gap"/);
  });
});
