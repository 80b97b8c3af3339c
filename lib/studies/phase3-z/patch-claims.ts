/** Evidence for what patches do: to answers, to their language, and towards the donor's answer. */
import type { ClaimRules } from "../claim-tests.js";
import type { Test } from "../claims.js";
import { type Evidence, evidenceOf } from "../evidence.js";
import type { BehaviourPart, PatchedSides, PatchesPart, ShiftsPart } from "./parts.js";
import type { PatchOutcome } from "./patch.js";

export const behaviourClaims: ClaimRules<BehaviourPart> = {
  behaviour: ({ solved, problems }, test) => ({
    solves: evidenceOf(test("solves"), {
      measured: [...solved.en, ...solved.zh],
      clusters: [...problems, ...problems],
    }),
    alike: evidenceOf(test("alike"), { measured: solved.zh, control: solved.en, clusters: problems }),
  }),
};

export const shiftClaims: ClaimRules<ShiftsPart> = {
  zContent: ({ z, random, full, problems }, test) => ({
    shift: evidenceOf(test("shift"), { measured: z, nulls: random, ceiling: full, clusters: problems }),
  }),
};

export const patchClaims: ClaimRules<PatchesPart> = {
  zChangesMore: (part, test) => ({ answers: contrast(test("answers"), part, ({ changed }) => changed) }),

  doubleDissociation: (part, test) => ({
    answers: contrast(test("answers"), part, ({ changed }) => changed),
    language: contrast(test("language"), part, ({ turned }) => turned),
    zKeeps: evidenceOf(test("zKeeps"), {
      measured: part.chosen.set.map(({ turned, wordless }) => !turned && !wordless),
      clusters: part.problems,
    }),
    complementKeeps: evidenceOf(test("complementKeeps"), {
      measured: part.chosen.complement.map(({ changed }) => !changed),
      clusters: part.problems,
    }),
  }),
};

/** One kind of outcome under Z and Z⊥, and under random subspaces and their complements. */
function contrast(
  test: Test,
  { chosen, random, problems }: PatchedSides<PatchOutcome>,
  flag: (outcome: PatchOutcome) => boolean,
): Evidence {
  const sides = ({ set, complement }: PatchedSides<PatchOutcome>["chosen"]) => ({
    set: set.map(flag),
    complement: complement.map(flag),
  });
  return evidenceOf(test, { chosen: sides(chosen), random: random.map(sides), clusters: problems });
}
