import assert from "node:assert/strict";
import { it } from "node:test";
import { judge } from "../../../lib/studies/judge.js";
import type { Caption } from "../../../lib/studies/knowledge-evolution/captions.js";
import { evolutionEvidence } from "../../../lib/studies/knowledge-evolution/evidence.js";
import { madeEvolution } from "../../../lib/studies/knowledge-evolution/made.js";
import { mentionsOf, sceneTruth, wrongShare } from "../../../lib/studies/knowledge-evolution/mentions.js";
import { evolutionRules } from "../../../lib/studies/knowledge-evolution/rules.js";
import { skipped } from "../../../lib/studies/knowledge-evolution/skips.js";
import { loadClaims } from "../../../lib/studies/read.js";

const study = loadClaims("knowledge-evolution");
const rules = evolutionRules();
const made = madeEvolution("likeDocument", rules);
const [MUTATION] = made.mutations.layers;
const COUNT = 120;
const PLACES = ["left", "middle", "right"];

/** In image i a house stands at place i mod 3. */
const truths = Array.from({ length: COUNT }, (_, i) =>
  sceneTruth({
    place: "street",
    things: [{ name: "house", colour: "black", row: 1, column: i % 3, faint: false }],
    expected: [],
    slips: [],
  }),
);
const captionOf = (place: number): Caption => {
  const text = `the image shows a street. on the ${PLACES[place % 3]} there is a black house.`;
  return { text, ids: [1], pieces: text.match(/ ?[^ .]+|\./g) ?? [] };
};

/** Every other caption has the wrong place, and the mutation layer is what makes it so. */
const corrected = async (blocks: readonly number[]): Promise<Caption[]> =>
  truths.map((_, i) => captionOf(i + (i % 2 === 0 && !blocks.includes(MUTATION) ? 1 : 0)));

const verdictOf = async (id: string, own: typeof truths): Promise<string> => {
  const skips = await skipped(corrected, made, own, { rules, seed: 0 });
  const control = await corrected([]);
  const wrong = control.map(({ pieces }, i) => wrongShare(mentionsOf(pieces, own[i])));
  const evidence = evolutionEvidence(study, { ...made, skips, wrong }, { rules });
  const claim = study.claims.find((one) => one.id === id);
  assert.ok(claim);
  return judge(claim, evidence[id]).verdict;
};

it("skipping what makes captions wrong corrects them by the truth of their image, and not by another's", async () => {
  assert.equal(await verdictOf("skip2", truths), "supported");
  const others = truths.map((_, i) => truths[(i + 2) % COUNT]);
  assert.notEqual(await verdictOf("skip2", others), "supported");
});

it("plans that skip nothing are not run, nor are those that were not asked for", async () => {
  const seen: string[] = [];
  const without = async (blocks: readonly number[]): Promise<Caption[]> => {
    seen.push(blocks.join(" "));
    return corrected(blocks);
  };
  const none = { ...made, mutations: { ...made.mutations, layers: [] } };
  assert.deepEqual(await skipped(without, none, truths, { rules, seed: 0, skips: ["skip.1"] }), []);
  assert.deepEqual(seen, []);
  const [only, ...others] = await skipped(without, made, truths, { rules, seed: 0, skips: ["skip.2"] });
  assert.deepEqual([only.own.plan.skip, others.length], [[MUTATION], 0]);
  assert.equal(only.control?.plan.skip.length, 1);
});
