/** From measurements to evidence for the document's claims. */
import { ModalscopeError } from "../../errors.js";
import { type ClaimRules, testsOf } from "../claim-tests.js";
import type { Claim, Study } from "../claims.js";
import type { Untestable } from "../evidence.js";
import type { ClaimEvidence } from "../judge.js";
import { bridgeClaims, lengthscaleClaims, updateClaims } from "./data-claims.js";
import { type Measurements, PART_NAMES, type PartName, type Parts } from "./parts.js";
import { behaviourClaims, patchClaims, shiftClaims } from "./patch-claims.js";
import { separationClaims, weightClaims } from "./weight-claims.js";

const RULES: { readonly [P in PartName]: ClaimRules<Parts[P]> } = {
  behaviour: behaviourClaims,
  weights: weightClaims,
  separation: separationClaims,
  shifts: shiftClaims,
  patches: patchClaims,
  updates: updateClaims,
  lengthscales: lengthscaleClaims,
  bridge: bridgeClaims,
};

/** Evidence for every claim; where its part was not measured, the reason. */
export function phase3Evidence(study: Study, measured: Measurements): Record<string, ClaimEvidence> {
  return Object.fromEntries(study.claims.map((claim) => [claim.id, evidenceFor(claim, measured)]));
}

/** @throws ModalscopeError for a claim that no part is measured for. */
export function evidenceFor(claim: Claim, measured: Measurements): ClaimEvidence {
  const part = PART_NAMES.find((name) => Object.hasOwn(RULES[name], claim.id));
  if (!part) throw new ModalscopeError(`Nothing is measured for the claim "${claim.id}".`);
  return evidenceIn(part, measured[part], claim);
}

function evidenceIn<P extends PartName>(name: P, part: Parts[P] | Untestable, claim: Claim): ClaimEvidence {
  if ("untestable" in part) return part;
  return RULES[name][claim.id](part as Parts[P], testsOf(claim));
}
